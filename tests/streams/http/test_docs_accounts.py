"""docs/accounts.md: its commands work as typed, and its answer is what comes."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from rater.cli import main
from streams.embedded.ports import free_ports
from tests.test_readme import environment

TEXT = (Path(__file__).parents[3] / "docs" / "accounts.md").read_text()
SERVE, COMMANDS = re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
(REFUSAL,) = re.findall(r"^```json\n(.*?)\n```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the commands under "Trying it" print, a line each."""
    folder = tmp_path_factory.mktemp("docs")
    (port,) = free_ports(1)
    variables = environment(folder / "data") | {"RATER_HTTP_PORT": str(port), "RATER_METRICS_PORT": "0"}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(["bash", "-c", f"exec {SERVE}"], cwd=folder, env=variables, stdout=log, stderr=log)
        try:
            wait = f"until curl -sf http://127.0.0.1:{port}/readyz >ready; do sleep 0.1; done\n"
            script = wait + COMMANDS.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
            done = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", script], cwd=folder, env=variables, check=False,
                capture_output=True, text=True, timeout=120,
            )  # fmt: skip
        finally:
            server.terminate()
            server.wait(60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


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
