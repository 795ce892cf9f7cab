"""Workers of one group share the partitions while usage comes in, and no event is lost or decided twice."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from rater.money import parse_nanos
from rater.pipeline.batch import Batch
from rater.settings import KafkaSettings, Settings
from rater.wallet.store import WalletStore
from streams.embedded.kafka import KafkaServer
from streams.intake import Intake
from streams.kafka import KafkaSink, KafkaSource
from streams.opening import create_topics_of
from streams.topics import DEAD_LETTERS, RATED
from tests.rater.pipeline.conftest import NOW_MS, Bench, message

PARTITIONS = 4
SIMS = 8


@pytest.fixture
async def settings(kafka: KafkaServer, request: pytest.FixtureRequest) -> Settings:
    name = request.node.name.replace("[", "-").rstrip("]")
    made = Settings(
        kafka=KafkaSettings(
            bootstrap=kafka.bootstrap,
            usage_topic=name,
            commands_topic=f"{name}.commands",
            group=name,
            prefix=f"{name}.",
            partitions=PARTITIONS,
        )
    )
    await create_topics_of(made)
    return made


@pytest.fixture
async def bench(redis: Any) -> Bench:
    made = Bench(redis, await WalletStore.open(redis, shards=4))
    await made.wallet("w", "1000.00", *(f"sim-{number}" for number in range(SIMS)))
    return made


@contextlib.asynccontextmanager
async def worker(settings: Settings, bench: Bench) -> AsyncIterator[Intake]:
    sink = KafkaSink(settings.kafka, settings.kafka.prefix)
    await sink.start()
    intake = Intake(settings, await bench.pipeline(), sink, lambda: NOW_MS)
    await intake.start()
    try:
        yield intake
    finally:
        await asyncio.wait_for(intake.stop(), 30)
        await sink.close()


async def read_back(settings: Settings, topic: str, count: int) -> list[dict[str, Any]]:
    """The first `count` messages of a topic the engine wrote."""
    consumer = AIOKafkaConsumer(
        settings.kafka.prefix + topic,
        bootstrap_servers=settings.kafka.bootstrap,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        found: list[dict[str, Any]] = []
        while len(found) < count:
            fetched = await consumer.getmany(timeout_ms=1000)
            found += [orjson.loads(record.value) for records in fetched.values() for record in records]
        return found
    finally:
        await consumer.stop()


async def test_partitions_are_shared_out_anew_while_usage_trickles_in(settings: Settings, bench: Bench) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap)
    await producer.start()
    sent = 0
    shared = asyncio.Event()

    async def trickle() -> None:
        nonlocal sent
        while not shared.is_set():
            event = message(str(sent), f"sim-{sent % SIMS}")
            await producer.send_and_wait(settings.kafka.usage_topic, event, partition=sent % PARTITIONS)
            sent += 1
            await asyncio.sleep(0.02)

    feeding = asyncio.create_task(trickle())
    async with worker(settings, bench) as first, contextlib.AsyncExitStack() as stack:
        while not first.partitions:
            await asyncio.sleep(0.05)
        second = await stack.enter_async_context(worker(settings, bench))
        while len(first.partitions) != len(second.partitions) or first.partitions & second.partitions:
            await asyncio.sleep(0.05)
        shared.set()
        await feeding
        rated = await read_back(settings, RATED, sent)
    await producer.stop()
    assert {record["id"] for record in rated} == {str(number) for number in range(sent)}
    paid = parse_nanos("1000.00") - await bench.balance_nanos("w")
    assert paid == sent * parse_nanos("0.10"), "each event is paid once, whichever worker had it"


async def test_who_is_at_the_end_of_the_topic_fetches_nothing_ahead_of_need(settings: Settings, bench: Bench) -> None:
    """What would wait in the consumer while earlier batches are under way stays in the topic."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap)
    await producer.start()
    async with worker(settings, bench) as intake:
        consumer, seen = intake._consumer, list[tuple[int, bool]]()
        put = intake._conveyor.put

        async def noted(batch: Batch) -> None:
            seen.append((len(batch.events), consumer.paused() == consumer.assignment() != set()))
            await put(batch)

        intake._conveyor.put = noted  # type: ignore[method-assign]
        for number in range(20):
            event = message(str(number), f"sim-{number % SIMS}")
            await producer.send_and_wait(settings.kafka.usage_topic, event, partition=number % PARTITIONS)
        rated = await asyncio.wait_for(read_back(settings, RATED, 20), 60)
    await producer.stop()
    assert sum(events for events, _ in seen) == 20 == len({record["id"] for record in rated})
    assert seen[-1][1], "the last batch took all there was"


async def test_a_record_as_large_as_the_broker_takes_is_dead_lettered_whole(settings: Settings, bench: Bench) -> None:
    """In base64 it is larger than the broker takes by default."""
    largest = b"x" * 1_000_000
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap, max_request_size=2_000_000)
    await producer.start()
    await producer.send_and_wait(settings.kafka.usage_topic, largest, headers=[("empty", None)])
    await producer.stop()
    async with worker(settings, bench):
        (letter,) = await asyncio.wait_for(read_back(settings, DEAD_LETTERS, 1), 60)
    assert base64.b64decode(letter["raw"]) == largest
    assert letter["headers"] == {"empty": ""}


async def test_a_reader_that_lost_its_place_in_the_group_goes_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = KafkaSink(settings.kafka, settings.kafka.prefix)
    await sink.start()
    await sink.publish({RATED: [(b"key", b"1")]})
    await sink.close()
    source = KafkaSource(settings.kafka, settings.kafka.prefix, settings.kafka.group, [RATED])
    await source.start()
    while not (first := await source.read(10, 1)):
        pass
    monkeypatch.setattr(source._consumer._coordinator, "generation", 0)  # as after a rebalance it was not part of
    await source.commit()
    while not (again := await source.read(10, 1)):
        pass
    await source.commit()
    await source.close()
    assert again == first
