"""The broker that `make stream` and the slow tests use."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from rater.errors import PartsError
from rater.settings import KafkaSettings
from streams.embedded.kafka import KafkaServer, java_command
from streams.kafka import create_topics


async def test_a_message_is_read_back(kafka: KafkaServer) -> None:
    topic = f"t-{uuid.uuid4().hex}"
    await create_topics(KafkaSettings(kafka.bootstrap), [topic], 2)
    await produce(kafka, topic, b"one")
    assert await consume(kafka, topic) == [b"one"]


async def test_what_was_acknowledged_survives_a_kill(kafka: KafkaServer) -> None:
    topic = f"t-{uuid.uuid4().hex}"
    await create_topics(KafkaSettings(kafka.bootstrap), [topic], 1)
    await produce(kafka, topic, b"before")
    before = kafka.bootstrap
    kafka.kill()
    kafka.start()
    assert kafka.bootstrap == before
    await produce(kafka, topic, b"after")
    assert await consume(kafka, topic) == [b"before", b"after"]


@pytest.mark.slow
def test_a_folder_whose_cluster_id_would_begin_with_a_dash_starts_too(tmp_path: Path) -> None:
    def first_byte(folder: Path) -> int:
        return uuid.uuid5(uuid.NAMESPACE_URL, str(folder)).bytes[0]

    with KafkaServer(next(tmp_path / str(n) for n in range(9999) if first_byte(tmp_path / str(n)) >> 2 == 62)):
        pass


@pytest.mark.slow
async def test_a_folder_that_was_moved_or_restored_elsewhere_starts_with_what_it_held(tmp_path: Path) -> None:
    with KafkaServer(tmp_path / "before") as kafka:
        await create_topics(KafkaSettings(kafka.bootstrap), ["kept"], 1)
        await produce(kafka, "kept", b"one")
    (tmp_path / "before").rename(tmp_path / "after")
    with KafkaServer(tmp_path / "after") as kafka:
        assert await consume(kafka, "kept") == [b"one"]


async def test_making_topics_again_changes_nothing(kafka: KafkaServer) -> None:
    topic = f"t-{uuid.uuid4().hex}"
    await create_topics(KafkaSettings(kafka.bootstrap), [topic], 1)
    await produce(kafka, topic, b"kept")
    await create_topics(KafkaSettings(kafka.bootstrap), [topic], 1)
    assert await consume(kafka, topic) == [b"kept"]


def test_without_java_the_error_says_what_to_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PartsError, match=r"apt-get install .*openjdk-17"):
        java_command()


def test_a_java_home_without_java_is_not_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(PartsError, match="Java 17"):
        java_command()


async def produce(kafka: KafkaServer, topic: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all")
    await producer.start()
    try:
        await producer.send_and_wait(topic, value, partition=0)
    finally:
        await producer.stop()


async def consume(kafka: KafkaServer, topic: str) -> list[bytes]:
    """Everything in the topic's first partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap)
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        end = (await consumer.end_offsets([partition]))[partition]
        values: list[bytes] = []
        while len(values) < end:
            found = await consumer.getmany(partition, timeout_ms=500)
            values += [record.value for records in found.values() for record in records]
        return values
    finally:
        await consumer.stop()
