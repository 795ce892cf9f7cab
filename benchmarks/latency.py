"""Part 7: from the moment a usage event is sent to the moment a consumer holds the SIM's `suspended` event.

At a steady rate that does not wait for the engine (a stall shows as latency, not as fewer events). One event in a
hundred is a message of a SIM whose wallet cannot pay for it, and so crosses: far more than in real life. Each of these
SIMs was seen before, as a SIM is that runs dry.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.figures import Part, percentile
from benchmarks.run import Run
from benchmarks.stage import Stage
from benchmarks.traffic import TENANT, Sent, iccid, one_message, traffic
from rater.wallet.load import SimForm, WalletForm
from schemas.lifecycle import LifecycleEvent
from streams.brokers import client_options
from streams.topics import LIFECYCLE

TICK_S = 0.01
CROSS_EVERY = 100
#: After the last event; what has not arrived by then is a fault.
PATIENCE_S = 60

_decode = msgspec.json.Decoder(LifecycleEvent).decode


async def latency(part: Part, run: Run, stage: Stage, name: str) -> None:
    """Run the load and note the percentiles."""
    count = run.sizes.rate * run.sizes.seconds
    fleet_name = f"{name}-late"
    await stage.load([_thin(fleet_name, number) for number in range(count // CROSS_EVERY)])
    await stage.meet(_sims(fleet_name, count))
    load = _load(run, name, fleet_name, count)
    sent_s: dict[str, float] = {}
    suspended_s: dict[str, float] = {}
    rewriting = await _rewriting(stage)
    async with _following(stage, suspended_s):
        started = time.perf_counter()
        await _produce(run, stage, load, sent_s)
        produced_s = time.perf_counter() - started
        deadline = time.monotonic() + PATIENCE_S
        while not sent_s.keys() <= suspended_s.keys() and time.monotonic() < deadline:
            await asyncio.sleep(TICK_S)
    await stage.committed(stage.worker)
    missing = sent_s.keys() - suspended_s.keys()
    part.faults += [f"{name}: no suspend event for {event}" for event in sorted(missing)[:5]]
    found = [(suspended_s[event] - sent_s[event]) * 1000 for event in sent_s if event in suspended_s]
    if found:
        note = f"{len(found):,} crossings at {count / produced_s:,.0f} events/s"
        if rewriting[1] or rewriting != await _rewriting(stage):
            note += ", and Redis wrote its file anew beside it"
        for percent in (50, 99, 100):
            title = f"p{percent}" if percent < 100 else "slowest"
            part.add(f"  produce to suspend, {title}", "ms", percentile(found, percent), note=note)


async def _rewriting(stage: Stage) -> tuple[int, int]:
    """How often Redis has written its append-only file anew, and whether it does so now."""
    told = await stage.parts.redis.info("persistence")
    return int(told["aof_rewrites"]), int(told["aof_rewrite_in_progress"])


def _sims(fleet_name: str, count: int) -> list[str]:
    return [iccid(fleet_name, number) for number in range(count // CROSS_EVERY)]


def _thin(fleet_name: str, number: int) -> WalletForm:
    """A wallet that its first message empties."""
    sims = [SimForm(iccid=iccid(fleet_name, number))]
    return WalletForm(
        tenant=TENANT, wallet=f"{fleet_name}{number:07d}", currency="EUR", plan="payg-eur", balance="0.01",
        zone="Europe/Berlin", sims=sims,
    )  # fmt: skip


def _load(run: Run, name: str, fleet_name: str, count: int) -> Sent:
    """Ordinary traffic, with a crossing in place of every tenth event."""
    sent = traffic("latency", count - count // CROSS_EVERY, run.sizes.stream_wallets, 99, name)
    ordinary = iter(sent.messages)
    messages = []
    for number in range(count // CROSS_EVERY):
        sim = iccid(fleet_name, number)
        messages += [next(ordinary) for _ in range(CROSS_EVERY - 1)]
        messages.append((sim.encode(), one_message(f"cross-{number}", sim)))
    sent.messages = [*messages, *ordinary]
    return sent


async def _produce(run: Run, stage: Stage, load: Sent, sent_s: dict[str, float]) -> None:
    """Send at the set rate; delivery is awaited at the end only."""
    topic, a_tick = stage.settings.kafka.usage_topic, max(1, round(run.sizes.rate * TICK_S))
    under_way, crossing = [], 0
    started = time.perf_counter()
    for start in range(0, len(load.messages), a_tick):
        due = started + start / run.sizes.rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        page = load.messages[start : start + a_tick]
        now = time.perf_counter()
        for _, value in page:
            if b'"id":"cross-' in value:
                sent_s[f"load/cross-{crossing}"] = now
                crossing += 1
        under_way.append(asyncio.create_task(stage.sink.publish({topic: page})))
    await asyncio.gather(*under_way)
    stage.note(load)


@asynccontextmanager
async def _following(stage: Stage, suspended_s: dict[str, float]) -> AsyncIterator[None]:
    """A consumer of the lifecycle topic, as a platform has one."""
    kafka = stage.settings.kafka
    consumer = AIOKafkaConsumer(**client_options(kafka), enable_auto_commit=False)
    await consumer.start()
    partitions = [TopicPartition(kafka.prefix + LIFECYCLE, number) for number in range(kafka.partitions)]
    consumer.assign(partitions)
    await consumer.seek_to_end(*partitions)
    follower = asyncio.create_task(_follow(consumer, suspended_s))
    try:
        yield
    finally:
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)
        await consumer.stop()


async def _follow(consumer: AIOKafkaConsumer, suspended_s: dict[str, float]) -> None:
    while True:
        fetched = await consumer.getmany(timeout_ms=1000)
        now = time.perf_counter()
        for records in fetched.values():
            for record in records:
                event = _decode(record.value)
                if event.type == "suspended" and event.subscriber:
                    suspended_s.setdefault(event.cause, now)
