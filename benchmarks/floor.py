"""The naked floor: what the plumbing costs without an engine. A process of its own, started by `stage`.

Fetch a batch, one INCRBY a message in one pipeline, send the raw bytes on as record batches, wait for delivery, commit.
No decoding, no rating, no memory of ids: nothing that does more can be faster on the same plumbing. RESP is packed
and read by hiredis directly, since a client library would cost more than all the rest.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Any

import hiredis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from rater.settings import load_settings
from streams.brokers import client_options
from streams.intake import FETCH_MS
from streams.kafka import BATCH_BYTES

BATCH_EVENTS = 3000
#: The floor is stopped while the engine is measured; its place in the group waits for it.
SESSION_MS = 120_000
READ_BYTES = 1 << 16


class Incrementer:
    """One connection to Redis."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._replies = hiredis.Reader()

    async def open(self) -> None:
        """Connect to a unix socket's path or to HOST:PORT."""
        if self._address.startswith("/"):
            self._reader, self._writer = await asyncio.open_unix_connection(self._address)
        else:
            host, _, port = self._address.rpartition(":")
            self._reader, self._writer = await asyncio.open_connection(host, int(port))

    async def increment(self, keys: Sequence[bytes]) -> None:
        """One INCRBY each, all replies awaited."""
        pack: Callable[[Any], bytes] = hiredis.pack_command
        self._writer.write(b"".join([pack((b"INCRBY", b"floor:" + key, b"1")) for key in keys]))
        await self._writer.drain()
        waiting = len(keys)
        while waiting:
            self._replies.feed(await self._reader.read(READ_BYTES))
            while (reply := self._replies.gets()) is not False:
                assert isinstance(reply, int), reply
                waiting -= 1


async def main(topic: str, output: str, group: str, address: str) -> None:
    """Work until killed; the brokers are those of the settings."""
    options = client_options(load_settings().kafka)
    increments = Incrementer(address)
    await increments.open()
    producer = AIOKafkaProducer(
        **options, enable_idempotence=True, acks="all", max_batch_size=BATCH_BYTES,
        max_request_size=4 * BATCH_BYTES,
    )  # fmt: skip
    consumer = AIOKafkaConsumer(
        topic, **options, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest",
        max_partition_fetch_bytes=2 * 1024 * 1024, session_timeout_ms=SESSION_MS,
    )  # fmt: skip
    await producer.start()
    await consumer.start()
    while True:
        fetched = await consumer.getmany(timeout_ms=FETCH_MS, max_records=BATCH_EVENTS)
        if fetched:
            await _batch(fetched, increments, producer, output)
            await consumer.commit({partition: found[-1].offset + 1 for partition, found in fetched.items()})


async def _batch(
    fetched: dict[TopicPartition, list[Any]], increments: Incrementer, producer: AIOKafkaProducer, output: str
) -> None:  # fmt: skip
    await increments.increment([record.key or b"" for records in fetched.values() for record in records])
    deliveries = []
    for partition, records in fetched.items():
        builder = producer.create_batch()
        for record in records:
            if builder.append(key=record.key, value=record.value, timestamp=None) is None:
                deliveries.append(await producer.send_batch(builder, output, partition=partition.partition))
                builder = producer.create_batch()
                builder.append(key=record.key, value=record.value, timestamp=None)
        deliveries.append(await producer.send_batch(builder, output, partition=partition.partition))
    await asyncio.gather(*deliveries)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
