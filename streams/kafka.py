"""Kafka: outputs as record batches, topics read back, and topics made. Message by message would cost six times more."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections import defaultdict
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError, TopicAlreadyExistsError

from rater.settings import KafkaSettings
from streams.brokers import client_options
from streams.topics import LEDGER, Ends, Messages, Page

log = logging.getLogger(__name__)

#: One record batch; below the broker's default limit of 1 MiB a message set.
BATCH_BYTES = 900_000
#: One message of ours. A dead letter holds a usage record whole and in base64, so it may pass the broker's default
#: limit where the record did not; the topics are made with this one.
MESSAGE_BYTES = 16 * 1024 * 1024
#: Read from a partition at a time.
FETCH_BYTES = 8 * 1024 * 1024
#: A reader that has found something waits this long for more of it.
GATHER_S = 0.05


class KafkaSink:
    """Publishes messages in record batches; the partition follows the key, so what shares a key keeps its order."""

    def __init__(self, kafka: KafkaSettings, prefix: str) -> None:
        self._prefix = prefix
        self._producer = AIOKafkaProducer(
            **client_options(kafka),
            compression_type=None if kafka.compression == "none" else kafka.compression,
            enable_idempotence=True,
            acks="all",
            max_batch_size=BATCH_BYTES,
            max_request_size=MESSAGE_BYTES,
        )

    async def start(self) -> None:
        """Connect."""
        await self._producer.start()

    async def publish(self, messages: Messages) -> None:
        """Return once the broker has every message on all in-sync replicas."""
        deliveries = []
        for topic, pairs in messages.items():
            deliveries.extend(await self._send_topic(self._prefix + topic, pairs))
        if deliveries:
            await asyncio.gather(*deliveries)

    async def _send_topic(self, topic: str, pairs: Sequence[tuple[bytes, bytes]]) -> list[asyncio.Future[object]]:
        partitions = sorted(await self._producer.partitions_for(topic))
        by_partition: dict[int, list[tuple[bytes, bytes]]] = defaultdict(list)
        for key, value in pairs:
            by_partition[partitions[zlib.crc32(key) % len(partitions)]].append((key, value))
        deliveries = []
        for partition, chosen in by_partition.items():
            builder = self._producer.create_batch()
            for key, value in chosen:
                if builder.append(key=key, value=value, timestamp=None) is None:
                    deliveries.append(await self._producer.send_batch(builder, topic, partition=partition))
                    builder = self._producer.create_batch()
                    if builder.append(key=key, value=value, timestamp=None) is None:
                        deliveries.append(await self._producer.send(topic, value, key=key, partition=partition))
            if builder.record_count():
                deliveries.append(await self._producer.send_batch(builder, topic, partition=partition))
        return deliveries

    async def close(self) -> None:
        """Flush and disconnect."""
        await self._producer.stop()


class KafkaSource:
    """Follows the engine's topics in a consumer group of its own."""

    def __init__(self, kafka: KafkaSettings, prefix: str, group: str, topics: Sequence[str] = LEDGER) -> None:
        self._prefix = prefix
        self._consumer = AIOKafkaConsumer(
            *(prefix + topic for topic in topics),
            **client_options(kafka),
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=FETCH_BYTES,
        )
        self._read: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        """Connect and join the group."""
        await self._consumer.start()

    async def read(self, rows_max: int, timeout_s: float) -> list[Page]:
        """The next records, in order within each partition; goes on fetching while there are more, up to the timeout.

        The consumer hands out what it has at hand, which may be a tenth of what is there.
        """
        clock, pages = asyncio.get_running_loop().time, list[Page]()
        deadline = clock() + timeout_s
        wait_s = timeout_s
        while rows_max and (
            fetched := await self._consumer.getmany(timeout_ms=int(wait_s * 1000), max_records=rows_max)
        ):
            for partition, found in fetched.items():
                offsets, values = zip(*((record.offset, record.value or b"") for record in found), strict=True)
                pages.append(Page(partition.topic.removeprefix(self._prefix), partition.partition, offsets, values))
                self._read[partition] = offsets[-1] + 1
                rows_max -= len(values)
            wait_s = min(GATHER_S, deadline - clock())
            if wait_s <= 0:
                break
        return pages

    async def commit(self) -> None:
        """Commit what was read; partitions that were taken away meanwhile are somebody else's to commit."""
        mine = self._consumer.assignment()
        offsets = {partition: offset for partition, offset in self._read.items() if partition in mine}
        self._read.clear()
        if not offsets:
            return
        try:
            await self._consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError) as error:
            log.warning("offsets not committed, the records are read again: %s", error)

    async def close(self) -> None:
        """Leave the group."""
        await self._consumer.stop()


class KafkaCursor:
    """How far a group has come in the engine's topics. See Cursor."""

    def __init__(self, kafka: KafkaSettings, prefix: str, group: str, topics: Sequence[str] = LEDGER) -> None:
        self._topics = [prefix + topic for topic in topics]
        self._group = group
        self._consumer = AIOKafkaConsumer(**client_options(kafka), enable_auto_commit=False)
        self._admin = AIOKafkaAdminClient(**client_options(kafka))

    async def start(self) -> None:
        """Connect; joins no group."""
        await self._consumer.start()
        await self._admin.start()

    async def ends(self) -> Ends:
        """The next offset of each partition that has anything to read."""
        self._consumer._client.set_topics(self._topics)  # else it asks for every topic there is
        await self._consumer._client.force_metadata_update()
        partitions = [
            TopicPartition(topic, number)
            for topic in self._topics
            for number in self._consumer.partitions_for_topic(topic) or ()
        ]
        starts = await self._consumer.beginning_offsets(partitions)
        ends = await self._consumer.end_offsets(partitions)
        return {partition: end for partition, end in ends.items() if end > starts[partition]}

    async def reached(self, ends: Ends) -> bool:
        """See Cursor. What a topic's retention has dropped since counts as dealt with: nobody can read it any more."""
        try:
            committed = await self._admin.list_consumer_group_offsets(self._group, partitions=list(ends))
        except (IndexError, KafkaError):  # the broker is away, or the group's coordinator is being made
            return not ends
        late = [place for place, end in ends.items() if place not in committed or committed[place].offset < end]
        starts = await self._consumer.beginning_offsets(late) if late else {}
        return all(starts[place] >= ends[place] for place in late)

    async def close(self) -> None:
        """Disconnect."""
        await self._consumer.stop()
        await self._admin.close()


async def begin_group_at_end(kafka: KafkaSettings, prefix: str, group: str, topics: Sequence[str]) -> None:
    """Let a group that has not read yet begin behind what stands in the topics now.

    Its place is committed before it reads, so that a partition that changes hands early skips nothing.
    """
    consumer = AIOKafkaConsumer(**client_options(kafka), group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer._client.set_topics([prefix + topic for topic in topics])
        await consumer._client.force_metadata_update()
        partitions = [
            TopicPartition(prefix + topic, number)
            for topic in topics
            for number in consumer.partitions_for_topic(prefix + topic) or ()
        ]
        consumer.assign(partitions)  # by hand: it becomes no member of the group
        fresh = [partition for partition in partitions if await consumer.committed(partition) is None]
        if fresh:
            await consumer.commit(await consumer.end_offsets(fresh))
    except (CommitFailedError, IllegalStateError) as error:
        log.info("the group %s has begun elsewhere: %s", group, error)
    finally:
        await consumer.stop()


async def create_topics(kafka: KafkaSettings, names: Sequence[str], partitions: int, message_bytes: int = 0) -> None:
    """Make the topics that do not exist yet, with the broker's defaults (`message_bytes`: its limit of a message)."""
    admin = AIOKafkaAdminClient(**client_options(kafka))
    await admin.start()
    try:
        missing = set(names) - set(await admin.list_topics())
        if missing:
            configs = {"max.message.bytes": str(message_bytes)} if message_bytes else {}
            topics = [
                NewTopic(name, partitions, -1, replica_assignments={}, topic_configs=configs)
                for name in sorted(missing)
            ]
            await admin.create_topics(topics)
    except TopicAlreadyExistsError:
        pass  # another worker made them at the same moment
    finally:
        await admin.close()
