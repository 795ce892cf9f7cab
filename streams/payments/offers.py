"""Which refill offers a wallet has: those of a plan that is named, or of the plans of its SIMs."""

from __future__ import annotations

from collections.abc import Iterable

from rater.catalogue import Catalogue
from rater.directory import Directory
from rater.plans.model import Plan, Refill
from rater.wallet.states import WalletState
from rater.wallet.store import WalletStore

#: SIMs of a wallet whose plans are looked at; a company's have few different ones.
SIMS_MAX = 1000


class Offers:
    """Looks offers up in the catalogue, as in force at a time."""

    def __init__(self, catalogue: Catalogue, store: WalletStore, directory: Directory) -> None:
        self._catalogue = catalogue
        self._store = store
        self._directory = directory

    async def plans_of(self, wallet: WalletState, now_ms: int) -> list[Plan]:
        """The plans of the wallet's SIMs, by name."""
        names: set[str] = set()
        seen = 0
        async for sim in self._store.members(wallet.tenant, wallet.wallet, SIMS_MAX):
            subscriber = await self._directory.get(wallet.tenant, sim)
            assignment = subscriber.assignment_at(now_ms) if subscriber is not None else None
            if assignment is not None and assignment.wallet == wallet.wallet:
                names.add(assignment.plan)
            seen += 1
            if seen >= SIMS_MAX:
                break
        plans = (self._catalogue.plan(name, now_ms) for name in sorted(names))
        return [plan for plan in plans if plan is not None]

    def plan(self, name: str, now_ms: int) -> Plan | None:
        """A plan as in force."""
        return self._catalogue.plan(name, now_ms)

    def offer(self, plan: str, name: str, now_ms: int) -> tuple[Plan, Refill] | None:
        """An offer of a plan as in force; None if there is none."""
        found = self.plan(plan, now_ms)
        offer = offer_named(found.refills, name) if found is not None else None
        return (found, offer) if found is not None and offer is not None else None


def offer_named(offers: Iterable[Refill], name: str) -> Refill | None:
    """The offer of a name."""
    return next((offer for offer in offers if offer.name == name), None)
