"""Makes the steps of subscriptions that are due by time, and wakes those that waited for money.

Usage does not wait for it: what comes before its renewal renews first (rater/pipeline/charge.py). So this only follows
up on who is idle, and takes half of its time at most: a million renewals at midnight are spread over the minutes after.
One step of each entry a round, the earliest first, so that fees of one wallet come in the order of their time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from rater.catalogue import Catalogue
from rater.directory import Directory
from rater.pipeline.choosing import Subject, after_refill, due_by_time
from rater.pipeline.stepper import Stepper
from rater.wallet.store import WalletStore
from rater.wallet.timers import DueEntry, Timers
from streams.metrics import STEPS_LATE
from streams.parts import Parts
from streams.patience import patiently

log = logging.getLogger(__name__)

#: Entries in a round, so that Redis answers others in between.
PAGE_ENTRIES = 200
#: How long something due may wait to be seen.
IDLE_S = 0.25
#: A step that the catalogue has no terms for is tried again so much later.
PUT_OFF_MS = 600_000


class Sweeper:
    """Works off what is due in some shards; those another process sweeps are left to it."""

    def __init__(
        self, timers: Timers, store: WalletStore, directory: Directory, catalogue: Catalogue,
        clock_ms: Callable[[], int], shards: Callable[[], Iterable[int]],
    ) -> None:  # fmt: skip
        self._timers = timers
        self._store = store
        self._directory = directory
        self._stepper = Stepper(store, catalogue)
        self._clock_ms = clock_ms
        self._shards = shards

    @classmethod
    def of(cls, parts: Parts, catalogue: Catalogue, shards: Callable[[], Iterable[int]]) -> Sweeper:
        """On the parts of an engine."""
        return cls(parts.timers, parts.store, parts.directory, catalogue, parts.clock_ms, shards)

    async def run(self) -> None:
        """Sweep for ever; cancel to stop."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            busy = await patiently("redis", self.sweep_once)
            await asyncio.sleep(loop.time() - began if busy else IDLE_S)

    async def settle(self) -> None:
        """Sweep until nothing is due."""
        while await patiently("redis", self.sweep_once):
            pass

    async def sweep_once(self) -> bool:
        """One round over all shards; answers whether anything was due."""
        now_ms, busy, oldest_ms = self._clock_ms(), False, 0
        for shard in sorted(self._shards()):
            entries = await self._timers.due(shard, now_ms, PAGE_ENTRIES)
            if entries:
                busy, oldest_ms = True, max(oldest_ms, now_ms - entries[0].due_ms)
                await self._sweep(shard, entries, now_ms)
        STEPS_LATE.set(oldest_ms / 1000)
        return busy

    async def _sweep(self, shard: int, entries: list[DueEntry], now_ms: int) -> None:
        for entry in entries:
            if not entry.subscriber:
                await self._wake(shard, entry, now_ms)
        found = await self._subjects(shard, [entry for entry in entries if entry.subscriber])
        subjects = {subject.key: (subject, entry) for subject, entry in found}
        done = await self._stepper.round([subject for subject, _ in found], due_by_time, now_ms=now_ms)
        for key, why in done.stuck.items():
            log.error("%s: a step that is due cannot be made, and is put off: %s", key.decode(), why)
            await self._timers.put_off(shard, subjects[key][1], now_ms + PUT_OFF_MS)
        for key in subjects.keys() - done.stuck.keys() - {subject.key for subject in done.went}:
            # Nothing is due though the index says so: it was moved on meanwhile, and then is not what was read.
            await self._timers.drop(shard, subjects[key][1])

    async def _wake(self, shard: int, entry: DueEntry, now_ms: int) -> None:
        """All of a wallet that wait for money, one after the other, as long as there is some."""
        names = sorted([name async for name in self._timers.waiting(entry.tenant, entry.wallet)])
        waiting = [entry._replace(subscriber=name, due_ms=now_ms) for name in names]
        stuck: dict[bytes, str] = {}
        for subject, _ in await self._subjects(shard, waiting):
            while (done := await self._stepper.round([subject], after_refill, now_ms=now_ms)).went:
                pass
            stuck |= done.stuck
        for key, why in stuck.items():
            log.error("%s: it was refilled and cannot go on, which is put off: %s", key.decode(), why)
        await (self._timers.put_off(shard, entry, now_ms + PUT_OFF_MS) if stuck else self._timers.drop(shard, entry))

    async def _subjects(self, shard: int, entries: list[DueEntry]) -> list[tuple[Subject, DueEntry]]:
        """Whose subscriptions they are. Those that their wallet does not pay for now are no longer due."""
        subscribers = await self._directory.each([(entry.tenant, entry.subscriber) for entry in entries])
        found = []
        for entry, subscriber in zip(entries, subscribers, strict=True):
            assignment = subscriber.assignment_at(entry.due_ms) if subscriber is not None else None
            if subscriber is None or assignment is None or subscriber.assignments[-1].wallet != entry.wallet:
                await self._timers.drop(shard, entry)
                continue
            wallet = self._store.wallet_ref(entry.tenant, entry.wallet)
            key = self._store.member_key(wallet, subscriber.id)
            found.append((Subject(subscriber, assignment, wallet, key, entry.due_ms), entry))
        return found
