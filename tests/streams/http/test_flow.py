"""Batches of many requests: the order stays, a failure is nobody else's, and nothing undelivered is forgotten."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from rater.money import parse_nanos
from rater.pipeline.batch import RawEvent
from rater.pipeline.tally import Verdict
from rater.settings import IntakeSettings, Settings
from rater.wallet.outbox import Outbox
from rater.wallet.store import WalletStore
from schemas.fates import Fate, Reason
from streams.crew import Crew
from streams.engine import Engine
from streams.http import flow as flow_module
from streams.http.flow import DOOR, Flow
from streams.http.journal import Journal
from streams.http.problems import Problem
from streams.metrics import CHARGED, EVENTS
from streams.parts import Parts
from streams.publisher import Publisher
from streams.spool_sink import SpoolSink
from tests.rater.pipeline.conftest import NOW_MS, Bench, message
from tests.streams.spooled import BreakingSink, records
from tests.streams.test_metrics import samples, since


@pytest.fixture
async def bench(redis: Redis) -> Bench:
    made = Bench(redis, await WalletStore.open(redis, shards=4))
    await made.wallet("w", "10.00", "sim-1")
    return made


async def engine_of(bench: Bench, sink: Any, batch_events: int = 3000, price: str = "1.00") -> Engine:
    settings = Settings(intake=IntakeSettings(batch_events=batch_events))
    outbox = Outbox(bench.redis, bench.store)
    parts = Parts(settings, bench.redis, bench.store, bench.directory, outbox, None, lambda: NOW_MS)
    not_asked = cast(Any, None)
    publisher = Publisher(outbox, 4, sink, parts.clock_ms)
    used = {
        "parts": parts,
        "pipeline": await bench.pipeline(price),
        "sink": sink,
        "publisher": publisher,
        "writer": None,
    }
    return Engine(**{field.name: used.get(field.name, not_asked) for field in fields(Engine)})


@contextlib.asynccontextmanager
async def flowing(engine: Engine, folder: Path) -> AsyncIterator[Flow]:
    journal = Journal(folder / "http", fsync=False)
    flow = Flow(engine, journal)
    await flow.replay()
    async with Crew(flow.run()):
        yield flow
    journal.close()


def raws(*ids: str, sim: str = "sim-1") -> list[RawEvent]:
    return [RawEvent(message(event_id, sim), DOOR, 0) for event_id in ids]


def fates(verdicts: list[Verdict]) -> list[Fate]:
    return [verdict.fate for verdict in verdicts]


def kept(folder: Path) -> list[Path]:
    return list((folder / "http").glob("*/[0-9]*"))


async def test_requests_keep_their_order_through_batches(bench: Bench, tmp_path: Path) -> None:
    """The wallet pays for a hundred events: those that came first."""
    engine = await engine_of(bench, SpoolSink(tmp_path), batch_events=7)
    async with flowing(engine, tmp_path) as flow:
        requests = [raws(*(f"{number}-{index}" for index in range(3))) for number in range(50)]
        told = await asyncio.gather(*(flow.decide(events, "usage") for events in requests))
    assert [fate for verdicts in told for fate in fates(verdicts)] == [Fate.RATED] * 100 + [Fate.REFUSED] * 50
    assert [record["id"] for record in records(tmp_path, "rated")] == [
        f"{number}-{index}" for number in range(50) for index in range(3)
    ][:100]
    assert kept(tmp_path) == []


async def test_what_arrives_meanwhile_is_one_batch(bench: Bench, tmp_path: Path) -> None:
    engine = await engine_of(bench, SpoolSink(tmp_path))
    sizes = []
    begin = engine.pipeline.begin

    def counted(batch: Any) -> Any:
        sizes.append(len(batch.events))
        return begin(batch)

    engine.pipeline.begin = counted  # type: ignore[method-assign]
    async with flowing(engine, tmp_path) as flow:
        await asyncio.gather(*(flow.decide(raws(str(number)), "usage") for number in range(50)))
        await flow.decide(raws("alone"), "usage")
    assert sizes[-1] == 1, "nobody waits for company"
    assert len(sizes) < 10
    assert sum(sizes) == 51


async def test_a_request_that_fails_costs_the_others_nothing(bench: Bench, tmp_path: Path) -> None:
    """Its events were decided by a catalogue that nobody kept, so their records cannot be built."""
    engine = await engine_of(bench, SpoolSink(tmp_path))
    async with flowing(engine, tmp_path) as flow:
        await flow.decide(raws("old"), "usage")
    await bench.redis.delete("rater:catalogues")
    engine = await engine_of(bench, SpoolSink(tmp_path), price="2.00")
    async with flowing(engine, tmp_path) as flow:
        told = await asyncio.gather(
            *(flow.decide(raws(name), "usage") for name in ("new-1", "old", "new-2")), return_exceptions=True
        )
        first, second, third = told
        assert isinstance(second, Problem)
        assert (second.status, second.headers) == (503, {"Retry-After": "5"})
        assert [fates(cast(list[Verdict], verdicts)) for verdicts in (first, third)] == [[Fate.RATED]] * 2
        assert len(kept(tmp_path)) == 1
        assert fates(await flow.decide(raws("new-3"), "usage")) == [Fate.RATED]
    assert await bench.balance_nanos("w") == parse_nanos("9.60")


@pytest.mark.parametrize("lost", ["whole", "part", "told"])
async def test_records_that_were_not_delivered_are_when_it_starts_again(
    bench: Bench, tmp_path: Path, lost: Any
) -> None:
    events = [*raws("1", "2"), RawEvent(message("3", country="KP"), DOOR, 0)]
    async with flowing(await engine_of(bench, BreakingSink(tmp_path, 0, lost)), tmp_path) as flow:
        with pytest.raises(Problem):
            await flow.decide(events, "usage")
        assert len(kept(tmp_path)) == 1
    async with flowing(await engine_of(bench, SpoolSink(tmp_path)), tmp_path) as flow:
        assert kept(tmp_path) == []
        assert flow.clear_ms == NOW_MS
    assert {record["id"] for record in records(tmp_path, "rated")} == {"1", "2"}
    assert [record["id"] for record in records(tmp_path, "refused")][:1] == ["3"]
    assert await bench.balance_nanos("w") == parse_nanos("9.80")


async def test_a_batch_that_was_cut_short_was_not_charged_and_is_dropped(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "http" / "1-dead"
    folder.mkdir(parents=True)
    (folder / "000000000001").write_bytes(b"\x93\xa5usa")
    async with flowing(await engine_of(bench, SpoolSink(tmp_path)), tmp_path):
        assert not folder.exists()


async def test_a_living_process_keeps_its_journal(bench: Bench, tmp_path: Path) -> None:
    living = Journal(tmp_path / "http", fsync=True)
    pipeline_batch = bench.batch(message("1"))
    path = await living.keep(pipeline_batch)
    async with flowing(await engine_of(bench, SpoolSink(tmp_path)), tmp_path):
        assert path.exists()
    living.close()
    async with flowing(await engine_of(bench, SpoolSink(tmp_path)), tmp_path):
        assert not path.exists()
    assert len(records(tmp_path, "rated")) == 1


async def test_too_much_at_once_is_refused(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(flow_module, "WAITING_MAX", 2)
    async with flowing(await engine_of(bench, SpoolSink(tmp_path)), tmp_path) as flow:
        waiting = [asyncio.create_task(flow.decide(raws(str(number)), "usage")) for number in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="wait already"):
            await flow.decide(raws("more"), "usage")
        await asyncio.gather(*waiting)
        assert fates(await flow.decide(raws("more"), "usage")) == [Fate.RATED]


async def test_who_is_told_to_come_back_finds_it_decided(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis is full for a while; the batch waits for it, the client does not."""
    monkeypatch.setattr(flow_module, "ANSWER_S", 0.3)
    async with flowing(await engine_of(bench, SpoolSink(tmp_path)), tmp_path) as flow:
        await bench.redis.config_set("maxmemory", 1)
        try:
            with pytest.raises(Problem, match="none is charged twice"):
                await flow.decide(raws("1"), "usage")
        finally:
            await bench.redis.config_set("maxmemory", 0)
        await flow.drain()
        monkeypatch.undo()
        (again,) = await flow.decide(raws("1"), "usage")
    assert (again.fate, again.first is not None) == (Fate.RATED, True)
    assert await bench.balance_nanos("w") == parse_nanos("9.90")


async def test_a_repeat_counts_as_a_duplicate_and_its_money_once(bench: Bench, tmp_path: Path) -> None:
    before = samples(EVENTS, CHARGED)
    async with flowing(await engine_of(bench, SpoolSink(tmp_path)), tmp_path) as flow:
        for _ in range(3):
            await flow.decide(raws("1", "2"), "usage")
    assert since(before, EVENTS, CHARGED) == {
        ("rater_events_total", "http", Fate.RATED.label, Reason.NONE.label): 2,
        ("rater_events_total", "http", Fate.DUPLICATE.label, Reason.NONE.label): 4,
        ("rater_charged_units_total", "EUR"): pytest.approx(0.2),
    }
