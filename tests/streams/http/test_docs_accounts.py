"""docs/accounts.md: its commands work as typed, and its answer is what comes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from rater.cli import main
from tests.pages import ROOT, blocks, checkout, play

TEXT = (ROOT / "docs" / "accounts.md").read_text()
(COMMANDS,) = blocks(TEXT)
(REFUSAL,) = (block.strip() for block in blocks(TEXT, "json"))


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the commands under "Trying it" print, a line each."""
    return play(COMMANDS, checkout(tmp_path_factory.mktemp("docs")))


@pytest.mark.slow
def test_each_command_answers_as_told(said: list[str]) -> None:
    acme, north, opened, given, role, read, refused, sent, arrived, filled, own, hidden = map(json.loads, said)
    assert (acme["account"], acme["owner"], north["parent"]) == ("acme", "alice", "acme")
    assert (opened["balance_after"], given["account"], given["wallet"]["balance"]) == ("50.00", "north", "0.00")
    assert (role["roles"], read["balance"]) == ({"erin": "reader"}, "0.00")
    assert refused == json.loads(REFUSAL)
    assert said[6] == REFUSAL
    assert (sent["transfer"], sent["amount"], arrived["status"]) == ("t1", "20.00", "done")
    assert filled["balance"] == "20.00"
    assert ([account["account"] for account in own["accounts"]], hidden["status"]) == (["north"], 404)


def test_the_commands_of_the_command_line_work(tmp_path: Path) -> None:
    def rater(*command: str) -> str:
        done = CliRunner().invoke(main, ["--data", str(tmp_path), *command])
        assert done.exit_code == 0, (command, done.output)
        return done.output

    rater("wallet", "create", "--tenant", "demo", "acme", "--currency", "EUR", "--balance", "50")
    rater("wallet", "create", "--tenant", "demo", "old-wallet", "--currency", "EUR")
    lines = [line.split() for line in TEXT.splitlines() if line.startswith("    rater ")]
    closing, transfer = lines.pop(-2), lines.pop(-1)
    for line in lines:
        rater(*line[1:])
    shown = json.loads(rater("account", "show", "--tenant", "demo", "north"))
    assert (shown["wallets"], shown["zone"]) == (["north-data", "old-wallet"], "Europe/Berlin")
    assert shown["people"] == {"dave": "owner", "carol": "manager"}
    assert [change["what"] for change in shown["changes"]] == [
        "create", "details", "give-role", "take-role", "transfer",
    ]  # fmt: skip
    rater(*closing[1:])
    rater(*transfer[1:])
    assert "done before, nothing changed" in rater(*transfer[1:])
    assert "20.00 EUR" in rater("wallet", "show", "--tenant", "demo", "north-data")
    assert "demo/north  company of acme, owner dave, EUR DE Europe/Berlin  closed" in rater(
        "account", "list", "--tenant", "demo"
    )
