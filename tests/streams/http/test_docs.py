"""docs/http.md: its commands work as typed, its answers are what comes, and its table of problems is all there are."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from streams.http.problems import KINDS
from tests.pages import ROOT, blocks, checkout, environment, play
from tests.streams.http.served import Client, Served

TEXT = (ROOT / "docs" / "http.md").read_text()
(COMMANDS,) = blocks(TEXT)
ANSWERS = [line for block in blocks(TEXT, "json") for line in block.splitlines()]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the commands under "Trying it" print, a line each."""
    return play(COMMANDS, checkout(tmp_path_factory.mktemp("docs")))


@pytest.mark.slow
def test_each_command_answers_as_told(said: list[str]) -> None:
    wallet, sim, quote, first, again, held, refill, repeat, shown, history = map(json.loads, said)
    assert [said[3], said[4]] == ANSWERS[:2]
    assert (wallet["balance_after"], sim["sim"]) == ("1.00", "tracker-7")
    assert quote["quotes"][0]["amount"] == "1.30"
    assert again["events"] == [first["events"][0] | {"repeated": True}]
    assert held["holds"] == ["parent"]
    assert repeat == refill | {"repeated": True}
    assert (shown["balance"], shown["status"]) == ("20.00", "active")
    assert [entry["amount"] for entry in history["entries"]] == ["20.00", "-1.00", "0.00", "1.00"]


def test_the_problem_that_is_shown_is_what_comes(api: Client) -> None:
    api.wallet("acme")
    answer = api.post("/v1/wallets/acme/top-ups", {"amount": 5.01}, "k")
    assert answer.raw.decode() == ANSWERS[2]


def test_every_problem_has_a_row() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `([a-z-]+)` \|", TEXT, re.MULTILINE)
    assert [(int(status), kind) for status, kind in rows] == [(status, kind) for kind, (status, _) in KINDS.items()]


def test_the_commands_on_keys_work(served: Served) -> None:
    commands = [line.partition("#")[0].split() for line in TEXT.splitlines() if line.startswith("    rater key create")]
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "rater.cli", *command[1:]], check=False, capture_output=True, text=True,
            env=os.environ | environment(served.data) | {"RATER_ENGINE_SHARDS": "4"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("rk_")
