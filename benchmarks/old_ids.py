"""The slow lane: usage so old that Redis has forgotten its ids, which are looked up in ClickHouse before it may charge.

Half of what is asked for was decided before. Ids are asked for in no order, the hardest case for a table in order.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import Random

from benchmarks.calls import PAGE
from benchmarks.figures import Part
from benchmarks.ledger import check
from benchmarks.run import Run
from benchmarks.topics import read_files
from benchmarks.traffic import DAY, TENANT, pages
from benchmarks.wallets import TERMS
from rater.pipeline.batch import Batch, Door, RawEvent
from rater.pipeline.tally import Tally
from rater.wallet.load import load_wallets
from schemas.fates import Fate
from streams.clickhouse.ids import lookup_ids
from streams.engine import Engine, open_engine
from streams.load import Fleet, Recipe, Traffic
from streams.opening import topics_folder

FINGERPRINT = "0011223344556677"
SOURCE = "old"


async def old_ids(run: Run) -> Part:
    """The look-up by itself, then old usage through the pipeline."""
    count, held = run.sizes.entries, run.sizes.old_ids
    part = Part(f"Slow lane: {count:,} ids a round, {held:,} ids in ClickHouse, embedded")
    settings = run.embedded("old-ids")
    async with open_engine(settings, kafka=False) as engine:
        parts, tally = engine.parts, Tally()
        fleet = Fleet(TENANT, "old", run.sizes.stream_wallets, dry_ppm=0)
        forms = list(fleet.forms(TERMS))
        await load_wallets(forms, parts.store, parts.directory, now_ms=parts.clock_ms())
        decided = _usage(fleet, "first", count // 2)
        await _decide(engine, decided, "first", tally)
        await engine.settle_down()
        await engine.clickhouse.execute(
            f"INSERT INTO decided_ids SELECT '{TENANT}', '{SOURCE}', concat('id-', toString(number)), "
            f"'{FINGERPRINT}' FROM numbers({held})"
        )
        await _forget(engine)
        await _look_up(part, engine, run)
        await _old_usage(part, engine, run, fleet, decided, tally)
        await engine.settle_down()
        part.faults += await check(read_files(topics_folder(settings)), tally, parts.store, forms)
    return part


def _usage(fleet: Fleet, run: str, count: int) -> list[bytes]:
    """Usage of which each event is good and is there once."""
    recipe = Recipe(fleet, run=run, day=DAY, repeats_ppm=0, damaged_ppm=0, unknown_ppm=0)
    return Traffic(recipe).page(count, 0).values


async def _forget(engine: Engine) -> None:
    """Let Redis forget the ids it has: three generations pass at once."""
    store, now_ms = engine.parts.store, engine.parts.clock_ms()
    for later in range(4):
        for shard in range(store.shards):
            await store.rotate(shard, now_ms=now_ms + later, window_ms=1, safe_ms=now_ms + 10)


async def _look_up(part: Part, engine: Engine, run: Run) -> None:
    count, held, rates = run.sizes.entries, run.sizes.old_ids, []
    for number in range(run.sizes.runs):
        random = Random(number)
        known = [(SOURCE, f"id-{random.randrange(held)}") for _ in range(count // 2)]
        wanted = known + [(SOURCE, f"none-{random.randrange(held)}") for _ in range(count // 2)]
        random.shuffle(wanted)
        found: dict[tuple[str, str], str] = {}
        started = time.perf_counter()
        for page in pages(wanted, PAGE):
            found |= await lookup_ids(engine.clickhouse, TENANT, page)
        rates.append(len(wanted) / (time.perf_counter() - started))
        if found != dict.fromkeys(known, FINGERPRINT):
            part.faults.append(f"{len(found):,} ids were found, not the {len(set(known)):,} that are there")
    part.add("looked up, in calls of 3,000", "ids/s", *rates)


async def _old_usage(
    part: Part, engine: Engine, run: Run, fleet: Fleet, decided: Sequence[bytes], tally: Tally
) -> None:  # fmt: skip
    rates = []
    for number in range(run.sizes.runs):
        fresh = _usage(fleet, f"late-{number}", len(decided))
        mixed = [event for pair in zip(decided, fresh, strict=True) for event in pair]
        came, started = Tally(), time.perf_counter()
        await _decide(engine, mixed, f"late-{number}", came)
        rates.append(len(mixed) / (time.perf_counter() - started))
        fates = came.of(Fate.DUPLICATE), came.of(Fate.RATED)
        if fates != (len(decided), len(fresh)):
            part.faults.append(
                f"of {len(decided):,} old repeats and as many new events {fates} were duplicate and rated"
            )
        tally.add(came)
    part.add("old usage through the pipeline", "events/s", *rates)


async def _decide(engine: Engine, events: Sequence[bytes], name: str, tally: Tally) -> None:
    """Events in batches of 3,000, one after the other."""
    door = Door(f"file:{name}")
    raw = [RawEvent(event, door, place) for place, event in enumerate(events)]
    for page in pages(raw, PAGE):
        outputs = await engine.pipeline.process(Batch(page, engine.parts.clock_ms(), format="usage"))
        await engine.sink.publish(outputs.messages)
        tally.add(outputs.tally)
