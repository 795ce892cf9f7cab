"""Usage of many requests, put together into batches, decided, delivered, and only then answered.

What arrives while a batch is in the first stage forms the next one: no request waits for company, and the busier the
door the larger the batches. Stages overlap; a batch holds the lock of its stage until it has that of the next, so
batches and the requests in them keep the order in which they came.

What a crash after each step leaves:

1. keep: the batch stands in this process's journal. Nothing is charged.
2. prepare: decode, resolve, rate. Nothing is charged.
3. charge: debited, the verdicts remembered under a token that says "came through HTTP".
4. publish: the records are delivered to the topics.
5. forget the batch, answer each request: its events are safe.

After a crash between 1 and 5 no request was answered. Two ways lead to the records, and either is enough:

- The next process that starts on this data folder takes the journal over and runs its batches again.
- The client repeats what was not answered, at this process or another one. (Within `memory_days`, if the journal is
  lost for good: ids without a record are then forgotten like all others.)

In both the ids are found with their verdicts and with this door's token, so each record is rebuilt and published byte
for byte, nothing is charged, and the answer is the first one, marked `repeated`. Every event of this door has the same
token: the memory is by id, so a token need only say that whoever comes with this id again may have its record. Records
are thus delivered at least once; consumers and ClickHouse tell a repeat by its identity.

A batch that fails is run again request by request, so that a bad one costs the others nothing. What fails alone is
answered 503 and stays in the journal; no id is forgotten while something stays there (`clear_ms`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rater.pipeline.batch import Batch, Door, RawEvent
from rater.pipeline.settle import Outputs
from rater.pipeline.tally import Verdict
from streams.engine import Engine
from streams.http.journal import Journal
from streams.http.problems import Problem
from streams.http.tally import once
from streams.metrics import count
from streams.patience import patiently

log = logging.getLogger(__name__)

DOOR = Door("http")
#: Events waiting for their batch before more are refused: a second or two of work, and about 50 MB.
WAITING_MAX = 50_000
#: A client is told to come back after this time, though its events may still be decided: a part may be away for long.
ANSWER_S = 30.0


@dataclass(slots=True)
class _Request:
    events: Sequence[RawEvent]
    format: str
    verdicts: asyncio.Future[list[Verdict]]


class Flow:
    """One per process: everything that comes in over HTTP goes through it."""

    def __init__(self, engine: Engine, journal: Journal) -> None:
        self._engine = engine
        self._journal = journal
        self._batch_events = engine.parts.settings.intake.batch_events
        self._waiting: deque[_Request] = deque()
        self._waiting_events = 0
        self._arrived = asyncio.Event()
        self._prepare, self._charge, self._publish = asyncio.Lock(), asyncio.Lock(), asyncio.Lock()
        self._under_way: set[asyncio.Task[None]] = set()
        #: Batches that may be decided and are not delivered, by their files: since when.
        self._open_ms: dict[Path, int] = {}

    @property
    def clear_ms(self) -> int:
        """What was decided before this time is delivered."""
        return min(self._open_ms.values(), default=self._engine.parts.clock_ms())

    async def decide(self, events: Sequence[RawEvent], format: str) -> list[Verdict]:
        """Return the verdicts once the events are debited and their records are delivered.

        Raises:
            Problem: that is not certain; the same events may be sent again.
        """
        if self._waiting_events + len(events) > WAITING_MAX:
            raise Problem("unavailable", f"{self._waiting_events} events wait already", retry_s=1)
        verdicts: asyncio.Future[list[Verdict]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Request(events, format, verdicts))
        self._waiting_events += len(events)
        self._arrived.set()
        try:
            return await asyncio.wait_for(verdicts, ANSWER_S)
        except TimeoutError:
            detail = f"not decided within {ANSWER_S:.0f} s; send the same events again, none is charged twice"
            raise Problem("unavailable", detail, retry_s=5) from None

    async def run(self) -> None:
        """Form batches for ever; cancel to stop."""
        while True:
            await self._arrived.wait()
            await self._prepare.acquire()
            task = asyncio.create_task(self._carry(self._take()))
            self._under_way.add(task)
            task.add_done_callback(self._ended)

    async def drain(self) -> None:
        """Return once nothing is waiting or under way; `run` goes on beside it."""
        while self._waiting or self._under_way:
            await asyncio.wait(self._under_way) if self._under_way else await asyncio.sleep(0)

    async def replay(self) -> None:
        """Run what dead processes left in their journals; to be done before the first request.

        By today's clock: what they had decided keeps its time, and what they had not is decided now.
        """
        for path, left in self._journal.left(DOOR):
            self._open_ms[path] = left.now_ms
            await self._prepare.acquire()
            try:
                outputs = await self._through_stages(replace(left, now_ms=self._engine.parts.clock_ms()))
            except Exception:
                log.exception("the batch %s cannot be decided; it stays where it is", path)
            else:
                self._forget(path, outputs)
                log.info("%d events of %s are delivered", len(left.events), path)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("a batch was left unanswered", exc_info=error)

    def _take(self) -> list[_Request]:
        """The requests of the next batch: whole ones, in order, of one format."""
        taken = [self._waiting.popleft()]
        events = len(taken[0].events)
        while self._waiting and self._waiting[0].format == taken[0].format:
            events += len(self._waiting[0].events)
            if events > self._batch_events:
                break
            taken.append(self._waiting.popleft())
        self._waiting_events -= sum(len(request.events) for request in taken)
        if not self._waiting:
            self._arrived.clear()
        return taken

    async def _carry(self, requests: Sequence[_Request], since_ms: int = 0) -> None:
        """Decide a batch and answer its requests. Holds the first stage's lock when it begins.

        `since_ms`: when they may have been decided already, by a batch that failed.
        """
        events = requests[0].events if len(requests) == 1 else [raw for request in requests for raw in request.events]
        batch = Batch(events, self._engine.parts.clock_ms(), requests[0].format)
        path: Path | None = None
        try:
            path = await self._journal.keep(batch)
            self._open_ms[path] = since_ms or batch.now_ms
            outputs = await self._through_stages(batch)
        except Exception:
            await self._after_failure(requests, path)
            return
        self._forget(path, outputs)
        start = 0
        for request in requests:
            end = start + len(request.events)
            if not request.verdicts.done():
                request.verdicts.set_result(outputs.verdicts[start:end])
            start = end

    def _forget(self, path: Path, outputs: Outputs) -> None:
        """A batch is delivered."""
        path.unlink(missing_ok=True)
        del self._open_ms[path]
        count(DOOR.sort, once(outputs))

    async def _after_failure(self, requests: Sequence[_Request], path: Path | None) -> None:
        if path is None:
            self._prepare.release()  # it could not even be kept
        if len(requests) > 1:
            log.warning("a batch of %d requests failed and is run again one by one", len(requests), exc_info=True)
            since_ms = self._open_ms[path] if path is not None else 0
            for request in requests:
                await self._prepare.acquire()
                await self._carry([request], since_ms)
            if path is not None:
                path.unlink(missing_ok=True)
                del self._open_ms[path]
            return
        log.exception("a request failed; what it had under way stays in %s", path)
        if not requests[0].verdicts.done():
            problem = Problem("unavailable", "the events could not be decided; send the same again", retry_s=5)
            requests[0].verdicts.set_exception(problem)

    async def _through_stages(self, batch: Batch) -> Outputs:
        pipeline, sink = self._engine.pipeline, self._engine.sink
        held = self._prepare
        try:
            work = pipeline.begin(batch)
            await patiently("redis", partial(pipeline.resolve, work))
            held = await _step(held, self._charge)
            await patiently("redis", partial(pipeline.charge, work))
            held = await _step(held, self._publish)
            outputs = pipeline.settle(work)
            await patiently("kafka", partial(sink.publish, outputs.messages))
        finally:
            held.release()
        assert len(outputs.verdicts) == len(batch.events), "an event of this door is one object, and has one verdict"
        return outputs


async def _step(held: asyncio.Lock, following: asyncio.Lock) -> asyncio.Lock:
    await following.acquire()
    held.release()
    return following
