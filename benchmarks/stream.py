"""Part 6: the Kafka door beside the naked floor, in turn on the same events. Part 7: produce to suspend.

Before each round both processes, and the engine's ClickHouse writer, are stopped (SIGSTOP) and the round's events are
put on the topic; then one after the other gets the machine for itself and works them off. A time ends when the group
has committed everything, so rated records are delivered by then. The writer runs while the engine does. Stopped
processes cost nothing, and caches stay warm from round to round.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.figures import Part
from benchmarks.latency import latency
from benchmarks.processes import cpu_s, find, redis_cpu_s
from benchmarks.run import Run
from benchmarks.stage import Stage, open_stage, second_worker, stage_settings, working
from benchmarks.traffic import fleet, iccid, traffic
from streams.embedded.kafka import KafkaServer


@dataclass(frozen=True)
class Lap:
    """What one process took for one round: seconds, and processor microseconds an event by process."""

    events: int
    seconds: float
    process_us: float
    redis_us: float
    broker_us: float
    #: What follows the topics: the ClickHouse writer's process and the embedded ClickHouse.
    writer_us: float
    clickhouse_us: float

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    @property
    def cpu_us(self) -> float:
        """All processes together."""
        return self.process_us + self.redis_us + self.broker_us + self.writer_us + self.clickhouse_us


async def kafka(run: Run) -> Part:
    """The worker as it is by default, and with ClickHouse left to another worker."""
    part = Part(f"Kafka door, {run.sizes.stream_events:,} events a round on {run.sizes.stream_wallets:,} wallets")
    with ExitStack() as stack:
        bootstrap, broker = run.settings.kafka.bootstrap, None
        if run.settings.engine.mode == "embedded":
            server = stack.enter_context(KafkaServer(run.folder / "kafka"))
            bootstrap, broker = server.bootstrap, find("kafka.Kafka", str(run.folder / "kafka"))
        for writer in (True, False):
            name = "writer" if writer else "no-writer"
            settings = stage_settings(run, name, bootstrap, writer=writer)
            async with open_stage(settings) as stage:
                await stage.load(fleet(run.sizes.stream_wallets, name))
                async with working(stage):
                    await stage.meet(iccid(name, number) for number in range(run.sizes.stream_wallets))
                    await rounds(part, run, stage, name, broker)
                    if not writer:
                        await _two_workers(part, run, stage, name)
                    await latency(part, run, stage, name)
                    part.faults += [f"{name}: {fault}" for fault in await stage.faults()]
    return part


async def rounds(
    part: Part, run: Run, stage: Stage, name: str, broker: int | None, events_begin: str = ""
) -> None:  # fmt: skip
    """Let worker and floor work off the same events in turn. `events_begin`: how their ids do, for a repeat of it."""
    pids = [pid for pid in (stage.floor, stage.worker) if pid]
    data = str(stage.settings.data)
    writer, clickhouse = (find(mark, data) for mark in ("streams.clickhouse.process", "streams.embedded.chdb_server"))
    beside = {stage.worker: (writer, clickhouse)}
    count, wallets = run.sizes.stream_events, run.sizes.stream_wallets
    await stage.send(traffic(f"{events_begin}warm-up", max(500, count // 10), wallets, 0, name))
    for pid in pids:
        await stage.committed(pid)
    laps: dict[int, list[Lap]] = {pid: [] for pid in pids}
    for number in range(run.sizes.runs):
        sent = traffic(f"{events_begin}round-{number}", count, wallets, number, name)
        try:
            _signal(signal.SIGSTOP, *pids, writer)
            await stage.send(sent)
            for pid in pids if number % 2 == 0 else pids[::-1]:
                laps[pid].append(await _lap(stage, pid, broker, len(sent.messages), *beside.get(pid, (None, None))))
        finally:
            _signal(signal.SIGCONT, *pids, writer)
    if stage.floor:
        _signal(signal.SIGSTOP, stage.floor)
    _report(part, name, laps[stage.worker], laps.get(stage.floor, []))


async def _two_workers(part: Part, run: Run, stage: Stage, name: str) -> None:
    """A second worker joins, and both work off the same number of events together."""
    count, wallets = run.sizes.stream_events, run.sizes.stream_wallets
    async with second_worker(stage) as second:
        rates = []
        for number in range(run.sizes.runs + 1):
            sent = traffic(f"two-{number}", count, wallets, number, name)
            try:
                _signal(signal.SIGSTOP, stage.worker, second)
                await stage.send(sent)
                started = time.perf_counter()
                _signal(signal.SIGCONT, stage.worker, second)
                await stage.committed(stage.worker)
            finally:
                _signal(signal.SIGCONT, stage.worker, second)
            rates.append(len(sent.messages) / (time.perf_counter() - started))
    part.add("two workers, ClickHouse elsewhere", "events/s", *rates[1:])


async def _lap(
    stage: Stage, pid: int, broker: int | None, events: int, writer: int | None, clickhouse: int | None,
) -> Lap:  # fmt: skip
    """Let one process go, its writer with it, until it has committed everything."""

    async def spent() -> list[float]:
        return [cpu_s(pid), await redis_cpu_s(stage.parts.redis), cpu_s(broker), cpu_s(writer), cpu_s(clickhouse)]

    before = await spent()
    started = time.perf_counter()
    _signal(signal.SIGCONT, pid, writer)
    await stage.committed(pid)
    seconds = time.perf_counter() - started
    _signal(signal.SIGSTOP, pid, writer)
    used = [(end - start) / events * 1e6 for start, end in zip(before, await spent(), strict=True)]
    return Lap(events, seconds, *used)


def _report(part: Part, name: str, engine: list[Lap], floor: list[Lap]) -> None:
    title = "engine" if name == "writer" else "engine, ClickHouse elsewhere"
    part.add(title, "events/s", *(lap.rate for lap in engine))
    if floor:
        pairs = list(zip(engine, floor, strict=True))
        part.add("  the floor beside it", "events/s", *(lap.rate for lap in floor))
        part.add("  of the floor's rate", "ratio", *(ours.rate / bare.rate for ours, bare in pairs))
        part.add("  of the floor's processor", "ratio", *(ours.cpu_us / bare.cpu_us for ours, bare in pairs))
    for who, laps in (("engine", engine), ("floor", floor)):
        if laps:
            each = {
                "process": [lap.process_us for lap in laps], "Redis": [lap.redis_us for lap in laps],
                "broker": [lap.broker_us for lap in laps], "writer": [lap.writer_us for lap in laps],
                "ClickHouse": [lap.clickhouse_us for lap in laps],
            }  # fmt: skip
            for what, values in each.items():
                if any(values):
                    part.add(f"  {who}: {what} processor", "us/event", *values)


def _signal(number: signal.Signals, *pids: int | None) -> None:
    for pid in pids:
        if pid is not None:
            os.kill(pid, number)
