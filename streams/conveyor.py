"""Batches on their way: four stages at work at the same time, each on the next batch, the order of batches kept.

    prepare  |  charge  |  settle and publish  |  acknowledge

1. prepare: decode, resolve, rate. A crash leaves nothing behind.
2. charge: debited, the verdict remembered. A crash: the door brings the events again, the verdicts are found.
3. publish: delivered to the topics. A crash: the records are rebuilt, byte for byte, and published again.
4. acknowledge: all batches that were delivered meanwhile at once; no stage waits for it. A crash before it: as after 3.

A stage that fails stops the conveyor: what follows a failed batch must not be acknowledged before it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import TracebackType

from rater.pipeline.batch import Batch, Work
from rater.pipeline.pipeline import Pipeline
from rater.pipeline.settle import Outputs
from streams.crew import Crew
from streams.metrics import STAGE_SECONDS, count
from streams.patience import patiently
from streams.topics import Sink

#: Batches waiting before each stage. One is enough to keep a stage busy; more only adds latency.
WAITING_MAX = 1
#: Batches that are not delivered yet: one for each stage that waits for a server, and one that is prepared meanwhile.
UNDER_WAY_MAX = 3
#: The same where nothing waits at the door: what comes meanwhile makes the next batch larger, not the queue longer.
AT_REST_MAX = 2
#: Batches that are delivered and wait to be acknowledged.
UNACKNOWLEDGED_MAX = 4


class Conveyor:
    """Takes batches of one door in order and acknowledges them in order."""

    def __init__(
        self,
        pipeline: Pipeline,
        sink: Sink,
        acknowledge: Callable[[Sequence[Outputs]], Awaitable[None]],
        beside: Crew | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._beside = beside
        self._sink = sink
        self._acknowledge = acknowledge
        self._to_prepare: asyncio.Queue[Batch] = asyncio.Queue(WAITING_MAX)
        self._to_charge: asyncio.Queue[Work] = asyncio.Queue(WAITING_MAX)
        self._to_publish: asyncio.Queue[Work] = asyncio.Queue(WAITING_MAX)
        self._to_acknowledge: asyncio.Queue[Outputs] = asyncio.Queue(UNACKNOWLEDGED_MAX)
        self._under_way = self._unacknowledged = 0
        self._room = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    async def __aenter__(self) -> Conveyor:
        stages = (self._prepare(), self._charge(), self._publish(), self._acknowledge_delivered())
        self._crew = Crew(*stages, beside=self._beside)
        await self._crew.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._crew.__aexit__(kind, error, at)

    @property
    def is_idle(self) -> bool:
        """Whether everything handed over is acknowledged."""
        return self._idle.is_set()

    def check(self) -> None:
        """Raise what a stage, or a task beside the conveyor, failed with."""
        self._crew.check()

    async def room(self, under_way_max: int = UNDER_WAY_MAX) -> None:
        """Return once a batch can be handed over: what is taken from a door before that grows old meanwhile."""
        while self._under_way >= under_way_max:
            self._room.clear()
            await self._crew.wait(self._room.wait())

    async def put(self, batch: Batch) -> None:
        """Hand over a batch; waits while enough are under way."""
        await self.room()
        self._under_way += 1
        self._unacknowledged += 1
        self._idle.clear()
        await self._crew.wait(self._to_prepare.put(batch))

    async def drain(self) -> None:
        """Return once everything handed over is acknowledged."""
        await self._crew.wait(self._idle.wait())

    async def _prepare(self) -> None:
        while True:
            batch = await self._to_prepare.get()
            with _timed("prepare"):
                work = self._pipeline.begin(batch)
                await patiently("redis", partial(self._pipeline.resolve, work))
            await self._to_charge.put(work)

    async def _charge(self) -> None:
        while True:
            work = await self._to_charge.get()
            with _timed("charge"):
                await patiently("redis", partial(self._pipeline.charge, work))
            await self._to_publish.put(work)

    async def _publish(self) -> None:
        while True:
            work = await self._to_publish.get()
            with _timed("settle"):
                outputs = self._pipeline.settle(work)
            with _timed("publish"):
                await patiently("kafka", partial(self._sink.publish, outputs.messages))
            self._under_way -= 1
            self._room.set()
            await self._to_acknowledge.put(outputs)

    async def _acknowledge_delivered(self) -> None:
        while True:
            delivered = [await self._to_acknowledge.get()]
            while not self._to_acknowledge.empty():
                delivered.append(self._to_acknowledge.get_nowait())
            with _timed("acknowledge"):
                await self._acknowledge(delivered)
            for outputs in delivered:
                count(outputs.batch.events[0].door.sort if outputs.batch.events else "none", outputs.tally)
            self._unacknowledged -= len(delivered)
            if not self._unacknowledged:
                self._idle.set()


@contextmanager
def _timed(stage: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    STAGE_SECONDS.labels(stage).observe(time.perf_counter() - started)
