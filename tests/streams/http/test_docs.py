"""docs/http.md: its commands work as typed, its answers are what comes, and its table of problems is all there are."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from streams.embedded.ports import free_ports
from streams.http.problems import KINDS
from tests.streams.http.served import Client, Served
from tests.test_readme import environment

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "http.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
ANSWERS = [
    line for block in re.findall(r"^```json\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL) for line in block.splitlines()
]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the commands under "Trying it" print, a line each."""
    folder = tmp_path_factory.mktemp("docs")
    (port,) = free_ports(1)
    variables = environment(folder / "data") | {"RATER_HTTP_PORT": str(port), "RATER_METRICS_PORT": "0"}
    serve, commands = BLOCKS
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(["bash", "-c", f"exec {serve}"], cwd=folder, env=variables, stdout=log, stderr=log)
        try:
            wait = f"until curl -sf http://127.0.0.1:{port}/readyz >ready; do sleep 0.1; done\n"
            script = wait + commands.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
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
    wallet, sim, quote, first, again, held, refill, repeat, shown, history = map(json.loads, said)
    assert [said[3], said[4]] == ANSWERS[:2]
    assert (wallet["balance_after"], sim["sim"]) == ("1.00", "tracker-7")
    assert quote["quotes"][0]["amount"] == "1.30"
    assert again["events"] == [first["events"][0] | {"repeated": True}]
    assert held["holds"] == ["parent"]
    assert repeat == refill | {"repeated": True}
    assert (shown["balance"], shown["status"]) == ("20.00", "active")
    assert history["next"] == ""


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
