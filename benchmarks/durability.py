"""What it costs that a charge survives the machine, not only the process: the wallet call under both settings."""

from __future__ import annotations

from contextlib import AsyncExitStack

import msgspec

from benchmarks.calls import Calls, Lap
from benchmarks.figures import Part
from benchmarks.run import Run
from benchmarks.wallets import begun
from streams.parts import open_parts

SETTINGS = ("process", "machine")


async def durability(run: Run) -> Part:
    """In turn, each in a Redis of its own."""
    count = run.sizes.stream_wallets
    part = Part(f"Durability: WalletStore.charge in calls of 3,000, {count:,} wallets")
    async with AsyncExitStack() as stack:
        calls: dict[str, Calls] = {}
        for name in SETTINGS:
            settings = run.embedded(f"durability-{name}")
            engine = msgspec.structs.replace(settings.engine, durability=name)
            opened = open_parts(msgspec.structs.replace(settings, engine=engine))
            calls[name] = await begun(part, await stack.enter_async_context(opened), count)
        laps: dict[str, list[Lap]] = {name: [] for name in SETTINGS}
        for number in range(run.sizes.runs):
            for name in SETTINGS[:: 1 if number % 2 == 0 else -1]:
                laps[name].append(await calls[name].lap(str(number), run.sizes.entries))
        for name, found in laps.items():
            part.add(name, "events/s", *(1e6 / lap.elapsed_us for lap in found))
            part.faults += [f"{name}: {fault}" for fault in await calls[name].faults()]
    pairs = zip(laps["process"], laps["machine"], strict=True)
    part.add("machine, of the rate of process", "ratio", *(one.elapsed_us / other.elapsed_us for one, other in pairs))
    return part
