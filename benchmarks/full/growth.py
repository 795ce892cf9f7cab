"""What an event costs as fleets grow: the wallets' call by itself, and a worker from Kafka to Kafka.

The call on a large fleet is measured in turn with the call on the smallest, in a Redis beside it: machines differ from
hour to hour, two neighbours in one round do not. The worker is measured in turn with the floor.
"""

from __future__ import annotations

from contextlib import AsyncExitStack

from benchmarks.calls import Calls, Lap, add_laps, add_ratio
from benchmarks.figures import Part
from benchmarks.full.fleets import TERMS, Full, folder_of
from benchmarks.ledger import Before
from benchmarks.processes import end_leftovers, find, rss_bytes
from benchmarks.stage import open_stage, stage_settings, working
from benchmarks.stream import rounds
from benchmarks.weights import used_bytes, weigh


async def wallets(full: Full, count: int, attempt: int) -> Part:
    """The call on a fleet of so many wallets, the smallest fleet beside it; and what everything weighs."""
    scale, least = full.scale, full.scale.wallets[0]
    part = Part(f"{count:,} wallets: WalletStore.charge in calls of 3,000, Zipf 1.05")
    async with AsyncExitStack() as stack:
        calls = {}
        parts = await stack.enter_async_context(full.opened(part, count))
        weight = await used_bytes(parts)
        calls[count] = Calls(parts, full.fleet(count), TERMS)
        if count != least:
            beside = await stack.enter_async_context(full.opened_beside(part))
            calls[least] = Calls(beside, full.fleet(least), TERMS)
        for each in calls.values():
            await each.begin()
        laps: dict[int, list[Lap]] = {size: [] for size in calls}
        for number in range(-1, scale.runs):
            for size in list(calls)[:: 1 if number % 2 == 0 else -1]:
                lap = await calls[size].lap(f"{attempt}-{number}", scale.entries)
                if number >= 0:  # the first one warms up
                    laps[size].append(lap)
        for size, found in laps.items():
            add_laps(part, f"{size:,} wallets", found)
            part.faults += [f"{size:,} wallets: {fault}" for fault in await calls[size].faults()]
        if count != least:
            add_ratio(part, f"against {least:,} wallets", laps[count], laps[least])
        await weigh(part, parts, full.fleet(count))
        note = "directory, membership and commands' ids included"
        part.add("all of Redis for a wallet with its SIM, loaded", "bytes", weight / count, note=note)
    return part


async def stream(full: Full, count: int, attempt: int) -> Part:
    """A worker on a fleet of so many wallets, beside the floor."""
    run, fleet = full.run(count), full.fleet(count)
    part = Part(f"{count:,} wallets: Kafka door, {full.scale.stream_events:,} events a round, ClickHouse elsewhere")
    end_leftovers(full.folder / folder_of(count))
    with full.broker() as server:
        broker = find("kafka.Kafka", str(full.folder / "kafka"))
        settings = stage_settings(run, folder_of(count), server.bootstrap, writer=False)
        async with open_stage(settings) as stage:
            await full.loaded(part, stage.parts, folder_of(count), fleet)
            before = await Before.read(stage.parts.store, fleet.forms(TERMS))
            async with working(stage):
                await rounds(part, run, stage, fleet.name, broker, f"{attempt}-")
                part.add("memory of the worker", "MiB", rss_bytes(stage.worker) / 2**20)
                part.faults += await stage.faults(fleet.forms(TERMS), before)
    return part
