"""bench-full takes up where it stopped, loads fleets as the engine does, and tells a flat memory from a growing one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.calls import Calls
from benchmarks.conditions import Conditions
from benchmarks.figures import Figure, Part
from benchmarks.full import needs
from benchmarks.full.fleets import Full
from benchmarks.full.needs import check_needs
from benchmarks.full.scales import SCALES
from benchmarks.full.soak import judge, slope
from benchmarks.full.state import Done, StateFile
from benchmarks.ledger import Before
from benchmarks.loading import come_to, load
from benchmarks.processes import end_leftovers, rss_bytes
from benchmarks.run import Run
from benchmarks.sizes import SIZES
from rater.errors import PartsError
from rater.settings import Settings
from streams.embedded.parts import EmbeddedParts
from streams.load import Fleet
from streams.load.fleet import Terms
from streams.parts import Parts, open_parts

STAGES = ["wallets-50", "stream-50", "wallets-200", "stream-200", "soak"]
TERMS = Terms()


@pytest.fixture
async def parts(tmp_path: Path) -> Any:
    async with open_parts(Run(SIZES["tiny"], Settings(), tmp_path).embedded("parts")) as opened:
        yield opened


def full(data: Path, *options: str) -> list[str]:
    where = ["--data", str(data), "--results", str(data / "results")]
    return [sys.executable, "-m", "benchmarks.full", "--size", "tiny", "--json", *where, *options]


def result_of(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout[done.stdout.index("{\n") :])


def processes_on(data: Path) -> list[str]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has just ended
            lines.append(path.read_text(errors="replace"))
    return [line for line in lines if str(data) in line]


@pytest.mark.slow
def test_every_stage_runs_and_is_right_and_an_interrupted_run_goes_on(kafka: object, tmp_path: Path) -> None:
    """Killed within its second stage, with its worker and its servers left behind."""
    state = tmp_path / "tiny" / "state.json"
    with (tmp_path / "log").open("w") as log:
        first = subprocess.Popen(full(tmp_path), stdout=log, stderr=log)
        deadline = time.monotonic() + 100
        while not (state.exists() and "stream-50" in json.loads(state.read_text())["attempts"]):
            assert time.monotonic() < deadline
            assert first.poll() is None
            time.sleep(0.05)
        time.sleep(4)  # the worker is at work
        first.send_signal(signal.SIGKILL)
        first.wait()
    kept = json.loads(state.read_text())
    assert list(kept["done"]) == ["wallets-50"]
    result = result_of(subprocess.run(full(tmp_path), check=False, capture_output=True, text=True, timeout=280))
    assert result["right"]
    assert list(result["parts"]) == STAGES
    assert all(part["figures"] and part["conditions"]["cores"] for part in result["parts"].values())
    after = json.loads(state.read_text())
    assert after["done"]["wallets-50"] == kept["done"]["wallets-50"], "it was not measured again"
    assert after["attempts"] | {"stream-50": 2} == dict.fromkeys(STAGES, 1) | {"stream-50": 2}
    assert [path.name for path in state.parent.iterdir() if path.is_dir()] == ["kafka"], "fleets are removed"
    assert not processes_on(tmp_path), "nor is anything left running"
    once_more = result_of(subprocess.run(full(tmp_path), check=False, capture_output=True, text=True, timeout=60))
    assert once_more["parts"] == result["parts"]


def test_a_stage_that_was_not_right_is_not_done(tmp_path: Path) -> None:
    """Its figures mean nothing: it is measured again, under other events' ids."""
    file = StateFile(tmp_path / "state.json", "tiny")
    assert [file.begin("soak"), file.begin("soak"), file.begin("wallets-50")] == [1, 2, 1]
    file.load("fleet-50", 20)
    again = StateFile(tmp_path / "state.json", "tiny")
    assert again.begin("soak") == 3
    assert again.loaded("fleet-50") == 20
    assert not again.state.done


def test_what_is_done_comes_back_as_it_was(tmp_path: Path) -> None:
    conditions = Conditions(2, "cpu", 8.0, "system", "python", {}, (1.0, 2.0), 0.1)
    figures = [Figure("a", "us", (1.0, 2.5), "note")]
    StateFile(tmp_path / "state.json", "tiny").finish("soak", Done("Soak", "now", 1.5, conditions, figures))
    assert StateFile(tmp_path / "state.json", "tiny").state.done["soak"].part() == Part("Soak", figures)


def test_a_state_of_another_size_is_refused(tmp_path: Path) -> None:
    StateFile(tmp_path / "state.json", "tiny").save()
    with pytest.raises(PartsError, match="of size tiny, not full"):
        StateFile(tmp_path / "state.json", "full")


async def test_a_fleet_loaded_in_two_sittings_is_the_fleet_loaded_in_one(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.loading.PAGE", 30)
    fleet, reached = Fleet("t", "f", 100), []
    assert await load(parts, Fleet("t", "f", 40), TERMS, reached=reached.append) == []
    assert reached == [30, 40]
    assert await come_to(parts, fleet, 40) == 40
    assert await come_to(parts, fleet, 80) == 20, "what the note says and Redis does not have is loaded again"
    assert await load(parts, fleet, TERMS, 20) == []
    before = await Before.read(parts.store, fleet.forms(TERMS))
    assert list(before.balances) == [50_000_000 if fleet.is_dry(number) else 10**15 for number in range(fleet.wallets)]
    assert not await parts.outbox.waiting()
    member = await parts.store.member("t", fleet.wallet(99), fleet.iccid(99))
    assert member is not None
    assert member.active


async def test_a_wallet_that_lost_another_amount_than_it_was_charged_is_a_fault(parts: Parts) -> None:
    fleet = Fleet("t", "f", 40)
    await load(parts, fleet, TERMS)
    calls = Calls(parts, fleet, TERMS)
    await calls.begin()
    await calls.lap("a", 500)
    assert await calls.faults() == []
    await parts.store.charge((await calls.rated("b", 1))[1], now_ms=0)
    assert len(await calls.faults()) == 1


async def test_an_event_that_was_not_charged_is_a_fault(parts: Parts) -> None:
    fleet = Fleet("t", "f", 40)
    await load(parts, fleet, Terms(balance="0.02"))
    calls = Calls(parts, fleet, Terms(balance="0.02"))
    await calls.begin()
    await calls.lap("a", 500)
    assert any("not charged in full" in fault for fault in await calls.faults())


def test_memory_that_grows_is_told_from_memory_that_does_not() -> None:
    noisy = [(float(at), 100_000_000 + at % 7 * 100_000) for at in range(600)]
    leaking = [(float(at), 100_000_000 + at * 20_000) for at in range(600)]
    assert slope(leaking) == pytest.approx(20_000)
    part = Part("soak")
    judge(part, "worker", noisy)
    judge(part, "other", leaking)
    notes = [figure.note for figure in part.figures if "last third" in figure.name]
    assert notes[0].startswith("flat")
    assert notes[1].startswith("NOT FLAT")


def test_too_little_memory_or_disk_is_said_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "10 wallets need" in check_needs(10, tmp_path)
    monkeypatch.setattr(needs, "available_memory", lambda: 2**30)
    with pytest.raises(PartsError, match="too little"):
        check_needs(10, tmp_path)


async def test_data_that_another_process_uses_are_not_removed(tmp_path: Path) -> None:
    run = Full(SCALES["tiny"], Settings(), tmp_path, StateFile(tmp_path / "state.json", "tiny"), Console())
    with EmbeddedParts(tmp_path / "fleet-50"):
        with pytest.raises(PartsError, match="in use"):
            run.clear("fleet-50")
        assert (tmp_path / "fleet-50" / "redis").exists()
    run.clear("fleet-50")
    assert not (tmp_path / "fleet-50").exists()


async def test_a_worker_left_behind_on_the_same_data_is_ended(tmp_path: Path) -> None:
    def sleeping(data: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["sleep", "60"], env=os.environ | {"RATER_ENGINE_DATA": str(data)})

    ours, other = sleeping(tmp_path / "fleet-1"), sleeping(tmp_path / "fleet-10")
    try:
        assert rss_bytes(ours.pid) > 0
        end_leftovers(tmp_path / "fleet-1")
        assert await asyncio.to_thread(ours.wait, 10) == -signal.SIGKILL
        assert other.poll() is None
        assert rss_bytes(None) == 0
    finally:
        other.kill()
        other.wait()
        ours.kill()
