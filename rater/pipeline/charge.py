"""Second stage: the one call that decides, and the second look at whatever was assumed wrongly.

A stale answer changed nothing. Its events are rated again from what the shard really has and sent again, in their
order; after `TOGETHER_MAX` rounds without progress one by one, and never dropped.

Events that move counters wait in their member's `pending`, rated each upon the one before. If one of them does not
count after all (a repeat, a refusal) or the shard has other counters, all that wait are rated again at once, those of
other batches included, in the order in which they are sent; so an event that is sent follows from those sent before it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from rater.errors import WalletError
from rater.pipeline.batch import Fault, Faulted, Rated, Work
from rater.pipeline.catalogues import Catalogues
from rater.pipeline.choosing import Subject
from rater.pipeline.counting import session_prefix
from rater.pipeline.rater import Rater
from rater.pipeline.recall import Recall
from rater.pipeline.revive import Reviver
from rater.pipeline.sims import Sims
from rater.pipeline.stepper import Stepper
from rater.wallet.entry import Stale
from rater.wallet.member import Member
from rater.wallet.store import WalletStore
from schemas.fates import Fate, Reason

#: Rounds without progress in which all stale events are sent together.
TOGETHER_MAX = 5
#: Then the serial lane: tries for one event alone. Losing a hundred races in a row is a fault, not a race.
ALONE_MAX = 100

_PARKED = {"no_wallet": Reason.NO_WALLET, "currency": Reason.CURRENCY_MISMATCH}

#: Members whose waiting events have to be rated again, by key, with their present state where an answer told it.
_Wrong = dict[bytes, tuple[Member[Any], bytes | None]]


class Charger:
    """Sends entries to the wallets until each has its decision; one batch at a time."""

    def __init__(
        self, store: WalletStore, sims: Sims, rater: Rater, recall: Recall, past: Catalogues, reviver: Reviver,
        stepper: Stepper,
    ) -> None:  # fmt: skip
        self._store = store
        self._sims = sims
        self._rater = rater
        self._recall = recall
        self._past = past
        self._reviver = reviver
        self._stepper = stepper
        self._turn = asyncio.Lock()
        #: Shards whose outbox has news since this was last emptied.
        self.news: set[int] = set()

    async def charge(self, work: Work) -> None:
        """Decide every open event of the batch. May be repeated after a failure: what was decided is found again."""
        try:
            async with self._turn:
                await self._charge(work)
        except BaseException:
            self.let_go(work)
            raise

    async def _charge(self, work: Work) -> None:
        await self._reviver.revive(work)
        events = [event for event in work.items if type(event) is Rated and event.is_open]
        recalled = await self._recall.recall(events)
        if recalled:
            events = [event for event in events if event.is_open]
            await self._did_not_count(recalled, events, work.batch.now_ms)
        await self._send_all(events, work.batch.now_ms)
        # All of the batch: what a try before this one decided was not restored if that one failed on its way.
        for event in work.items:
            if type(event) is Rated and event.head is None and event.is_redelivery:
                await self._past.restore(event, self._sims.directory)

    @staticmethod
    def let_go(work: Work) -> None:
        """Let nothing wait for a batch that failed: it may be repeated, and then is rated again, or given up."""
        for event in work.items:
            if type(event) is Rated and event.counts:
                event.leave()
                event.after, event.pool_after, event.sessions, event.counts = b"", b"", (), False
                event.uncounted = event.is_open

    async def _send_all(self, events: list[Rated], now_ms: int) -> None:
        """Send until all are decided.

        A round decides at least the first stale event of each wallet, unless another worker was quicker.
        """
        fruitless = 0
        while events and fruitless < TOGETHER_MAX:
            events = await self._step(events, now_ms)
            sent = len(events)
            events = await self._send(events, now_ms)
            fruitless += len(events) == sent
        while events:
            events = await self._serial(events, now_ms)

    async def _serial(self, events: Sequence[Rated], now_ms: int) -> list[Rated]:
        head, rest = list(events[:1]), list(events[1:])
        for _ in range(ALONE_MAX):
            head = await self._send(await self._step(head, now_ms), now_ms)
            if not head:
                return [event for event in rest if event.is_open]
        raise WalletError(f"no stable wallet to charge for {head[0].cause} after {ALONE_MAX} tries")

    async def _step(self, events: list[Rated], now_ms: int) -> list[Rated]:
        """Make the steps of subscriptions that events must wait for; answers the events, rated again upon them."""
        while due := [event for event in events if event.is_due and not event.is_repeat]:
            await self._recall.look_up(due)  # what was decided before is no usage that anything begins with
            due = [event for event in due if event.is_open]
            wanted: dict[bytes, Subject] = {}
            for event in sorted(due, key=lambda one: one.start_ms, reverse=True):  # the earliest is the one that stays
                wanted |= {subject.key: subject for subject in await self._subjects(event, now_ms)}
            stuck = await self._stepper.catch_up(list(wanted.values()), now_ms=now_ms)
            for event in due:
                why = stuck.get(event.member.key) or (event.pool and stuck.get(event.pool.key))
                if why:
                    event.fault = Fault.of_usage(event.body, Reason.NO_PLAN, why)
            lines = {line.key: line for event in due for line in (event.member, event.pool) if line is not None}
            steps = {key: line.steps for key, line in lines.items()}
            events = [event for event in events if event.is_open]
            await self._rate_again({key: (line, None) for key, line in lines.items()}, events, now_ms)
            events = [event for event in events if event.is_open]
            if all(line.steps == steps[key] for key, line in lines.items()):
                break  # no wallet, no member: the wallet's call says what is wrong
        return events

    async def _subjects(self, event: Rated, now_ms: int) -> list[Subject]:
        """Whose steps an event waits for: its subscriber's, its pool's."""
        payer, pool, at_ms, last_ms = event.payer, event.pool, event.start_ms, event.last_ms(now_ms)
        found, begins = [], not event.offer.is_refused
        if payer.lives:
            own = Subject(payer.subscriber, payer.assignment, event.wallet, event.member.key, at_ms, last_ms, begins)
            found.append(own)
        if pool is not None and pool is not event.member:
            directory = self._sims.directory
            name = pool.key.decode().split("/", 2)[2]
            subscriber = await directory.get(event.wallet.tenant, name)
            assignment = directory.assignment(subscriber, at_ms) if subscriber is not None else None
            if subscriber is not None and assignment is not None and assignment.wallet == event.wallet.name:
                key = pool.key
                found.append(Subject(subscriber, assignment, event.wallet, key, at_ms, last_ms, begins, is_pool=True))
        return found

    async def _send(self, events: Sequence[Rated], now_ms: int) -> list[Rated]:
        """One call; answers the events to send again, already rated again."""
        if not events:
            return []
        first = [event for event in events if not event.is_repeat]
        repeats = [event for event in events if event.is_repeat] if len(first) < len(events) else []
        self.news |= await self._store.charge(first, now_ms=now_ms)
        if repeats:
            await self._recall.look_up(repeats)
        stale: list[Rated] = []
        surprises: list[Rated] = []
        for event in events:
            if event.head is not None:
                if event.counts:
                    event.leave()
                continue
            answer = event.answer
            if answer is None or isinstance(answer, Stale):
                stale.append(event)
            else:
                if answer.outdated or (event.counts and (answer.known or answer.fate is not Fate.RATED)):
                    surprises.append(event)
                if event.counts:
                    event.leave()
        if surprises or stale:
            return await self._second_look(stale, surprises, now_ms)
        return []

    async def _second_look(self, stale: list[Rated], surprises: Sequence[Rated], now_ms: int) -> list[Rated]:
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
        await self._rate_again(wrong, events, now_ms)
        if "assignment" in whys or self._recall.is_behind:
            # There are other shards to ask than before, or ids have gone from Redis since the batch asked.
            recalled = await self._recall.recall(events)
            events = [event for event in events if event.is_open]
            await self._did_not_count(recalled, events, now_ms)
        return events

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

    async def _rate_again(self, wrong: _Wrong, next_sent: Sequence[Rated], now_ms: int) -> None:
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
            member.pending = deque()
        for event in waiting:
            if event.counts:
                self._rater.queue(event)

    async def _did_not_count(self, events: Sequence[Rated], next_sent: Sequence[Rated], now_ms: int) -> None:
        """What was decided elsewhere, or found to have no wallet, moves no counters."""
        wrong: _Wrong = {}
        for event in events:
            if event.counts:
                wrong[event.member.key] = (event.member, None)
                event.leave()
        if wrong:
            await self._rate_again(wrong, next_sent, now_ms)

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
            line.pending[-1] = event
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
