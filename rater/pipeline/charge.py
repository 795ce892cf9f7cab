"""Second stage: the one call that decides, and the second look at whatever was assumed wrongly.

A stale answer changed nothing. Its events are rated again from what the shard really has and sent again, in their
order; after `TOGETHER_MAX` rounds without progress one by one, and never dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from rater.errors import WalletError
from rater.pipeline.batch import Fault, Rated, Work
from rater.pipeline.catalogues import Catalogues
from rater.pipeline.choosing import Subject
from rater.pipeline.rater import Rater
from rater.pipeline.recall import Recall
from rater.pipeline.revive import Reviver
from rater.pipeline.second_look import SecondLook
from rater.pipeline.sift import due_of, let_go_charged, open_of, redeliveries_of, split_repeats
from rater.pipeline.sims import Sims
from rater.pipeline.stepper import Stepper
from rater.wallet.entry import Stale
from rater.wallet.store import News, WalletStore
from schemas.fates import Fate, Reason

#: Rounds without progress in which all stale events are sent together.
TOGETHER_MAX = 5
#: Then the serial lane: tries for one event alone. Losing a hundred races in a row is a fault, not a race.
ALONE_MAX = 100


#: Told of the shards whose outbox has news, crossings to be published, as soon as they are decided.
OnNews = Callable[[News], None]


class Charger:
    """Sends entries to the wallets until each has its decision; one batch at a time."""

    def __init__(
        self, store: WalletStore, sims: Sims, rater: Rater, recall: Recall, past: Catalogues, reviver: Reviver,
        stepper: Stepper, on_news: OnNews,
    ) -> None:  # fmt: skip
        self._store = store
        self._sims = sims
        self._recall = recall
        self._past = past
        self._reviver = reviver
        self._stepper = stepper
        self._again = SecondLook(store, sims, rater, recall)
        self._turn = asyncio.Lock()
        self._on_news = on_news

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
        events = open_of(work.items)
        recalled = await self._recall.recall(events)
        if recalled:
            events = [event for event in events if event.is_open]
            await self._again.did_not_count(recalled, events, work.batch.now_ms)
        await self._send_all(events, work.batch.now_ms)
        # All of the batch: what a try before this one decided was not restored if that one failed on its way.
        for event in redeliveries_of(work.items):
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
        while due := due_of(events):
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
            await self._again.rate_again({key: (line, None) for key, line in lines.items()}, events, now_ms)
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
            assignment = subscriber.assignment_at(at_ms) if subscriber is not None else None
            if subscriber is not None and assignment is not None and assignment.wallet == event.wallet.name:
                key = pool.key
                found.append(Subject(subscriber, assignment, event.wallet, key, at_ms, last_ms, begins, is_pool=True))
        return found

    async def _send(self, events: Sequence[Rated], now_ms: int) -> list[Rated]:
        """One call; answers the events to send again, already rated again."""
        if not events:
            return []
        first, repeats = split_repeats(events)
        news = await self._store.charge(first, now_ms=now_ms)
        if news:
            self._on_news(news)
        if repeats:
            await self._recall.look_up(repeats)
        stale: list[Rated] = []
        surprises: list[Rated] = []
        for event in let_go_charged(events):
            answer = event.answer
            if answer is None or isinstance(answer, Stale):
                stale.append(event)
            else:
                if answer.outdated or (event.counts and (answer.known or answer.fate is not Fate.RATED)):
                    surprises.append(event)
                if event.counts:
                    event.leave()
        if surprises or stale:
            return await self._again.look(stale, surprises, now_ms)
        return []
