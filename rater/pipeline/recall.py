"""Earlier decisions that the wallet's own shard cannot know: made in another shard, or too long ago for Redis.

A SIM that moved to another wallet may have been charged where it was before; an event older than the verdict memory
may have been charged in a generation that is gone from Redis, and is looked up in ClickHouse. One query a batch each.

Where ClickHouse does not answer, such an event is parked: it may not charge before its id was looked up, and what comes
behind it, a suspend perhaps, does not wait for that.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence

from rater.errors import PartsError
from rater.pipeline.batch import Fault, Rated
from rater.pipeline.sift import before_of, moved_of
from rater.wallet.store import WalletStore
from schemas.fates import Reason

#: Looks up ids in ClickHouse: (tenant, [(source, id)]) -> hex fingerprint of those decided before. Raises PartsError
#: where it cannot say.
OldIds = Callable[[str, Sequence[tuple[str, str]]], Awaitable[Mapping[tuple[str, str], str]]]


class Recall:
    """Finds what was decided elsewhere, before the wallet is asked."""

    def __init__(self, store: WalletStore, future_ms: int, old_ids: OldIds | None) -> None:
        self._store = store
        self._future_ms = future_ms
        self._old_ids = old_ids
        #: What the shards had dropped when it last asked.
        self._view = store.dropped_before_ms

    async def recall(self, events: Sequence[Rated]) -> list[Rated]:
        """Set the answer, or the old fingerprint, of each event that has one; usually none is even looked up.

        Answers the events that were decided before.
        """
        moved: defaultdict[int, list[Rated]] = defaultdict(list)
        for event in moved_of(events):
            for other in self._shards(event)[1:]:
                moved[other].append(event)
        for shard, found in moved.items():
            await self._ask_shard(shard, found)
        # After the shards were asked: that also brings the store's view of what they have dropped up to date. So does
        # asking for late events, and then more of them may be late.
        is_asked = bool(moved)
        while True:
            self._view = self._store.dropped_before_ms
            # An event was decided after its start, give or take what clocks may differ.
            horizon_ms = max(self._view) + self._future_ms
            late = before_of(events, horizon_ms)
            if late:
                is_asked = True
                await self._recall_late(late)
            if not self.is_behind:
                break
        return [event for event in events if not event.is_open] if is_asked else []

    @property
    def is_behind(self) -> bool:
        """Whether shards have dropped ids since that were not looked up elsewhere."""
        return self._view != self._store.dropped_before_ms

    async def _recall_late(self, events: Sequence[Rated]) -> None:
        old: defaultdict[int, list[Rated]] = defaultdict(list)
        for event in events:
            asked = self._shards(event)
            dropped_before_ms = max(self._store.slow_lane_before_ms(shard) for shard in asked)
            if event.is_open and event.start_ms - self._future_ms < dropped_before_ms:
                old[asked[0]].append(event)
        forgotten: defaultdict[str, list[Rated]] = defaultdict(list)
        for shard, found in old.items():
            # It may have come late and been decided lately: then a redelivery is told from a duplicate by its token.
            await self._ask_shard(shard, found)
            for event in found:
                if event.is_open:
                    forgotten[event.body.tenant].append(event)
        for tenant, found in forgotten.items():
            await self._ask_clickhouse(tenant, found)

    def _shards(self, event: Rated) -> list[int]:
        """The shards that may have decided the event, the one that will decide it first."""
        tenant, own = event.wallet.tenant, event.wallet.shard
        if not event.payer.has_moved:
            return [own]
        assignments = event.payer.subscriber.assignments
        others = {self._store.shard_of(tenant, assignment.wallet) for assignment in assignments} - {own}
        return [own, *sorted(others)]

    async def look_up(self, events: Sequence[Rated]) -> None:
        """Set the answers of events that shards remember."""
        by_shard: defaultdict[int, list[Rated]] = defaultdict(list)
        for event in events:
            for shard in self._shards(event):
                by_shard[shard].append(event)
        await asyncio.gather(*(self._ask_shard(shard, found) for shard, found in by_shard.items()))

    async def _ask_shard(self, shard: int, events: Sequence[Rated]) -> None:
        decisions = await self._store.lookup(shard, [event.identity for event in events])
        for event, decision in zip(events, decisions, strict=True):
            if decision is not None and event.is_open:
                event.answer = decision

    async def _ask_clickhouse(self, tenant: str, events: Sequence[Rated]) -> None:
        ids = [(event.body.source, event.body.id) for event in events]
        try:
            if self._old_ids is None:
                raise PartsError("there is no ClickHouse")
            decided = await self._old_ids(tenant, ids)
        except PartsError as error:
            for event in events:
                detail = f"its id is older than those Redis remembers, and cannot be looked up: {error}"
                event.fault = Fault.of_usage(event.body, Reason.LEDGER_AWAY, detail)
            return
        for event, key in zip(events, ids, strict=True):
            if key in decided:
                event.old_fingerprint = bytes.fromhex(decided[key])
