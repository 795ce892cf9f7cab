"""Catalogues that decided in the past, kept beside the wallets, so that a lost record is rebuilt as it was."""

from __future__ import annotations

from typing import Any

from rater.catalogue import Catalogue
from rater.directory import Directory, Subscriber
from rater.errors import CatalogueError
from rater.pipeline.batch import Payer, Rated
from rater.rating.rate import rate
from rater.wallet.entry import Decision
from schemas.usage import Usage

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

    async def restore(self, event: Rated) -> None:
        """Give a redelivered event the assignment, plan, tariff and charge it was decided by; safe to repeat."""
        decision, payer = event.decision, event.payer
        if decision is None:
            return
        is_current = decision.catalogue == self.current.digest[:NAME_BYTES]
        if is_current and decision.subscriber_version == payer.subscriber.version:
            return
        event.payer = await self.payer(payer.subscriber, event.usage, decision)
        event.charge = rate(event.payer.tariff, event.usage, {}, event.payer.zone)
        event.assumed = (0,) * len(event.charge.uses)

    async def payer(self, subscriber: Subscriber, usage: Usage, decision: Decision) -> Payer:
        """Who paid, and by which terms, when the event was decided.

        Raises:
            CatalogueError: the catalogue or the assignment that decided is not kept.
        """
        catalogue = await self.get(decision.catalogue)
        assignment = Directory.assignment_as_of(subscriber, decision.subscriber_version, usage.start_ms)
        assignment = assignment or Directory.assignment(subscriber, usage.start_ms)
        plan = catalogue.plan(assignment.plan, usage.start_ms) if assignment else None
        if assignment is None or plan is None:
            raise CatalogueError(f"what decided {usage.source}/{usage.id} of {subscriber.id} is not kept any more")
        return Payer(subscriber, assignment, plan, catalogue.tariff(plan.tariff))
