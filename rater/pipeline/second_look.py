"""The second look at whatever was assumed wrongly: what waits upon it is rated again, from what the shard really has.

Events that move counters wait in their member's `pending`, rated each upon the one before. If one of them does not
count after all (a repeat, a refusal) or the shard has other counters, all that wait are rated again at once, those of
other batches included, in the order in which they are sent; so an event that is sent follows from those sent before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rater.errors import WalletError
from rater.pipeline.batch import Fault, Faulted, Rated
from rater.pipeline.counting import session_prefix
from rater.pipeline.rater import Rater
from rater.pipeline.recall import Recall
from rater.pipeline.sims import Sims
from rater.wallet.entry import Stale
from rater.wallet.member import Member
from rater.wallet.store import WalletStore
from schemas.fates import Reason

_PARKED = {"no_wallet": Reason.NO_WALLET, "currency": Reason.CURRENCY_MISMATCH}

#: Members whose waiting events have to be rated again, by key, with their present state where an answer told it.
_Wrong = dict[bytes, tuple[Member[Any], bytes | None]]


class SecondLook:
    """One per process, of the charge stage."""

    def __init__(self, store: WalletStore, sims: Sims, rater: Rater, recall: Recall) -> None:
        self._store = store
        self._sims = sims
        self._rater = rater
        self._recall = recall

    async def look(self, stale: list[Rated], surprises: Sequence[Rated], now_ms: int) -> list[Rated]:
        """Learn from what was stale or came out otherwise; answers the stale ones that are to be sent again."""
        whys = {_why(event) for event in stale}
        undecided = {event.identity for event in stale if not event.is_repeat}
        wrong: _Wrong = {event.member.key: (event.member, None) for event in surprises}
        for event in stale:
            # A repeat waits for the event it repeats: a SIM that moved may have them in two shards.
            if event.answer is not None or event.identity not in undecided:
                self._learn(event, wrong)
        for event in stale:
            if event.fault is not None and event.counts:
                event.leave()
        moved = {_sim(event) for event in stale if _why(event) == "assignment"}
        if moved:
            await self._resolve_again([event for event in stale if event.is_open and _sim(event) in moved], now_ms)
        events = [event for event in stale if event.is_open]
        await self.rate_again(wrong, events, now_ms)
        if "assignment" in whys or self._recall.is_behind:
            # There are other shards to ask than before, or ids have gone from Redis since the batch asked.
            recalled = await self._recall.recall(events)
            events = [event for event in events if event.is_open]
            await self.did_not_count(recalled, events, now_ms)
        return events

    async def did_not_count(self, events: Sequence[Rated], next_sent: Sequence[Rated], now_ms: int) -> None:
        """What was decided elsewhere, or found to have no wallet, moves no counters."""
        wrong: _Wrong = {}
        for event in events:
            if event.counts:
                wrong[event.member.key] = (event.member, None)
                event.leave()
        if wrong:
            await self.rate_again(wrong, next_sent, now_ms)

    async def rate_again(self, wrong: _Wrong, next_sent: Sequence[Rated], now_ms: int) -> None:
        """Rate all that wait on these members again, from their present state.

        First what is sent next, in the order in which it is sent. That need not be the order in which it was rated: a
        name that had to be looked up was rated later, and batches of two doors may overtake each other.
        """
        _spread(wrong)
        untold = [member for member, state in wrong.values() if state is None]
        states = await self._store.member_states([member.key for member in untold])
        told = dict(zip((member.key for member in untold), states, strict=True))
        for key, (member, state) in wrong.items():
            member.learn(told[key] if state is None else state)
            if state is not None:
                member.is_held = False  # else it would have been refused, not stale
        await self._sims.refresh([member for member, _ in wrong.values()])
        sent = [event for event in next_sent if event.member.key in wrong or (event.pool and event.pool.key in wrong)]
        first = {id(event) for event in sent}
        rest = {id(event): event for member, _ in wrong.values() for event in member.pending if id(event) not in first}
        waiting = [*sent, *sorted(rest.values(), key=lambda one: one.order)]
        for event in waiting:
            event.fault = self._rater.price_again(event, now_ms)
        for member, _ in wrong.values():
            member.pending = ()
        for event in waiting:
            if event.counts:
                self._rater.queue(event)

    def _learn(self, event: Rated, wrong: _Wrong) -> None:
        """Note what one stale answer says."""
        answer = event.answer
        if answer is None:  # no repeat after all: what came before it was parked, or is forgotten
            event.is_repeat = False
            wrong.setdefault(event.member.key, (event.member, None))
            return
        assert isinstance(answer, Stale)
        if answer.why in _PARKED:
            detail = f"wallet {event.wallet.name}: {answer.why.replace('_', ' ')}"
            event.fault = Fault.of_usage(event.body, _PARKED[answer.why], detail)
        elif answer.why == "epoch":
            raise WalletError("the wallets were restored to an earlier state; they must be replayed first")
        elif answer.state is not None:
            start = len(session_prefix(event.payer.subscriber))
            keys = [use.field[start:] for use in event.sessions]
            self._learn_pool(event, answer, wrong)
            is_first = wrong.get(event.member.key, (None, None))[1] is None
            if is_first:
                wrong[event.member.key] = (event.member, answer.state)
                event.member.sessions.clear()
            event.member.sessions |= {
                key: value
                for key, value in zip(keys, answer.sessions, strict=True)
                if is_first or key not in event.member.sessions
            }

    def _learn_pool(self, event: Rated, answer: Stale, wrong: _Wrong) -> None:
        """Note what the shard says of the wallet's pool; it may be new to us, or gone."""
        if answer.pool_state is None:
            self._sims.set_pool(event.wallet, "")
            return
        pool = self._sims.set_pool(event.wallet, answer.pool)
        assert pool is not None, "it has a name"
        if wrong.get(pool.key, (None, None))[1] is None:
            wrong[pool.key] = (pool, answer.pool_state)

    async def _resolve_again(self, again: Sequence[Rated], now_ms: int) -> None:
        """Look up who pays anew; where the directory is ahead of the shard (a move was cut short), finish the move."""
        for event in again:
            self._sims.forget(event.body.tenant, event.payer.subscriber.id)
            if event.counts:
                event.leave()
        sims = await self._sims.fetch([event.usage for event in again])
        behind = {}
        for event, sim in zip(again, sims, strict=True):
            answer = event.answer
            if sim is None:
                detail = f"no SIM is known as {event.payer.subscriber.id}"
                event.fault = Fault.of_usage(event.body, Reason.UNKNOWN_SUBSCRIBER, detail)
                continue
            item = self._rater.rate(event.raw, event.body, event.start_ms, event.end_ms, event.shape, sim, now_ms)
            if isinstance(item, Faulted):
                event.fault = item.fault
                continue
            _take_over(event, item)
            subscriber = sim.subscriber
            if isinstance(answer, Stale) and answer.why == "assignment":
                ahead = answer.subscriber_version < subscriber.version or subscriber.moving is not None
                if ahead:
                    behind[subscriber.tenant, subscriber.id] = subscriber
        for subscriber in behind.values():
            await self._sims.directory.repair(subscriber, now_ms=now_ms)


def _take_over(event: Rated, rated: Rated) -> None:
    """Become what the event was rated as anew."""
    for line in (rated.member, rated.pool):
        if line is not None and line.pending and line.pending[-1] is rated:
            line.settle(rated)
            line.queue(event)
    for name in Rated.__struct_fields__:
        setattr(event, name, getattr(rated, name))


def _spread(wrong: _Wrong) -> None:
    """What waits on a pool waits on members too: those, and what waits on them, are to be rated again with it."""
    found = [member for member, _ in wrong.values()]
    while found:
        for event in found.pop().pending:
            for other in (event.member, event.pool):
                if other is not None and other.key not in wrong:
                    wrong[other.key] = (other, None)
                    found.append(other)


def _sim(event: Rated) -> tuple[str, str]:
    """Whose event it is; two tenants may call a SIM the same."""
    return event.payer.subscriber.tenant, event.payer.subscriber.id


def _why(event: Rated) -> str:
    return event.answer.why if isinstance(event.answer, Stale) else ""
