"""The engine assembled as the settings say: parts, wallets, pipeline, outputs, writer. Doors and commands open it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from redis.asyncio import Redis, RedisCluster

from rater.catalogue import Catalogue
from rater.directory import Directory
from rater.pipeline.catalogues import Catalogues
from rater.pipeline.pipeline import Pipeline
from rater.pipeline.prepare import DAY_MS, HOUR_MS, Limits
from rater.settings import Settings
from rater.wallet.outbox import Outbox
from rater.wallet.store import WalletStore
from streams.clickhouse.ids import lookup_ids
from streams.clickhouse.server import ClickHouse, open_clickhouse
from streams.clickhouse.writer import Writer
from streams.crew import Crew
from streams.embedded.parts import EmbeddedParts
from streams.kafka import MESSAGE_BYTES, KafkaSink, KafkaSource, create_topics
from streams.publisher import Publisher
from streams.spool import SpoolSink, SpoolSource
from streams.topics import ALL, Sink, Source

#: The ClickHouse writer's own place in the topics.
WRITER_GROUP = "clickhouse-writer"


@dataclass
class Parts:
    """Redis and what stands on it: enough for the commands on wallets and SIMs."""

    settings: Settings
    redis: Redis
    store: WalletStore
    directory: Directory
    outbox: Outbox
    embedded: EmbeddedParts | None
    clock_ms: Callable[[], int]


@dataclass
class Engine:
    """Everything a door needs."""

    parts: Parts
    catalogue: Catalogue
    pipeline: Pipeline
    sink: Sink
    publisher: Publisher
    clickhouse: ClickHouse
    writer: Writer
    #: Publisher and writer; doors stop when one of them fails.
    crew: Crew

    async def settle_down(self) -> None:
        """Return once every crossing is published and every record stands in ClickHouse (if it is written here)."""
        await self.crew.wait(self.publisher.drained())
        if self.parts.settings.clickhouse.writer:
            await self.crew.wait(self.writer.caught_up())

    async def rotate(self, clear_ms: int) -> None:
        """Begin new generations of remembered ids, and drop those that nobody will ask for again.

        `clear_ms`: the door had acknowledged everything at that time. What was decided before it, and before the writer
        last found nothing left to write, stands in ClickHouse. A generation is at least `memory_days` past its end when
        it is dropped, which is the time another worker has for what it had under way.
        """
        now_ms, window_ms = self.parts.clock_ms(), self.parts.settings.intake.memory_days * DAY_MS
        safe_ms = min(clear_ms, self.writer.caught_up_ms)
        for shard in range(self.parts.store.shards):
            await self.parts.store.rotate(shard, now_ms=now_ms, window_ms=window_ms, safe_ms=safe_ms)


@asynccontextmanager
async def open_parts(settings: Settings) -> AsyncIterator[Parts]:
    """Start or reach Redis, check that it is safe, and open the wallets."""
    clock_ms = settings.clock()
    async with AsyncExitStack() as stack:
        embedded = None
        if settings.engine.mode == "embedded":
            parts = EmbeddedParts(
                settings.data, appendfsync="no" if settings.engine.durability == "process" else "always"
            )
            embedded = await stack.enter_async_context(parts)
            redis: Any = Redis(unix_socket_path=str(embedded.redis_socket))
        elif settings.redis.cluster:
            redis = RedisCluster.from_url(settings.redis.url)
        else:
            redis = Redis.from_url(settings.redis.url)
        stack.push_async_callback(redis.aclose)
        engine = settings.engine
        store = await WalletStore.open(redis, shards=engine.shards, durability=engine.durability)
        directory = Directory(redis, store)
        yield Parts(settings, redis, store, directory, Outbox(redis, store), embedded, clock_ms)


@asynccontextmanager
async def open_clickhouse_of(settings: Settings, embedded: EmbeddedParts | None) -> AsyncIterator[ClickHouse]:
    """The invoicing store, migrated; the embedded one is started if it does not run."""
    socket = await asyncio.to_thread(lambda: embedded.clickhouse_socket) if embedded else None
    clickhouse = await open_clickhouse(settings.clickhouse.url, socket)
    try:
        yield clickhouse
    finally:
        await clickhouse.close()


@asynccontextmanager
async def open_sink(settings: Settings, *, kafka: bool) -> AsyncIterator[Sink]:
    """The topics, in Kafka or as files."""
    if not kafka:
        yield SpoolSink(topics_folder(settings), fsync=settings.engine.durability != "process")
        return
    await create_topics_of(settings)
    sink = KafkaSink(settings.kafka.bootstrap, settings.kafka.prefix)
    await sink.start()
    try:
        yield sink
    finally:
        await sink.close()


async def create_topics_of(settings: Settings) -> None:
    """Make the topics in and out that do not exist yet."""
    kafka = settings.kafka
    await create_topics(kafka.bootstrap, [kafka.usage_topic, kafka.commands_topic], kafka.partitions)
    outputs = [kafka.prefix + topic for topic in ALL]
    await create_topics(kafka.bootstrap, outputs, kafka.partitions, MESSAGE_BYTES)


def topics_folder(settings: Settings) -> Path:
    """Where topics live as files when there is no Kafka."""
    return settings.data / "topics"


@asynccontextmanager
async def open_source(settings: Settings, group: str, *, kafka: bool) -> AsyncIterator[Source]:
    """The topics read back."""
    if not kafka:
        yield SpoolSource(topics_folder(settings), group)
        return
    source = KafkaSource(settings.kafka.bootstrap, settings.kafka.prefix, f"{settings.kafka.group}-{group}")
    await source.start()
    try:
        yield source
    finally:
        await source.close()


@asynccontextmanager
async def open_engine(settings: Settings, *, kafka: bool) -> AsyncIterator[Engine]:
    """Open everything; while it is open, crossings are published and topics are written to ClickHouse."""
    catalogue = Catalogue.load(Path(settings.engine.catalogue))
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(open_parts(settings))
        clickhouse = await stack.enter_async_context(open_clickhouse_of(settings, parts.embedded))
        sink = await stack.enter_async_context(open_sink(settings, kafka=kafka))
        catalogues = Catalogues(parts.redis, catalogue)
        await catalogues.keep()
        limits = Limits(settings.intake.too_old_days * DAY_MS, settings.intake.future_hours * HOUR_MS)
        pipeline = Pipeline(parts.store, parts.directory, catalogues, limits, partial(lookup_ids, clickhouse))
        publisher = Publisher(parts.outbox, settings.engine.shards, sink, parts.clock_ms)
        source = await stack.enter_async_context(open_source(settings, WRITER_GROUP, kafka=kafka))
        writer = Writer(source, clickhouse, parts.clock_ms)
        tasks = [publisher.run(), writer.run()] if settings.clickhouse.writer else [publisher.run()]
        crew = await stack.enter_async_context(Crew(*tasks))
        _tune_collection()
        yield Engine(parts, catalogue, pipeline, sink, publisher, clickhouse, writer, crew)


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
            writer = Writer(SpoolSource(topics_folder(settings), WRITER_GROUP), clickhouse)
            while await writer.write_once(0):
                pass
        yield clickhouse


async def publish_outbox(parts: Parts) -> None:
    """Publish what a command left in the outbox; a running worker that has the lease does it instead."""
    async with open_sink(parts.settings, kafka=parts.settings.engine.mode == "distributed") as sink:
        await Publisher(parts.outbox, parts.settings.engine.shards, sink, parts.clock_ms).drain()
