"""Topics and ClickHouse opened as the settings say, for the engine and for a writer that runs without one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeVar

from rater.settings import KafkaSettings, Settings
from streams.clickhouse.ledger import open_clickhouse
from streams.clickhouse.server import ClickHouse
from streams.embedded.parts import EmbeddedParts
from streams.kafka import MESSAGE_BYTES, KafkaCursor, KafkaSink, KafkaSource, begin_group_at_end, create_topics
from streams.spool import SpoolCursor, SpoolSource, begin_at_end
from streams.spool_sink import SpoolSink
from streams.topics import ALL, LEDGER, Cursor, Sink, Source

Client = TypeVar("Client", KafkaSink, KafkaSource, KafkaCursor)

#: The ClickHouse writer's own place in the topics.
WRITER_GROUP = "clickhouse-writer"


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
        spool = SpoolSink(topics_folder(settings), fsync=settings.engine.durability != "process")
        try:
            yield spool
        finally:
            await spool.close()
        return
    await create_topics_of(settings)
    async with open_producer(settings) as sink:
        yield sink


def open_producer(settings: Settings) -> AbstractAsyncContextManager[KafkaSink]:
    """A producer to topics that are there."""
    return _started(KafkaSink(settings.kafka, settings.kafka.prefix))


@asynccontextmanager
async def _started(client: Client) -> AsyncIterator[Client]:
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def create_topics_of(settings: Settings) -> None:
    """Make the topics in and out that do not exist yet."""
    kafka = settings.kafka
    await create_topics(kafka, [kafka.usage_topic, kafka.commands_topic], kafka.partitions)
    outputs = [kafka.prefix + topic for topic in ALL]
    await create_topics(kafka, outputs, kafka.partitions, MESSAGE_BYTES)


def topics_folder(settings: Settings) -> Path:
    """Where topics live as files when there is no Kafka."""
    return settings.data / "topics"


@asynccontextmanager
async def open_source(
    settings: Settings, group: str, *, kafka: bool, topics: Sequence[str] = LEDGER, from_end: bool = False
) -> AsyncIterator[Source]:
    """The topics read back; `from_end`: a group that has not read yet begins with what comes from now on."""
    if not kafka:
        if from_end:
            await begin_at_end(topics_folder(settings), group, topics)
        yield SpoolSource(topics_folder(settings), group, topics)
        return
    if from_end:
        await begin_group_at_end(*_of_group(settings, group), topics)
    async with _started(KafkaSource(*_of_group(settings, group), topics)) as source:
        yield source


@asynccontextmanager
async def open_cursor(settings: Settings, group: str, *, kafka: bool) -> AsyncIterator[Cursor]:
    """How far a group has come in the topics."""
    if not kafka:
        yield SpoolCursor(topics_folder(settings), group)
        return
    async with _started(KafkaCursor(*_of_group(settings, group))) as cursor:
        yield cursor


def _of_group(settings: Settings, group: str) -> tuple[KafkaSettings, str, str]:
    """Where a group of the engine's own reads: brokers, prefix of topics, and its name."""
    kafka = settings.kafka
    return kafka, kafka.prefix, f"{kafka.group}-{group}"
