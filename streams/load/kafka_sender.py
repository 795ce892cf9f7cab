"""Sends traffic to a Kafka topic as record batches that are encoded ahead, keyed by SIM."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError

from rater.errors import PartsError
from rater.settings import KafkaSettings
from streams.brokers import client_options
from streams.kafka import BATCH_BYTES, create_topics
from streams.load.traffic import Page

#: Turns of the loop from a batch that was handed over to its bytes on the socket (aiokafka's sender wakes, drains and
#: starts a task). Without them a batch would lie about until the next page was made.
TURNS = 4


class KafkaSender:
    """At most one undelivered batch of a partition waits behind the one under way; then the pace gets late."""

    batch = 0

    def __init__(self, kafka: KafkaSettings, topic: str) -> None:
        self._kafka, self._topic = kafka, topic
        self._producer = AIOKafkaProducer(
            **client_options(kafka), enable_idempotence=True, acks="all", max_batch_size=BATCH_BYTES
        )
        self._partitions: list[int] = []
        self.failed: Counter[str] = Counter()

    async def start(self, partitions: int) -> Self:
        """Connect; make the topic with so many partitions if it is not there.

        Raises:
            PartsError: no broker answers.
        """
        try:
            await create_topics(self._kafka, [self._topic], partitions)
            await self._producer.start()
        except KafkaConnectionError as error:
            await self._producer.stop()
            raise PartsError(f"Kafka does not answer at {self._kafka.bootstrap}: {error}") from error
        self._partitions = sorted(await self._producer.partitions_for(self._topic))
        return self

    def ready(self, page: Page) -> Callable[[], Awaitable[None]]:
        """The page as one batch a partition; the partition follows the key, as everywhere here."""
        now_ms, partitions = time.time_ns() // 1_000_000, self._partitions
        builders = [self._producer.create_batch() for _ in partitions]
        batches = []
        for key, value in zip(page.keys, page.values, strict=True):
            place = zlib.crc32(key) % len(partitions)
            if builders[place].append(key=key, value=value, timestamp=now_ms) is None:  # it is full
                batches.append((partitions[place], builders[place]))
                builders[place] = self._producer.create_batch()
                builders[place].append(key=key, value=value, timestamp=now_ms)
        batches += zip(partitions, builders, strict=True)
        return partial(self._send, [(partition, builder) for partition, builder in batches if builder.record_count()])

    async def _send(self, batches: list[tuple[int, Any]]) -> None:
        for partition, builder in batches:
            events = builder.record_count()
            try:
                delivery = await self._producer.send_batch(builder, self._topic, partition=partition)
            except KafkaError as error:
                self.failed[type(error).__name__] += events
            else:
                delivery.add_done_callback(partial(self._delivered, events))
        for _ in range(TURNS):
            await asyncio.sleep(0)

    def _delivered(self, events: int, delivery: asyncio.Future[object]) -> None:
        error = delivery.exception()
        if error is not None:
            self.failed[type(error).__name__] += events

    async def finish(self) -> None:
        """Flush and disconnect."""
        await self._producer.stop()
