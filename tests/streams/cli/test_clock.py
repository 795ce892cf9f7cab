"""`rater clock`: the clock of an embedded engine goes ahead, and what falls due on the way is done in order of time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rater.cli import main
from rater.clock import MovedClock
from tests.rater.pipeline.conftest import TARIFF
from tests.streams.test_timers import MONTHLY


class Shell:
    """Commands on a data folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        (folder / "config" / "tariffs").mkdir(parents=True)
        (folder / "config" / "plans").mkdir()
        (folder / "config" / "tariffs" / "test.yaml").write_text(TARIFF.format(price="1.00"))
        (folder / "config" / "plans" / "monthly.yaml").write_text(MONTHLY)
        self.environment = {"RATER_ENGINE_CATALOGUE": str(folder / "config"), "RATER_METRICS_PORT": "0"}

    def run(self, *arguments: str, fails: bool = False, **environment: str) -> str:
        done = CliRunner().invoke(
            main, ["--data", str(self.data), *arguments], env=self.environment | environment, catch_exceptions=False
        )
        assert (done.exit_code != 0) is fails, done.output
        return done.output.strip()

    def sim(self) -> Any:
        return json.loads(self.run("sim", "show", "--tenant", "t", "sim-1"))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_a_month_goes_by_and_its_fee_is_charged(shell: Shell) -> None:
    shell.run("clock", "set", "2026-11-10T12:00:00+00:00")
    shell.run("wallet", "create", "--tenant", "t", "acme", "--currency", "EUR", "--balance", "12.00")
    shell.run("sim", "add", "--tenant", "t", "sim-1", "--wallet", "acme", "--plan", "monthly")
    assert shell.sim()["subscription"]["plan"] == "monthly", "it begins when the SIM is added"
    assert "7.00 EUR" in shell.run("wallet", "show", "--tenant", "t", "acme")
    assert shell.run("clock", "advance", "30d").startswith("2026-12-10T12:00")
    assert "2.00 EUR" in shell.run("wallet", "show", "--tenant", "t", "acme")
    shell.run("clock", "advance", "5w")
    assert shell.sim()["holds"] == ["payment"]
    shell.run("wallet", "top-up", "--tenant", "t", "acme", "4.00", "--id", "o-1")
    assert shell.sim()["holds"] == [], "a command that refills wakes what waited for it"
    assert "1.00 EUR" in shell.run("wallet", "show", "--tenant", "t", "acme")


def test_it_goes_back_only_while_there_is_no_wallet(shell: Shell) -> None:
    shell.run("clock", "set", "2026-11-10T12:00:00+00:00")
    shell.run("clock", "set", "2026-01-01T00:00:00Z")
    assert shell.run("clock", "show").startswith("2026-01-01T00:00")
    shell.run("wallet", "create", "--tenant", "t", "acme", "--currency", "EUR")
    assert "goes only ahead" in shell.run("clock", "set", "2025-01-01T00:00:00Z", fails=True)


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (("advance", "40"), {}, 'span: "40" is none'),
        (("set", "tomorrow"), {}, 'instant: "tomorrow" is none'),
        (("advance", "1d"), {"RATER_INTAKE_CLOCK": "2026-11-01T00:00:00Z"}, "[intake] clock holds it"),
        (("advance", "1d"), {"RATER_ENGINE_MODE": "distributed"}, "only an embedded engine"),
    ],
)
def test_what_cannot_be_is_said(
    shell: Shell, arguments: tuple[str, ...], environment: dict[str, str], says: str
) -> None:
    assert says in shell.run("clock", *arguments, fails=True, **environment)


def test_every_process_of_a_folder_goes_by_the_same_clock(tmp_path: Path) -> None:
    one, other = MovedClock(tmp_path), MovedClock(tmp_path)
    before = other()
    one.move_to(one() + 86_400_000)
    assert 86_400_000 <= other() - before < 86_500_000
    one.move_to(one() - 10)
    assert other() - before >= 86_400_000, "never back"
