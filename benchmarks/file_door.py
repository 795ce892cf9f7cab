"""Part 4: the file door end to end, embedded: sample records in, verdicts delivered, progress kept."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.figures import Part
from benchmarks.ledger import check
from benchmarks.processes import cpu_s, find, redis_cpu_s
from benchmarks.run import Run
from benchmarks.topics import read_files
from rater.pipeline.tally import Tally
from rater.wallet.load import load_wallets, read_wallets
from schemas.sample import TENANT
from streams.engine import Engine, open_engine
from streams.file_door import FileDoor
from streams.opening import topics_folder


@dataclass
class Taken:
    """What one run took."""

    events: int
    seconds: float
    seconds_to_ledger: float
    engine_cpu_s: float
    redis_cpu_s: float
    writer_cpu_s: float
    clickhouse_cpu_s: float


async def file_door(run: Run) -> Part:
    """With and without the ClickHouse writer, in turn."""
    part = Part(f"File door, embedded, {run.sizes.file_events:,} sample records")
    taken: dict[bool, list[Taken]] = {True: [], False: []}
    for number in range(run.sizes.runs):
        for writer in (True, False):
            taken[writer].append(await _one(part, run, f"file-{number}-{writer}", writer=writer))
    for writer, runs in taken.items():
        name = "with the ClickHouse writer" if writer else "without it"
        part.add(name, "events/s", *(one.events / one.seconds for one in runs))
        part.add(f"{name}: engine processor", "us/event", *(one.engine_cpu_s / one.events * 1e6 for one in runs))
        part.add(f"{name}: Redis processor", "us/event", *(one.redis_cpu_s / one.events * 1e6 for one in runs))
    rows = taken[True]
    part.add("to the last row in ClickHouse", "events/s", *(one.events / one.seconds_to_ledger for one in rows))
    part.add("writer processor", "us/event", *(one.writer_cpu_s / one.events * 1e6 for one in rows))
    part.add("ClickHouse processor", "us/event", *(one.clickhouse_cpu_s / one.events * 1e6 for one in rows))
    pairs = zip(taken[False], rows, strict=True)
    part.add("cost of writing", "%", *(100 * (1 - on.seconds**-1 / off.seconds**-1) for off, on in pairs))
    return part


async def _one(part: Part, run: Run, name: str, *, writer: bool) -> Taken:
    """One run on wallets of its own, and its ledger."""
    settings = run.embedded(name, tenant=TENANT, writer=writer)
    forms = read_wallets(run.sample(run.sizes.file_events) / "wallets.yaml")
    async with open_engine(settings, kafka=False) as engine:
        parts = engine.parts
        await load_wallets(forms, parts.store, parts.directory, now_ms=parts.clock_ms())
        await engine.settle_down()
        tally, taken = await _feed(run, engine)
        records = read_files(topics_folder(settings))
        faults = await check(records, tally, parts.store, forms)
        part.faults += [f"{name}: {fault}" for fault in faults]
    return taken


async def _feed(run: Run, engine: Engine) -> tuple[Tally, Taken]:
    settings, redis = engine.parts.settings, engine.parts.redis
    clickhouse = find("streams.embedded.chdb_server", str(settings.data / "clickhouse"))
    writer = engine.writer.pid if engine.writer else None
    before = time.process_time(), await redis_cpu_s(redis), cpu_s(writer), cpu_s(clickhouse)
    tally, started = Tally(), time.perf_counter()
    for path in run.sample_files(run.sizes.file_events):
        door = FileDoor(path, settings.data / "files", settings.intake)
        tally.add(await door.run(engine.pipeline, engine.sink, engine.parts.clock_ms))
    seconds, engine_cpu_s = time.perf_counter() - started, time.process_time() - before[0]
    used_redis_s = await redis_cpu_s(redis) - before[1]
    await engine.settle_down()
    to_ledger = time.perf_counter() - started
    writing = cpu_s(writer) - before[2], cpu_s(clickhouse) - before[3]
    return tally, Taken(tally.events, seconds, to_ledger, engine_cpu_s, used_redis_s, *writing)
