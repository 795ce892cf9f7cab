"""Publishes what the wallets' outbox holds: suspends, resumes and journal lines, in order, then deletes them.

One publisher a shard at a time (a lease in Redis), so that the events of a wallet keep their order. A crash between
delivery and deletion publishes again: consumers keep the highest `status_version`, ClickHouse collapses repeats. A
company wallet with ten thousand SIMs is worked off in pages here, so that the hot path never waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec

from rater.wallet.news import Onward
from rater.wallet.outbox import Outbox, OutboxItem, OutboxPage
from rater.wallet.store import News
from schemas.lifecycle import LifecycleEvent, WalletEntry
from schemas.notice import Notice
from streams.heard import Heard
from streams.metrics import LIFECYCLE as LIFECYCLE_METRIC
from streams.metrics import OUTBOX_DEPTH
from streams.patience import patiently
from streams.topics import JOURNAL, LIFECYCLE, NOTICES, Sink

log = logging.getLogger(__name__)

PAGE_ENTRIES = 1000
#: Members that follow at once; 500 are through sooner, but a call of others meanwhile takes half as long again.
FAN_OUT_MEMBERS = 200
#: How long a crossing made by another worker may wait, while there are others; our own wake us at once.
IDLE_S = 0.02
#: How long a crossing may wait that a command made.
ALONE_S = 0.1
LEASE_S = 5.0

_TOPICS = {LifecycleEvent: LIFECYCLE, WalletEntry: JOURNAL, Notice: NOTICES}

_encode = msgspec.json.Encoder().encode


class Publisher:
    """Works off the outbox of all shards it can get the lease of."""

    def __init__(self, outbox: Outbox, shards: int, sink: Sink, clock_ms: Callable[[], int]) -> None:
        self._outbox = outbox
        self._shards = range(shards)
        self._sink = sink
        self._clock_ms = clock_ms
        self._woken = asyncio.Event()
        #: What is known to be new, and whether there may be more that is not known.
        self._heard = Heard()
        self._look_everywhere = True
        self._look_at = 0.0
        self._leased: set[int] = set()
        #: What is delivered and still to be deleted, by shard.
        self._done: defaultdict[int, list[bytes]] = defaultdict(list)
        self._lease_until = 0.0
        #: Where to go on reading a shard that begins with a page of entries that have to stay.
        self._behind: dict[int, bytes] = {}

    @property
    def leased(self) -> frozenset[int]:
        """The shards that are this process' to look after."""
        return frozenset(self._leased)

    def wake(self, news: News | None = None) -> None:
        """Say what is to be published, or that something may be, anywhere."""
        if news is None:
            self._look_everywhere = True
        else:
            ours = {shard: told for shard, told in news.items() if shard in self._leased}
            if not ours:
                return  # whoever has the shards looks soon
            self._heard.hear(ours)
        self._woken.set()

    async def run(self) -> None:
        """Publish for ever; cancel to stop."""
        try:
            while True:
                await patiently("redis", self.publish_once)
                if not (self._heard or self._look_everywhere):
                    await self._wait()
        finally:
            await self._let_go()

    async def _wait(self) -> None:
        """Wait for news, or until it is time to look for that of others."""
        self._woken.clear()
        try:
            async with asyncio.timeout(self._patience_s):
                await self._woken.wait()
        except TimeoutError:
            self._look_everywhere = True

    @property
    def _patience_s(self) -> float:
        return ALONE_S if len(self._leased) == len(self._shards) else IDLE_S

    async def drain(self) -> None:
        """Publish until the outbox is empty, then give the leases back: for commands that end."""
        self._look_everywhere = True
        try:
            while await patiently("redis", self.publish_once):
                pass
        finally:
            await self._let_go()

    async def drain_with_others(self, wait_s: float) -> None:
        """The same, and wait for what stands in the outbox now where another process has the lease of it.

        One that was killed gives its lease up after a while, and then it is ours. An entry may have to stay (a transfer
        to a wallet that has no room), so nobody waits longer than `wait_s`.
        """
        deadline = _now() + wait_s
        ends = await self._outbox.ends()
        await self.drain()
        while await self._outbox.has_any_up_to(ends) and _now() < deadline:
            await asyncio.sleep(IDLE_S)
            await self.drain()

    async def drained(self) -> None:
        """Return once `run`, beside us, has nothing left to publish."""
        while await self._outbox.waiting():
            self.wake()
            await asyncio.sleep(IDLE_S)

    async def publish_once(self) -> bool:
        """One round over the leased shards with news; answers False once it looked at all and there was nothing."""
        await self._renew()
        unread, told = self._heard.take(self._leased)
        try:
            has_published = bool(unread or told) and await self._publish(unread, told)
        except BaseException:
            self._heard.must_read([*unread, *told])
            raise
        # By the clock too: while our own news keep coming, that of timers, commands and other workers must not wait.
        if self._look_everywhere or not (unread or told) or _now() >= self._look_at:
            await self._look()
        # What a look finds again of what was just read has to stay.
        return has_published or (bool(self._heard) and not unread)

    async def _look(self) -> None:
        """Note in which of our shards something waits; forget before that what is delivered."""
        self._look_everywhere, self._look_at = False, _now() + self._patience_s
        try:
            waiting = await self._outbox.waiting(self._done)
        except BaseException:
            self._look_everywhere = True
            raise
        self._done.clear()
        OUTBOX_DEPTH.set(sum(waiting.values()))
        self._heard.must_read(self._leased & waiting.keys())

    async def _publish(self, unread: Sequence[int], told: Mapping[int, OutboxPage]) -> bool:
        """What was told, and the next page of each shard that has to be read: one delivery for all."""
        pages = dict(told)
        if unread:
            pages |= await self._outbox.read(unread, PAGE_ENTRIES, self._done, self._behind)
            self._done.clear()
            for shard in unread:
                self._heard.saw(shard, pages[shard])
        messages: dict[str, list[tuple[bytes, bytes]]] = defaultdict(list)
        for page in pages.values():
            for entry in page.entries:
                event = entry.event
                if not isinstance(event, Onward):
                    key = f"{event.tenant}/{event.wallet}".encode()
                    messages[_TOPICS[type(event)]].append((key, _encode(event)))
        if messages:
            await patiently("kafka", partial(self._sink.publish, messages))
        # Shards do not wait for each other's second legs; all have ended before a failure is raised and leases go.
        ended = await asyncio.gather(*(self._finish(*page) for page in pages.items()), return_exceptions=True)
        for outcome in ended:
            if isinstance(outcome, BaseException):
                raise outcome
        return any(ended)

    async def _finish(self, shard: int, page: OutboxPage) -> bool:
        """What follows from a page that is delivered; answers whether there was anything."""
        done = await self._forward(page.entries)
        self._done[shard] += [entry.id for entry in done]
        for entry in done:
            if isinstance(entry.event, LifecycleEvent):
                LIFECYCLE_METRIC.labels(entry.event.type, entry.event.reason).inc()
        is_full = len(page.entries) == PAGE_ENTRIES
        self._behind.pop(shard, None)
        if is_full and not done:  # all of it has to stay: what stands behind it does not wait for that
            self._behind[shard] = page.entries[-1].id
        if is_full:
            self._heard.must_read([shard])
        elif page.has_followers:
            told = await self._outbox.fan_out(shard, FAN_OUT_MEMBERS, now_ms=self._clock_ms())
            if told:
                self._heard.hear({shard: [told]})
        return bool(done) or is_full or page.has_followers

    async def _forward(self, entries: Sequence[OutboxItem]) -> list[OutboxItem]:
        """Carry out the second legs of transfers; answers the entries that are done with."""
        done = []
        for entry in entries:
            if isinstance(entry.event, Onward):
                if not await self._outbox.forward(entry.event, now_ms=self._clock_ms()):
                    continue  # it stays where it is until one of its wallets has room
                self._look_everywhere = True
            done.append(entry)
        return done

    async def _renew(self) -> None:
        now = _now()
        if now < self._lease_until:
            return
        has_lapsed = bool(self._leased) and now >= self._lease_until + LEASE_S * 2 / 3
        self._leased = {shard for shard in self._shards if await self._outbox.lease(shard, LEASE_S)}
        self._heard.keep(self._leased)
        if has_lapsed:  # others may have had it meanwhile, and published what we were told
            self._heard.must_read(self._leased)
        self._lease_until = now + LEASE_S / 3

    async def _let_go(self) -> None:
        with contextlib.suppress(Exception):
            await self._outbox.delete(self._done)
        with contextlib.suppress(Exception):
            for shard in self._leased:
                await self._outbox.release(shard)
        self._leased, self._lease_until = set(), 0.0
        self._heard.keep(self._leased)


def _now() -> float:
    return asyncio.get_running_loop().time()
