"""Ten minutes of steady load on one worker: is its memory bounded, and the ledger right at the end?

First each wallet of the fleet is met once. There are more than a worker remembers SIMs and ids, so those memories are
full. Then usage comes as fast as it is taken, until the SIMs that are known have met the networks they meet: what a SIM
is remembered with grows with the first usage of each sort. What grows after that has no bound.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from benchmarks.figures import Part
from benchmarks.full.fleets import TERMS, Full
from benchmarks.ledger import Before
from benchmarks.loading import discard_outbox, load
from benchmarks.processes import find, redis_cpu_s, rss_bytes
from benchmarks.stage import Stage, open_stage, stage_settings
from benchmarks.traffic import DAY, TENANT, Sent, free_message, pages
from benchmarks.weights import used_bytes
from streams.load import Fleet, Recipe, Traffic
from streams.load.traffic import DAMAGED, REPEAT, UNKNOWN
from streams.worker_process import running_worker

FOLDER = "soak"
#: Events sent at once, ten times a second.
TICK_S = 0.1
#: Messages sent at once before the first sample.
FILL_PAGE = 20_000
#: Growth from the first third of the samples to the last that counts as none, in percent.
FLAT_PERCENT = 3.0
MIB = 2**20

#: (seconds since the first one, bytes)
Sample = tuple[float, int]


async def soak(full: Full, attempt: int) -> Part:
    """Cannot be taken up again in its middle: each attempt begins anew, on nothing."""
    scale = full.scale
    part = Part(f"Soak: {scale.soak_s:,} s at {scale.soak_rate:,} events/s on {scale.soak_wallets:,} wallets")
    full.clear(FOLDER)
    fleet = Fleet(TENANT, f"s{attempt}-", scale.soak_wallets)
    with full.broker() as server:
        settings = stage_settings(full.run(scale.soak_wallets), FOLDER, server.bootstrap, writer=True)
        async with open_stage(settings) as stage:
            part.faults += await load(stage.parts, fleet, TERMS)
            await discard_outbox(stage.parts)
            before = await Before.read(stage.parts.store, fleet.forms(TERMS))
            with running_worker(settings) as stage.worker:
                traffic = Traffic(Recipe(fleet, run="soak", day=DAY))
                await _fill(full, stage, fleet, traffic)
                await _steady(part, full, stage, traffic)
                part.faults += await stage.faults(fleet.forms(TERMS), before)
    full.clear(FOLDER)
    return part


async def _fill(full: Full, stage: Stage, fleet: Fleet, traffic: Traffic) -> None:
    """Each SIM sends a message that costs nothing; then the usage before the first sample."""
    for numbers in pages(range(fleet.wallets), FILL_PAGE):
        sims = [fleet.iccid(number).encode() for number in numbers]
        await stage.send(Sent([(sim, free_message(sim)) for sim in sims]))
    for numbers in pages(range(full.scale.soak_before), FILL_PAGE):
        await stage.send(_next(traffic, len(numbers)))
    await stage.committed(stage.worker)


def _next(traffic: Traffic, events: int) -> Sent:
    made = traffic.page(events, 0)
    messages = list(zip(made.keys, made.values, strict=True))
    return Sent(messages, made.sorts[REPEAT], made.sorts[DAMAGED], made.sorts[UNKNOWN])


async def _steady(part: Part, full: Full, stage: Stage, traffic: Traffic) -> None:
    scale, data = full.scale, str(stage.settings.data)
    pids = {
        "worker": stage.worker,
        "ClickHouse writer": find("streams.clickhouse.process", data),
        "ClickHouse": find("streams.embedded.chdb_server", data),
    }
    samples: dict[str, list[Sample]] = {name: [] for name in pids}
    redis_before, redis_s = await used_bytes(stage.parts), await redis_cpu_s(stage.parts.redis)
    sampler = asyncio.create_task(_sample(pids, samples, scale.sample_s))
    started = time.perf_counter()
    try:
        events = await _produce(full, stage, traffic)
        produced_s = time.perf_counter() - started
    finally:
        sampler.cancel()
        await asyncio.gather(sampler, return_exceptions=True)
    await stage.committed(stage.worker)
    behind_s = time.perf_counter() - started - produced_s
    part.add("load", "events/s", events / produced_s, note=f"{events:,} events in {produced_s:,.0f} s")
    part.add("behind at the end", "s", behind_s, note="until the last one was committed")
    for name, found in samples.items():
        judge(part, name, found)
    grown = await used_bytes(stage.parts) - redis_before
    part.add("Redis grew", "bytes/event", grown / events, note="remembered ids")
    part.add("Redis processor", "us/event", (await redis_cpu_s(stage.parts.redis) - redis_s) / events * 1e6)


async def _produce(full: Full, stage: Stage, traffic: Traffic) -> int:
    """Send at the set rate, or as fast as it goes; answers how many events."""
    rate, seconds = full.scale.soak_rate, full.scale.soak_s
    a_tick, events = max(1, round(rate * TICK_S)), 0
    started = time.perf_counter()
    while events < rate * seconds:
        await asyncio.sleep(max(0.0, started + events / rate - time.perf_counter()))
        await stage.send(_next(traffic, a_tick))
        events += a_tick
    return events


async def _sample(pids: dict[str, int | None], samples: dict[str, list[Sample]], every_s: float) -> None:
    started = time.perf_counter()
    while True:
        for name, pid in pids.items():
            samples[name].append((time.perf_counter() - started, rss_bytes(pid)))
        await asyncio.sleep(every_s)


def judge(part: Part, name: str, samples: Sequence[Sample]) -> None:
    """Note how much memory it had and whether that is flat."""
    third = max(1, len(samples) // 3)
    first, last = (_mean([size for _, size in found]) for found in (samples[:third], samples[-third:]))
    if not first:
        return  # not a process of ours
    growth = 100 * (last / first - 1)
    flat = "flat" if growth <= FLAT_PERCENT else f"NOT FLAT: it grew by more than {FLAT_PERCENT:g} %"
    part.add(f"memory of the {name}, first third", "MiB", first / MIB)
    part.add(f"memory of the {name}, last third", "MiB", last / MIB, note=f"{flat} ({growth:+.1f} %)")
    part.add(f"memory of the {name}, slope", "MiB/min", slope(samples) * 60 / MIB, note="least squares")
    tenth = max(1, len(samples) // 10)
    tenths = [_mean([size for _, size in found]) / MIB for found in pages(samples, tenth)][:10]
    part.add(f"memory of the {name}, by tenths", "MiB", *tenths, note="in their order in the JSON")
    part.add(f"memory of the {name}, most", "MiB", max(size for _, size in samples) / MIB)


def slope(samples: Sequence[Sample]) -> float:
    """Bytes a second, by least squares."""
    at, size = _mean([time_s for time_s, _ in samples]), _mean([size for _, size in samples])
    spread = sum((time_s - at) ** 2 for time_s, _ in samples)
    return sum((time_s - at) * (found - size) for time_s, found in samples) / spread if spread else 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
