"""The engine assembled as the settings say: parts, pipeline, desks, outputs, writer. Doors and commands open it."""

from __future__ import annotations

import gc
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rater import compiled
from rater.catalogue import Catalogue
from rater.pipeline.catalogues import Catalogues
from rater.pipeline.pipeline import Pipeline
from rater.pipeline.prepare import DAY_MS, HOUR_MS, Limits
from rater.settings import Settings
from streams.clickhouse.ids import OldIds
from streams.clickhouse.process import Order
from streams.clickhouse.server import ClickHouse
from streams.clickhouse.supervisor import WriterProcess
from streams.clickhouse.writer import Writer
from streams.clickhouse.written import Written
from streams.crew import Crew
from streams.desks import Desks, open_desks
from streams.embedded.parts import EmbeddedParts
from streams.opening import WRITER_GROUP, open_clickhouse_of, open_cursor, open_producer, open_sink, open_source
from streams.parts import Parts, open_parts
from streams.publisher import LEASE_S, Publisher
from streams.timers import Sweeper
from streams.topics import Sink
from streams.transit import watch_transit

log = logging.getLogger(__name__)

#: How long a command waits for its news to be published by another process, which may have been killed.
OUTBOX_WAIT_S = LEASE_S + 1


@dataclass
class Engine:
    """Everything a door needs."""

    parts: Parts
    catalogue: Catalogue
    pipeline: Pipeline
    desks: Desks
    sink: Sink
    publisher: Publisher
    clickhouse: ClickHouse
    #: How much of the topics stands in ClickHouse, whoever writes it.
    written: Written
    #: The process that writes it, where that is this engine's affair.
    writer: WriterProcess | None
    #: The publisher, timers, what keeps the writer running, and what hears of news; doors stop when one of them fails.
    crew: Crew

    async def settle_down(self) -> None:
        """Return once every crossing is published and every record stands in ClickHouse (if it is written here)."""
        await self.crew.wait(self.publisher.drained())
        if self.writer is not None:
            await self.crew.wait(self.written.caught_up())

    async def rotate(self, clear_ms: int) -> None:
        """Begin new generations of remembered ids, and drop those that nobody will ask for again.

        `clear_ms`: the door had acknowledged everything at that time. What was decided before it, and before a moment
        whose topics are written to their end, stands in ClickHouse. A generation is at least `memory_days` past its end
        when it is dropped, which is the time another worker has for what it had under way.
        """
        await self.written.look()
        now_ms, window_ms = self.parts.clock_ms(), self.parts.settings.intake.memory_days * DAY_MS
        safe_ms = min(clear_ms, self.written.caught_up_ms)
        for shard in range(self.parts.store.shards):
            await self.parts.store.rotate(shard, now_ms=now_ms, window_ms=window_ms, safe_ms=safe_ms)


@asynccontextmanager
async def open_engine(settings: Settings, *, kafka: bool, hooks: bool = False) -> AsyncIterator[Engine]:
    """Open everything; while it is open, crossings are published and a child writes the topics to ClickHouse.

    `hooks`: webhooks are sent and rules followed as well, where the settings do not switch it off; invoices are made of
    the periods that end, and the inventory of phone numbers is kept to the subscriptions.
    """
    catalogue = Catalogue.load(Path(settings.engine.catalogue))
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(open_parts(settings))
        clickhouse = await stack.enter_async_context(open_clickhouse_of(settings, parts.embedded))
        sink = await stack.enter_async_context(open_sink(settings, kafka=kafka))
        # Of its own: a producer sends one request at a time, and a suspend must not wait behind a batch of records.
        news_sink = await stack.enter_async_context(open_producer(settings)) if kafka else sink
        publisher = Publisher(parts.outbox, settings.engine.shards, news_sink, parts.clock_ms)
        cursor = await stack.enter_async_context(open_cursor(settings, WRITER_GROUP, kafka=kafka))
        writer = _writer(parts, kafka=kafka) if settings.clickhouse.writer else None
        desks = await stack.enter_async_context(
            open_desks(parts, catalogue, clickhouse, publisher, news_sink, kafka=kafka)
        )
        sweeper = Sweeper.of(parts, catalogue, lambda: publisher.leased)
        pipeline = await _pipeline(parts, catalogue, clickhouse, publisher)
        tasks = [publisher.run(), sweeper.run(), watch_transit(parts.outbox), *([writer.run()] if writer else [])]
        crew = await stack.enter_async_context(Crew(*tasks, *desks.tasks(hooks=hooks)))
        _tune_collection()
        _say_what_is_at_work()
        written = Written(cursor, parts.clock_ms)
        yield Engine(parts, catalogue, pipeline, desks, sink, publisher, clickhouse, written, writer, crew)


async def _pipeline(parts: Parts, catalogue: Catalogue, clickhouse: ClickHouse, publisher: Publisher) -> Pipeline:
    catalogues = Catalogues(parts.redis, catalogue)
    await catalogues.keep()
    intake = parts.settings.intake
    limits = Limits(intake.too_old_days * DAY_MS, intake.future_hours * HOUR_MS)
    old_ids = OldIds(clickhouse, parts.settings.clickhouse.lookup_s)
    return Pipeline(parts.store, parts.directory, catalogues, limits, old_ids, publisher.wake)


def _writer(parts: Parts, *, kafka: bool) -> WriterProcess:
    socket = parts.embedded.clickhouse_socket if parts.embedded else None
    return WriterProcess(Order(parts.settings, kafka, socket))


def _say_what_is_at_work() -> None:
    if not compiled.IS_ON:
        log.warning("the hot path is not compiled: an event costs nearly twice as much (docs/operation.md)")


def _tune_collection() -> None:
    """Collect garbage off the hot path.

    Nothing that an event leaves behind is a cycle, so counting references frees nearly all of it. Young objects are
    looked through when there are many more of them than before; what survives is left alone: walking the catalogue and
    every known SIM in each full collection cost a sixth of the processor.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 1_000, 1_000)


@asynccontextmanager
async def open_ledger(settings: Settings) -> AsyncIterator[ClickHouse]:
    """ClickHouse, for questions. Embedded, what commands left on the topics is written first; else workers do that."""
    async with AsyncExitStack() as stack:
        embedded = None
        if settings.engine.mode == "embedded":
            embedded = await stack.enter_async_context(EmbeddedParts(settings.data))
        clickhouse = await stack.enter_async_context(open_clickhouse_of(settings, embedded))
        if embedded:
            async with open_source(settings, WRITER_GROUP, kafka=False) as source:
                writer = Writer(source, clickhouse)
                while await writer.write_once(0):
                    pass
        yield clickhouse


async def publish_outbox(parts: Parts) -> None:
    """Publish what a command left in the outbox; what a running engine has the lease of, that publishes meanwhile."""
    if parts.settings.engine.mode == "embedded":
        await _settle_timers(parts)  # a top-up may have woken a subscription; elsewhere workers see to that
    async with open_sink(parts.settings, kafka=parts.settings.engine.mode == "distributed") as sink:
        publisher = Publisher(parts.outbox, parts.settings.engine.shards, sink, parts.clock_ms)
        await publisher.drain_with_others(OUTBOX_WAIT_S)


async def _settle_timers(parts: Parts) -> None:
    next_ms = await parts.timers.next_ms()
    if next_ms is not None and next_ms <= parts.clock_ms():
        catalogue, every = Catalogue.load(Path(parts.settings.engine.catalogue)), range(parts.store.shards)
        await Sweeper.of(parts, catalogue, lambda: every).settle()
