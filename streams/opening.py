"""Topics and ClickHouse opened as the settings say, for the engine and for a writer that runs without one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rater.settings import Settings
from streams.clickhouse.server import ClickHouse, open_clickhouse
from streams.embedded.parts import EmbeddedParts
from streams.kafka import MESSAGE_BYTES, KafkaCursor, KafkaSink, KafkaSource, create_topics
from streams.spool import SpoolCursor, SpoolSink, SpoolSource
from streams.topics import ALL, Cursor, Sink, Source

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
async def open_cursor(settings: Settings, group: str, *, kafka: bool) -> AsyncIterator[Cursor]:
    """How far a group has come in the topics."""
    if not kafka:
        yield SpoolCursor(topics_folder(settings), group)
        return
    cursor = KafkaCursor(settings.kafka.bootstrap, settings.kafka.prefix, f"{settings.kafka.group}-{group}")
    await cursor.start()
    try:
        yield cursor
    finally:
        await cursor.close()
