"""Second stage: the one call that decides, and the second look at whatever was assumed wrongly.

A stale answer changed nothing. Its events are rated again from what the shard really has and sent again, in their
order; after `TOGETHER_MAX` rounds without progress one by one, and never dropped.
"""

from __future__ import annotations

from collections.abc import Sequence

from rater.errors import WalletError
from rater.pipeline.batch import Fault, Faulted, Rated, Work
from rater.pipeline.catalogues import Catalogues
from rater.pipeline.counters import Counters, CounterView, holds
from rater.pipeline.prepare import Preparer
from rater.pipeline.recall import Recall
from rater.pipeline.revive import Reviver
from rater.wallet.entry import Stale
from rater.wallet.store import WalletStore
from schemas.fates import Fate, Reason

#: Rounds without progress in which all stale events are sent together.
TOGETHER_MAX = 5
#: Then the serial lane: tries for one event alone. Losing a hundred races in a row is a fault, not a race.
ALONE_MAX = 100

_PARKED = {"no_wallet": Reason.NO_WALLET, "currency": Reason.CURRENCY_MISMATCH}


class Charger:
    """Sends entries to the wallets until each has its decision."""

    def __init__(
        self, store: WalletStore, preparer: Preparer, counters: CounterView, recall: Recall, past: Catalogues
    ) -> None:
        self._store = store
        self._preparer = preparer
        self._counters = counters
        self._recall = recall
        self._past = past
        self._reviver = Reviver(store, preparer, past)

    async def charge(self, work: Work) -> None:
        """Decide every open event of the batch. May be repeated after a failure: what was decided is found again."""
        await self._reviver.revive(work)
        events = [event for event in work.rated() if event.is_open]
        await self._recall.recall(events)
        for event in events:
            if event.is_open:
                self._check_in(event)
            elif event.charge.uses:
                self._counters_of(event).unrate(event.charge.uses)
        await self._send_all([event for event in events if event.is_open], work.batch.now_ms)
        # All of the batch: what a try before this one decided was not restored if that one failed on its way.
        for event in work.rated():
            if event.is_redelivery:
                await self._past.restore(event)

    def _counters_of(self, event: Rated) -> Counters:
        return self._counters.of(event.usage.tenant, event.payer.subscriber.id)

    def _check_in(self, event: Rated) -> None:
        """Rate an event again if what was guessed when it was rated has turned out otherwise since."""
        uses = event.charge.uses
        if not uses:
            return
        counters = self._counters_of(event)
        before = counters.check_in(uses, event.assumed)
        if before != event.assumed and not holds(uses, before):
            counters.take_back(uses)
            self._rate_settled(event, counters)

    def _rate_settled(self, event: Rated, counters: Counters) -> None:
        """Rate from what is settled, and check in at once."""
        rated = self._preparer.rate(event.raw, event.usage, event.payer, counters.settled)
        if isinstance(rated, Faulted):
            event.fault = rated.fault
            return
        event.charge, event.assumed, event.entry = rated.charge, rated.assumed, rated.entry
        counters.rate(rated.charge.uses)
        counters.check_in(rated.charge.uses, rated.assumed)

    async def _send_all(self, stale: list[Rated], now_ms: int) -> None:
        """Send until all are decided.

        A round decides at least the first stale event of each wallet, unless another worker was quicker.
        """
        fruitless = 0
        while stale and fruitless < TOGETHER_MAX:
            sent = len(stale)
            stale = await self._send(stale, now_ms)
            fruitless += len(stale) == sent
        while stale:
            stale = await self._serial(stale, now_ms)

    async def _serial(self, events: Sequence[Rated], now_ms: int) -> list[Rated]:
        head, rest = list(events[:1]), list(events[1:])
        for _ in range(ALONE_MAX):
            head = await self._send(head, now_ms)
            if not head:
                return rest
        raise WalletError(f"no stable wallet to charge for {head[0].entry.cause} after {ALONE_MAX} tries")

    async def _send(self, events: Sequence[Rated], now_ms: int) -> list[Rated]:
        """One call; answers the events to send again, already rated again."""
        if not events:
            return []
        again: list[tuple[Rated, Stale]] = []
        answers = await self._store.apply([event.entry for event in events], now_ms=now_ms)
        for event, answer in zip(events, answers, strict=True):
            if isinstance(answer, Stale):
                again.append((event, answer))
                continue
            event.decision = answer
            if answer.known or answer.fate is not Fate.RATED:
                self._take_back(event)
        return await self._second_look(again, now_ms) if again else []

    async def _second_look(self, again: Sequence[tuple[Rated, Stale]], now_ms: int) -> list[Rated]:
        wrong = _wrong(again)
        rated_anew = [event for event, _ in again if _sim(event) in wrong]
        for event in rated_anew:
            self._take_back(event)
        for event, stale in again:
            if _sim(event) in wrong:
                self._learn(event, stale)
        if any(stale.why == "assignment" for _, stale in again):
            await self._resolve_again([one for one in again if _sim(one[0]) in wrong], now_ms)
        for event in rated_anew:
            if event.is_open:
                self._rate_settled(event, self._counters_of(event))
        events = [event for event, _ in again if event.is_open]
        if any(stale.why in ("assignment", "memory") for _, stale in again):
            # There are other shards to ask than before, or ids have gone from Redis since the batch asked.
            await self._recall.recall(events)
            for event in events:
                if not event.is_open:
                    self._take_back(event)
        return [event for event in events if event.is_open]

    def _learn(self, event: Rated, stale: Stale) -> None:
        if stale.why == "counters" or (stale.why == "behind" and stale.counters):
            self._counters_of(event).believe(event.charge.uses, stale.counters)
        elif stale.why in _PARKED:
            detail = f"wallet {event.entry.wallet}: {stale.why.replace('_', ' ')}"
            event.fault = Fault.of_usage(event.usage, _PARKED[stale.why], detail)
        elif stale.why == "epoch":
            raise WalletError("the wallets were restored to an earlier state; they must be replayed first")

    async def _resolve_again(self, again: Sequence[tuple[Rated, Stale]], now_ms: int) -> None:
        """Look up who pays anew; where the directory is ahead of the shard (a move was cut short), finish the move."""
        directory = self._preparer.directory
        for event, _ in again:
            directory.forget(event.usage.tenant, event.payer.subscriber.id)
        behind = {}
        payers = await self._preparer.resolve([event.usage for event, _ in again])
        for (event, stale), payer in zip(again, payers, strict=True):
            if isinstance(payer, Fault):
                event.fault = payer
                continue
            event.payer = payer
            subscriber = payer.subscriber
            ahead = stale.subscriber_version < subscriber.version or subscriber.moving is not None
            if stale.why == "assignment" and ahead:
                behind[subscriber.tenant, subscriber.id] = subscriber
        for subscriber in behind.values():
            await directory.repair(subscriber, now_ms=now_ms)

    def _take_back(self, event: Rated) -> None:
        if event.charge.uses:
            self._counters_of(event).take_back(event.charge.uses)


def _sim(event: Rated) -> tuple[str, str]:
    """Whose event it is; two tenants may call a SIM the same."""
    return event.usage.tenant, event.payer.subscriber.id


def _wrong(again: Sequence[tuple[Rated, Stale]]) -> set[tuple[str, str]]:
    """The SIMs whose events are rated again. What was only behind another SIM's event is sent again as it is."""
    wrong: set[tuple[str, str]] = set()
    seen: set[tuple[str, str]] = set()
    for event, stale in again:
        sim = _sim(event)
        # The counters are those before the first of its events; the others were rated on top of that.
        told = sim not in seen and stale.why == "behind" and stale.counters
        if stale.why != "behind" or (told and not holds(event.charge.uses, stale.counters)):
            wrong.add(sim)
        seen.add(sim)
    return wrong
