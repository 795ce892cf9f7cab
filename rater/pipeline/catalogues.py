"""Catalogues that decided in the past, kept beside the wallets, so that a lost record is rebuilt as it was."""

from __future__ import annotations

from typing import Any

from rater.catalogue import Catalogue
from rater.directory import Directory
from rater.errors import CatalogueError
from rater.pipeline.batch import UNRATED, Rated
from rater.pipeline.cover import unpack
from rater.pipeline.payer import Book, Payer
from rater.subscriber import Subscriber
from rater.wallet.debit import WalletRef
from rater.wallet.entry import Decision
from rater.wallet.member import Member
from schemas.shape import Shape, shape_key

KEY = "rater:catalogues"
#: A verdict names its catalogue by the first bytes of the digest.
NAME_BYTES = 4


class Catalogues:
    """The catalogue in force, and on demand those before it."""

    def __init__(self, redis: Any, current: Catalogue) -> None:
        self._redis = redis
        self._known = {current.digest[:NAME_BYTES]: current}
        self.current = current

    async def keep(self) -> None:
        """Store the catalogue in force; must be done before it decides anything."""
        await self._redis.hset(KEY, self.current.digest[:NAME_BYTES], self.current.sources())

    async def get(self, name: bytes) -> Catalogue:
        """The catalogue with this digest prefix.

        Raises:
            CatalogueError: nobody kept it.
        """
        if name not in self._known:
            sources = await self._redis.hget(KEY, name)
            if sources is None:
                raise CatalogueError(f"the catalogue {name.hex()} that decided an event is not kept in Redis ({KEY})")
            self._known[name] = Catalogue.from_sources(sources)
        return self._known[name]

    async def restore(self, event: Rated, directory: Directory) -> None:
        """Give a redelivered event the assignment, plan and tariff it was decided by; safe to repeat."""
        decision, payer = event.decision, event.payer
        if decision is None:
            return
        is_current = decision.catalogue == self.current.digest[:NAME_BYTES]
        plan = unpack(decision.cover).plan if decision.cover else payer.assignment.plan
        is_its_plan = plan == payer.book.plan.name
        if is_current and decision.subscriber_version == payer.version and is_its_plan:
            return
        # A worker that has heard of a change decides by it, and then it comes again at one that has not.
        subscriber = await directory.at_least(payer.subscriber, decision.subscriber_version)
        event.payer = payer = await self.payer(subscriber, event.start_ms, decision)
        # With the number itself: that catalogue may name other prefixes than today's, by which numbers are classed.
        event.shape = Shape(shape_key(event.body, event.body.called_number))
        event.offer = payer.book.offer(event.shape, event.start_ms, event.until_ms)
        event.billed = UNRATED

    async def payer(self, subscriber: Subscriber, at_ms: int, decision: Decision) -> Payer:
        """Who paid, and by which terms, when the event was decided.

        Raises:
            CatalogueError: the catalogue or the assignment that decided is not kept.
        """
        catalogue = await self.get(decision.catalogue)
        assignment = subscriber.assignment_as_of(decision.subscriber_version, at_ms)
        assignment = assignment or subscriber.assignment_at(at_ms)
        name = unpack(decision.cover).plan if decision.cover else assignment.plan if assignment else ""
        plan = catalogue.plan(name, at_ms)
        if assignment is None or plan is None:
            raise CatalogueError(f"what decided an event of {subscriber.id} is not kept any more")
        zone = assignment.zone or plan.zone
        book = Book(plan, catalogue.tariff(plan.tariff), zone, decision.catalogue.hex())
        wallet = WalletRef(subscriber.tenant, decision.wallet, 0, b"")
        return Payer(subscriber, assignment, book, wallet, Member(b""), at_ms, at_ms + 1)
