"""A company's wallet runs dry: how long until the last of its SIMs is told, and do others wait meanwhile?

The charge only marks the wallet; its SIMs follow in pages, which the publisher asks for between other calls. The others
are charged without a pause, in calls as small as a worker makes them when it is calm.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass, field

from benchmarks.calls import Calls
from benchmarks.figures import Part
from benchmarks.ledger import check
from benchmarks.run import Run
from benchmarks.topics import read_files
from benchmarks.traffic import TENANT, free_message, one_message
from benchmarks.wallets import TERMS
from rater.pipeline.batch import Batch, Door, RawEvent
from rater.pipeline.tally import Tally
from rater.wallet.load import WalletForm, load_wallets
from streams.engine import Engine, open_engine
from streams.load import Fleet
from streams.load.fleet import Terms
from streams.opening import topics_folder

#: Events in a call of the others, and calls before a crossing to compare with.
CALL_EVENTS = 300
CALLS_BEFORE = 30


@dataclass
class Crossing:
    """What crossings took, in milliseconds."""

    charge_ms: list[float] = field(default_factory=list)
    alone_ms: list[float] = field(default_factory=list)
    beside_ms: list[float] = field(default_factory=list)
    #: Calls of the others, before and meanwhile.
    before_ms: list[float] = field(default_factory=list)
    meanwhile_ms: list[float] = field(default_factory=list)


async def crossing(run: Run) -> Part:
    """Each round one company crosses while nothing else goes on, and one while others are charged."""
    sims = run.sizes.company_sims
    part = Part(f"A wallet with {sims:,} SIMs crosses, embedded")
    settings = run.embedded("crossing", writer=False)
    found, tally, forms = Crossing(), Tally(), []
    async with open_engine(settings, kafka=False) as engine:
        others = Fleet(TENANT, "others", run.sizes.stream_wallets, dry_ppm=0)
        await _load(engine, list(others.forms(TERMS)))
        calls = Calls(engine.parts, others, TERMS)
        await calls.begin()
        for number in range(run.sizes.runs):
            for beside in (False, True):
                company = Fleet(TENANT, f"company{number}{beside}-", 1, sims, dry_ppm=1_000_000)
                forms += list(company.forms(Terms(dry_balance="0.01")))
                await _load(engine, forms[-1:])
                await _cross(engine, company, calls if beside else None, found, tally)
        part.faults += await calls.faults()
        part.faults += await check(read_files(topics_folder(settings)), tally, engine.parts.store, forms)
    _report(part, found)
    return part


async def _load(engine: Engine, forms: list[WalletForm]) -> None:
    parts = engine.parts
    await load_wallets(forms, parts.store, parts.directory, now_ms=parts.clock_ms())
    await engine.settle_down()


async def _cross(engine: Engine, company: Fleet, others: Calls | None, found: Crossing, tally: Tally) -> None:
    sim = company.iccid(0)
    await _decide(engine, free_message(sim.encode()), f"{company.name}seen", tally)
    if others:
        found.before_ms += [await _call(others, f"{company.name}before-{number}") for number in range(CALLS_BEFORE)]
    meanwhile: list[float] = []
    started = time.perf_counter()
    charge_ms = await _decide(engine, one_message(f"{company.name}cross", sim), f"{company.name}cross", tally)
    told = asyncio.create_task(engine.publisher.drained())
    while others and not told.done():
        meanwhile.append(await _call(others, f"{company.name}meanwhile-{len(meanwhile)}"))
    await told
    (found.beside_ms if others else found.alone_ms).append((time.perf_counter() - started) * 1000)
    found.charge_ms.append(charge_ms)
    found.meanwhile_ms += meanwhile


async def _decide(engine: Engine, event: bytes, door: str, tally: Tally) -> float:
    """An event on its way through the pipeline; answers the milliseconds that its charge took."""
    pipeline = engine.pipeline
    batch = Batch([RawEvent(event, Door(f"file:{door}"), 0)], engine.parts.clock_ms(), format="usage")
    work = await pipeline.prepare(batch)
    started = time.perf_counter()
    await pipeline.charge(work)
    charge_ms = (time.perf_counter() - started) * 1000
    outputs = pipeline.settle(work)
    await engine.sink.publish(outputs.messages)
    tally.add(outputs.tally)
    return charge_ms


async def _call(calls: Calls, run: str) -> float:
    """Milliseconds of one call on the others."""
    return (await calls.lap(run, CALL_EVENTS)).elapsed_us * CALL_EVENTS / 1000


def _report(part: Part, found: Crossing) -> None:
    part.add("the charge that crosses", "ms", *found.charge_ms)
    part.add("to the last SIM's event, nothing else going on", "ms", *found.alone_ms)
    part.add("to the last SIM's event, others charged meanwhile", "ms", *found.beside_ms)
    before, meanwhile = statistics.median(found.before_ms), statistics.median(found.meanwhile_ms)
    part.add(f"others, a call of {CALL_EVENTS}, before", "ms", before, note="median of calls")
    part.add(f"others, a call of {CALL_EVENTS}, meanwhile", "ms", meanwhile, note="median of calls")
    part.add(f"others, a call of {CALL_EVENTS}, slowest meanwhile", "ms", max(found.meanwhile_ms))
    part.add("others, meanwhile against before", "ratio", meanwhile / before)
