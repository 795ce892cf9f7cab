"""Attempts what is due: claim, send, settle. Any number of processes; a delivery is one's at a time, by its lease.

The protocol of one delivery, and what a crash after each step leaves:

1. claim: its lease ends, and another process claims it.
2. send: the same, so the receiver may have it twice, under one `webhook-id`.
3. disable the endpoint, where this was its last chance: the next claim finds it disabled and ends there.
4. settle: done, or due again later.

Endpoints do not wait for each other: each has its own width of requests under way (one, while its last attempt failed),
and one that has none left is passed over. The order of messages is not promised.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import msgspec

from rater.settings import WebhookSettings
from streams.metrics import WEBHOOK_ATTEMPTS, WEBHOOK_BACKLOG, WEBHOOK_OLDEST_DUE
from streams.patience import patiently
from streams.webhooks.delivery import Delivery, decode_delivery, next_due, tried
from streams.webhooks.endpoints import WebhookEndpoint
from streams.webhooks.fanout import Endpoints, Fanout
from streams.webhooks.queue import SHARES, Claimed, Queue
from streams.webhooks.sender import Outcome, Sender

log = logging.getLogger(__name__)

#: How long a delivery may be due unseen that another process put in, or a clock that was moved made due.
POLL_S = 0.5
#: How often the backlog is measured.
MEASURE_S = 5.0
#: Connections to Redis for what is under way.
TURNS = 16

T = TypeVar("T")


class Dispatcher:
    """One per process."""

    def __init__(
        self, queue: Queue, endpoints: Endpoints, fanout: Fanout, sender: Sender, settings: WebhookSettings,
        clock_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        self._queue = queue
        self._endpoints = endpoints
        self._fanout = fanout
        self._sender = sender
        self._width = settings.concurrency
        self._clock_ms = clock_ms
        self._woken = asyncio.Event()
        #: Shares known to have something due; all of them are looked at every `POLL_S`.
        self._news: set[int] = set(range(SHARES))
        self._under_way: set[asyncio.Task[None]] = set()
        self._first_share = 0
        self._turns = asyncio.Semaphore(TURNS)

    def wake(self) -> None:
        """Say that something was put in."""
        self._news.update(range(SHARES))
        self._woken.set()

    async def run(self) -> None:
        """Deliver for ever; cancel to stop. What is under way then is attempted again after its lease."""
        try:
            while True:
                await self.dispatch_once()
                await self._wait()
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(POLL_S):
                await self._woken.wait()
        except TimeoutError:
            self._news.update(range(SHARES))
        self._woken.clear()

    async def dispatch_once(self) -> int:
        """Begin attempts for what is due, as far as there is room; answers how many."""
        room = self._width - len(self._under_way)
        if room <= 0 or not self._news:
            return 0
        # Another share is first each time, so that a full house does not always leave the same one out.
        self._first_share = (self._first_share + 1) % SHARES
        shares = sorted(self._news, key=lambda share: (share - self._first_share) % SHARES)
        self._news.clear()
        claimed = await patiently("redis", lambda: self._queue.claim(shares, room, now_ms=self._clock_ms()))
        for one in claimed:
            task = asyncio.create_task(self._attempt(one))
            task.add_done_callback(partial(self._ended, one.share))
            self._under_way.add(task)
        return len(claimed)

    def _ended(self, share: int, task: asyncio.Task[None]) -> None:
        """There is room again, and the endpoint may have more."""
        self._news.add(share)
        self._woken.set()
        self._under_way.discard(task)

    async def ended(self) -> None:
        """Return once what is under way has ended."""
        while self._under_way:
            await asyncio.gather(*self._under_way)

    async def _attempt(self, claimed: Claimed) -> None:
        try:
            await self._deliver(claimed)
        except Exception:  # a fault of ours must not stop the others, nor the engine: it is tried again after its lease
            log.exception("delivery %s to %s failed", claimed.delivery.id, claimed.delivery.endpoint)

    async def _deliver(self, claimed: Claimed) -> None:
        delivery = claimed.delivery
        find = partial(self._endpoints.get_of, delivery.tenant, delivery.account, delivery.endpoint)
        endpoint = await self._ask(find)
        if endpoint is None:
            await self._ask(partial(self._queue.drop, delivery.endpoint))
            return
        if endpoint.status != "enabled":
            if endpoint.untold:
                await self._ask(partial(self._fanout.tell_disabled, endpoint))
            state = "failed" if delivery.tries else "missed"
            await self._settle(claimed.raw, msgspec.structs.replace(delivery, state=state, due_ms=0), "")
            return
        outcome = await self._sender.send(endpoint, delivery.id, bytes(delivery.payload), delivery.number + 1)
        await self._take(endpoint, claimed.raw, tried(delivery, outcome.attempt), outcome)

    async def _take(self, endpoint: WebhookEndpoint, raw: bytes, delivery: Delivery, outcome: Outcome) -> None:
        """Write what came of an attempt; a message that has no chance left may end its endpoint."""
        if outcome.good:
            done = msgspec.structs.replace(delivery, state="delivered", due_ms=0)
            WEBHOOK_ATTEMPTS.labels("delivered").inc()
            while not await self._settle(raw, done, "good"):
                # Somebody else attempted it meanwhile, as our lease was over: that it arrived is true all the same.
                found = await self._ask(partial(self._queue.get, delivery.endpoint, delivery.id))
                if found is None or decode_delivery(found).state == "delivered":
                    return
                raw, done = (
                    found,
                    msgspec.structs.replace(
                        tried(decode_delivery(found), outcome.attempt), state="delivered", due_ms=0
                    ),
                )
            return
        since_ms = max(delivery.first_ms, endpoint.enabled_ms)
        due_ms = next_due(delivery, since_ms=since_ms, now_ms=self._clock_ms(), pause_ms=outcome.pause_ms)
        gone = outcome.attempt.status == 410
        if not gone and due_ms is not None:
            WEBHOOK_ATTEMPTS.labels("retry").inc()
            await self._settle(raw, msgspec.structs.replace(delivery, due_ms=due_ms), "bad")
            return
        WEBHOOK_ATTEMPTS.labels("failed").inc()
        if gone:
            await self._ask(partial(self._fanout.disable, endpoint, "gone"))
        elif await self._ask(partial(self._queue.good_ms, endpoint.id)) < since_ms:
            # Nothing arrived in three days. Where other messages do, it is this one that is not wanted.
            await self._ask(partial(self._fanout.disable, endpoint, "failing"))
        await self._settle(raw, msgspec.structs.replace(delivery, state="failed", due_ms=0), "bad")

    async def _settle(self, raw: bytes, after: Delivery, outcome: str) -> bool:
        return await self._ask(lambda: self._queue.settle(raw, after, now_ms=self._clock_ms(), outcome=outcome))

    async def _ask(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Something of Redis, in turn: as many connections as attempts would be too many."""
        async with self._turns:
            return await patiently("redis", operation)

    async def measure(self) -> None:
        """Keep the gauges true, for ever."""
        while True:
            waiting, oldest_ms = await patiently("redis", self._queue.standing)
            WEBHOOK_BACKLOG.set(waiting)
            late_ms = max(0, self._clock_ms() - oldest_ms) if oldest_ms is not None else 0
            WEBHOOK_OLDEST_DUE.set(late_ms / 1000)
            await asyncio.sleep(MEASURE_S)
