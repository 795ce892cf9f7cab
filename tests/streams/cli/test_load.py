"""`rater load` on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rater.cli import main
from schemas.sample import CLOCK


def rater(data: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--data", str(data), *words])


def asked(data: Path, *words: str) -> dict[str, Any]:
    done = rater(data, *words, "--json")
    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


FILE = ("load", "file", "load.jsonl", "--events", "10")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_report_says_what_was_offered(tmp_path: Path) -> None:
    words = ("load", "file", "load.jsonl", "--events", "2000", "--clock", "2026-10-20")
    report = asked(tmp_path, *words, "--mix", "voice=1", "--repeats", "0%", "--damaged", "0%", "--unknown", "10%")
    events = report["events"]
    assert report["offered"] == sum(events.values()) == sum(report["each_second"]) == 2000
    assert events["voice"] + events["unknown"] == 2000
    assert 120 < events["unknown"] < 280
    assert report["run"] == "1"
    assert len((tmp_path / "load.jsonl").read_bytes().splitlines()) == 2000


def test_on_a_fixed_day_the_same_command_writes_the_same_file(tmp_path: Path) -> None:
    words = ("--events", "500", "--clock", "2026-10-20", "--seed", "5")
    for name in ("one.jsonl", "two.jsonl"):
        asked(tmp_path, "load", "file", name, *words)
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("load", "file", "load.jsonl"), "say how much: --seconds or --events"),
        ((*FILE, "--repeats", "3"), '"3" is no share such as 0.5%'),
        ((*FILE, "--repeats", "60%", "--unknown", "60%"), "are more than all events"),
        ((*FILE, "--mix", "fax=1"), '"fax" is none of data, voice, message'),
        ((*FILE, "--mix", "data"), '"data" has no weight: data=10'),
        ((*FILE, "--countries", "DE=0"), "all weights are 0"),
        ((*FILE, "--clock", "noon"), '"noon" is neither "now" nor a day'),
        (("load", "file", "load.txt", "--events", "1"), "load.txt: the file is .jsonl or .jsonl.gz"),
    ],
)
def test_a_wrong_option_is_named(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    done = rater(tmp_path, *words)
    assert done.exit_code != 0
    assert message in done.output


def test_what_was_not_taken_is_a_failure(tmp_path: Path) -> None:
    done = rater(tmp_path, "load", "http", "http://127.0.0.1:1", "--events", "10")
    assert done.exit_code == 1
    assert "10 events: ClientConnectorError" in done.output


@pytest.mark.slow
def test_the_engine_finds_in_the_file_what_the_report_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wallets made, usage rated: each repeat a duplicate, damage dead-lettered, strangers parked, dry wallets held."""
    monkeypatch.setenv("RATER_INTAKE_CLOCK", CLOCK.isoformat())
    words = ("--events", "3000", "--wallets", "40", "--sims-per-wallet", "2", "--clock", "2026-10-20")
    report = asked(tmp_path, "load", "file", "load.jsonl", *words, "--create")
    came = asked(tmp_path, "run", "load.jsonl")
    assert came["adds_up"]
    assert came["events_in"] == 3000
    assert came["fates"]["duplicate"] == report["events"]["repeat"]
    assert came["fates"]["dead_lettered"] == report["events"]["damaged"]
    assert came["fates"]["parked"] == report["events"]["unknown"]
    assert came["wallets_suspended"] == 2
    assert came["sims_suspended"] == 4
