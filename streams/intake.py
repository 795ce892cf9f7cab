"""Usage from Kafka: whole batches through the conveyor, offsets committed by hand once the batch is safe.

Faust's own per-message path costs 78 us an event and acknowledges a batch whose agent raised, so it is not used for
usage: this service of the Faust app owns an aiokafka consumer instead. When partitions are taken away (a rebalance),
nothing new is fetched until what is under way is delivered and committed; then they are given up.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError
from mode import Service

from rater.pipeline.batch import Batch, Door, RawEvent
from rater.pipeline.pipeline import Pipeline
from rater.pipeline.settle import Outputs
from rater.settings import Settings
from streams.brokers import client_options
from streams.conveyor import AT_REST_MAX, UNDER_WAY_MAX, Conveyor
from streams.crew import Crew
from streams.metrics import LAG
from streams.patience import patiently
from streams.topics import Sink

log = logging.getLogger(__name__)

#: A worker that died is missed after this time (the least a broker allows by default), then others take its partitions.
SESSION_MS = 6_000
HEARTBEAT_MS = 2_000
#: How long one fetch waits for events; only a rebalance waits for it, a waiting event ends it at once.
FETCH_MS = 200
LAG_EVERY_S = 5.0


class Intake(Service):
    """Feeds the usage topic to the pipeline."""

    def __init__(
        self,
        settings: Settings,
        pipeline: Pipeline,
        sink: Sink,
        clock_ms: Callable[[], int],
        beside: Crew | None = None,
    ) -> None:
        super().__init__()
        self._settings = settings
        self._clock_ms = clock_ms
        self._conveyor = Conveyor(pipeline, sink, self._acknowledge, beside)
        self._doors: dict[TopicPartition, Door] = {}
        self._lag_at = 0.0
        self._fed = asyncio.Event()
        #: Whether the last fetch took all there was.
        self._is_at_end = True
        #: When everything fetched was last acknowledged and nothing more was there, by intake's clock.
        self.clear_ms = 0

    async def on_start(self) -> None:
        """Connect and join the group; partitions arrive with the first rebalance."""
        kafka = self._settings.kafka
        self._consumer = AIOKafkaConsumer(
            **client_options(kafka),
            group_id=kafka.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            max_poll_interval_ms=600_000,
            max_partition_fetch_bytes=2 * 1024 * 1024,
        )
        await patiently("kafka", self._consumer.start)
        self._consumer.subscribe([kafka.usage_topic], listener=_Rebalance(self))

    @Service.task
    async def _feed(self) -> None:
        try:
            async with self._conveyor:
                while not self.should_stop:
                    await self._conveyor.room(AT_REST_MAX if self._is_at_end else UNDER_WAY_MAX)
                    # The conveyor counts a batch as under way before anything else runs, a rebalance included.
                    batch = await self._fetch()
                    if batch.events:
                        await self._conveyor.put(batch)
                    if not batch.events and self._conveyor.is_idle:
                        self.clear_ms = batch.now_ms
                    self._conveyor.check()
                    await self._measure_lag()
                await self._conveyor.drain()
        except Exception:
            log.critical("intake stops: what follows a failed batch must not be acknowledged", exc_info=True)
            raise
        finally:
            self._fed.set()

    async def _fetch(self) -> Batch:
        """The next batch.

        Who is behind fetches ahead. Who is at the topic's end fetches when there is room for a batch and not before:
        what waits in the consumer would only grow old.
        """
        intake = self._settings.intake
        self._consumer.resume(*self._consumer.paused())
        fetched = await self._consumer.getmany(timeout_ms=FETCH_MS, max_records=intake.batch_events)
        events: list[RawEvent] = []
        offsets: dict[TopicPartition, int] = {}
        for partition, records in fetched.items():
            door = self._doors.get(partition)
            if door is None:
                door = self._doors[partition] = Door(f"kafka:{partition.topic}/{partition.partition}")
            events.extend(RawEvent(record.value or b"", door, record.offset, record.headers) for record in records)
            offsets[partition] = records[-1].offset + 1
        left = [await self._left(partition) for partition in offsets]
        self._is_at_end = len(events) < intake.batch_events and not any(left)
        if events and self._is_at_end:
            self._consumer.pause(*self._consumer.assignment())
        return Batch(events, self._clock_ms(), intake.format, intake.tenant, intake.source, receipt=offsets)

    async def _acknowledge(self, delivered: Sequence[Outputs]) -> None:
        offsets: dict[TopicPartition, int] = {}
        for outputs in delivered:
            offsets.update(outputs.batch.receipt)  # type: ignore[call-overload]
        try:
            await patiently("kafka", partial(self._consumer.commit, offsets))
        except (CommitFailedError, IllegalStateError) as error:
            # The partition went to another worker. It gets these events again and finds their verdicts.
            log.warning("offsets not committed, another worker has the partitions: %s", error)

    @property
    def partitions(self) -> frozenset[TopicPartition]:
        """The partitions this worker reads at the moment."""
        assigned: frozenset[TopicPartition] = self._consumer.assignment()
        return assigned

    async def settle_before_revoke(self) -> None:
        """Let everything under way be delivered and committed.

        Nothing new comes in meanwhile: aiokafka hands out no records from before this call until partitions are
        assigned anew. Don't wait for a fetch here: it may be waiting for that assignment.
        """
        await self._conveyor.drain()

    async def _measure_lag(self) -> None:
        now = time.monotonic()
        if now - self._lag_at < LAG_EVERY_S:
            return
        self._lag_at = now
        for partition in self.partitions:
            behind = await self._left(partition)
            if behind is not None:
                LAG.labels(partition.topic, str(partition.partition)).set(behind)

    async def _left(self, partition: TopicPartition) -> int | None:
        """How much of a partition is still to be fetched, None before the first fetch.

        By position: what a transaction wrote ends with a mark that is no record.
        """
        end: int | None = self._consumer.highwater(partition)
        return None if end is None else end - await self._consumer.position(partition)

    async def on_stop(self) -> None:
        """Leave the group once what is under way is delivered and committed."""
        await self._fed.wait()
        await self._consumer.stop()


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        if revoked:
            await self._intake.settle_before_revoke()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        log.info("usage partitions assigned: %s", sorted(partition.partition for partition in assigned))
