"""Part 3: the wallets' one call: few wallets, many (Zipf 1.05) and one, in turn; and what each of them weighs."""

from __future__ import annotations

from contextlib import AsyncExitStack

from benchmarks.calls import Calls, Lap, add_laps, add_ratio
from benchmarks.figures import Part
from benchmarks.loading import load
from benchmarks.run import Run
from benchmarks.traffic import TENANT
from benchmarks.weights import weigh
from streams.load import Fleet
from streams.load.fleet import Terms
from streams.parts import Parts, open_parts

TERMS = Terms()


async def wallets(run: Run) -> Part:
    """Each set of wallets in a Redis of its own; the order changes from round to round."""
    part = Part("Wallets: WalletStore.charge in calls of 3,000")
    counts = (*run.sizes.wallets, 1)
    async with AsyncExitStack() as stack:
        calls = {}
        for count in counts:
            parts = await stack.enter_async_context(open_parts(run.embedded(f"wallets-{count}")))
            calls[count] = await begun(part, parts, count)
        laps: dict[int, list[Lap]] = {count: [] for count in counts}
        for number in range(run.sizes.runs):
            for count in counts if number % 2 == 0 else counts[::-1]:
                laps[count].append(await calls[count].lap(str(number), run.sizes.entries))
        most = max(run.sizes.wallets)
        for count in counts:
            add_laps(part, "one hot wallet" if count == 1 else f"{count:,} wallets", laps[count])
            part.faults += [f"{count:,} wallets: {fault}" for fault in await calls[count].faults()]
        add_ratio(part, f"one hot wallet against {most:,}", laps[1], laps[most])
        await weigh(part, calls[most].parts, calls[most].fleet)
    return part


async def begun(part: Part, parts: Parts, count: int) -> Calls:
    """A fleet that can pay for everything, made and ready to be charged."""
    fleet = Fleet(TENANT, "w", count, dry_ppm=0)
    part.faults += await load(parts, fleet, TERMS)
    calls = Calls(parts, fleet, TERMS)
    await calls.begin()
    return calls
