"""What cannot be rated today may have been decided before, and then keeps its verdict.

A rate that was taken out of the catalogue, a plan that is gone, an event that has become too old meanwhile: if the
event was debited and its record was lost in a crash, it must be rebuilt, not parked; and a copy is a duplicate.
"""

from __future__ import annotations

from collections import defaultdict

from rater.directory import Directory
from rater.identity import identity
from rater.pipeline.batch import UNRATED, Faulted, Item, Rated, Work
from rater.pipeline.catalogues import Catalogues
from rater.pipeline.rater import Rater
from rater.subscriber import Subscriber
from rater.wallet.entry import Decision
from rater.wallet.store import WalletStore
from schemas.fates import Reason
from schemas.shape import Shapes
from schemas.usage import Usage

#: Faults of events whose subscriber may be known, so that there are shards to ask.
_ASKED = {Reason.NO_RATE, Reason.NO_PLAN, Reason.CURRENCY_MISMATCH, Reason.TOO_OLD}


class Reviver:
    """Looks up unrateable events in their subscribers' shards; costs nothing where there are none."""

    def __init__(self, store: WalletStore, directory: Directory, rater: Rater, past: Catalogues) -> None:
        self._store = store
        self._directory = directory
        self._rater = rater
        self._past = past
        self._shapes = Shapes()

    async def revive(self, work: Work) -> None:
        """Replace each faulted event that was decided before by what it was rated as."""
        chosen: list[tuple[int, Faulted, Usage]] = [
            (index, item, item.usage)
            for index, item in enumerate(work.items)
            if type(item) is Faulted and item.usage is not None and item.fault.reason in _ASKED
        ]
        if not chosen:
            return
        subscribers = await self._directory.resolve([usage for _, _, usage in chosen])
        known = [(*event, found) for event, found in zip(chosen, subscribers, strict=True) if found is not None]
        by_shard: defaultdict[int, list[tuple[int, Faulted, Usage, Subscriber]]] = defaultdict(list)
        for index, item, usage, subscriber in known:
            wallets = {assignment.wallet for assignment in subscriber.assignments}
            for shard in {self._store.shard_of(usage.tenant, wallet) for wallet in wallets}:
                by_shard[shard].append((index, item, usage, subscriber))
        for shard, asked in by_shard.items():
            ids = [identity(usage.tenant, usage.source, usage.id) for _, _, usage, _ in asked]
            for event, decision in zip(asked, await self._store.lookup(shard, ids), strict=True):
                if decision is not None:
                    index, item, usage, subscriber = event
                    work.items[index] = await self._as_decided(item, usage, subscriber, decision, work.batch.now_ms)

    async def _as_decided(
        self, item: Faulted, usage: Usage, subscriber: Subscriber, decision: Decision, now_ms: int
    ) -> Item:
        subscriber = await self._directory.at_least(subscriber, decision.subscriber_version)
        payer = await self._past.payer(subscriber, usage.start_ms, decision)
        shape = self._shapes.of(usage, usage.called_number)  # no class: an old catalogue may name other prefixes
        rated = self._rater.rate_for(item.raw, usage, usage.start_ms, usage.end_ms, shape, payer, now_ms)
        if isinstance(rated, Rated):
            rated.answer, rated.billed = decision, UNRATED
        return rated
