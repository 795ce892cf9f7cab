"""Everything that stands in the engine's topics, read past any consumer group; and the topics removed afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from rater.settings import Settings
from streams.brokers import client_options
from streams.topics import ALL, TopicRecord


def read_files(folder: Path) -> list[TopicRecord]:
    """The topics of a spool folder."""
    return [
        TopicRecord(topic, int(path.stem), number, line)
        for topic in ALL
        for path in sorted((folder / topic).glob("*.jsonl"))
        for number, line in enumerate(path.read_bytes().splitlines())
    ]


async def read_kafka(settings: Settings, topics: Sequence[str] = ALL) -> AsyncIterator[TopicRecord]:
    """The engine's topics in Kafka, up to their present ends, one record after the other: there may be millions."""
    prefix = settings.kafka.prefix
    consumer = AIOKafkaConsumer(**client_options(settings.kafka), enable_auto_commit=False)
    await consumer.start()
    try:
        # A consumer that subscribes to nothing learns of all topics.
        found = [
            TopicPartition(prefix + topic, number)
            for topic in topics
            for number in await _partitions(consumer, prefix + topic)
        ]
        consumer.assign(found)
        await consumer.seek_to_beginning(*found)
        ends = await consumer.end_offsets(found)
        left = {partition for partition, end in ends.items() if end}
        while left:
            for partition, batch in (await consumer.getmany(timeout_ms=1000)).items():
                topic = partition.topic.removeprefix(prefix)
                for one in batch:
                    yield TopicRecord(topic, partition.partition, one.offset, one.value or b"")
            left = {partition for partition in left if await consumer.position(partition) < ends[partition]}
    finally:
        await consumer.stop()


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> list[int]:
    if not consumer.partitions_for_topic(topic):
        await consumer._client.force_metadata_update()
    return sorted(consumer.partitions_for_topic(topic) or ())


async def remove(settings: Settings, topics: Sequence[str]) -> None:
    """Delete topics that a run has made."""
    admin = AIOKafkaAdminClient(**client_options(settings.kafka))
    await admin.start()
    try:
        await admin.delete_topics(list(topics))
    finally:
        await admin.close()
