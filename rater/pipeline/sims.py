"""What a worker knows of SIMs: who pays for each and by which terms, and the counters of its wallets' members.

Bounded: when full, the oldest go that no event under way is rated upon. Whatever is forgotten here, or wrong, is found
out by the wallet's call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from weakref import WeakValueDictionary

from rater import compiled
from rater.catalogue import Catalogue
from rater.directory import Directory
from rater.pipeline.live import live_of
from rater.pipeline.payer import Book, Payer
from rater.plan import Plan
from rater.subscriber import Assignment, Subscriber, lookup_key
from rater.tariff.model import Tariff
from rater.wallet.debit import WalletRef
from rater.wallet.keys import document_key
from rater.wallet.member import Member
from rater.wallet.store import WalletStore
from schemas.fates import Reason
from schemas.usage import Usage

#: SIMs kept, by the names that events give them: about 2 kB each with their counters.
SIMS_MAX: Final = 200_000
#: Beyond every event's time.
FOR_EVER_MS: Final = 2**62

#: Why nobody pays: the reason and a sentence.
Unpaid = tuple[Reason, str]


def sim_key(tenant: str, kind: str, identifier: str) -> bytes:
    """By which name an event gives its SIM."""
    return f"{tenant}\0{kind}\0{identifier}".encode()


@compiled.twin("fields")
class SimFields:
    """What the hot path reads of a SIM."""

    __slots__ = ("payer",)

    #: The payer last used, to be looked at first: it is nearly always right.
    payer: Payer | None


class Sim(SimFields):
    """One subscriber, the payers that events of some time have met, and its membership of each wallet."""

    __slots__ = ("members", "subscriber")

    def __init__(self, subscriber: Subscriber) -> None:
        self.subscriber = subscriber
        self.payer = None
        self.members: dict[str, Member[Any]] = {}

    @property
    def is_busy(self) -> bool:
        """Whether events are under way that were rated upon its counters."""
        return any(member.pending for member in self.members.values())


class Sims:
    """Finds who pays; one per process."""

    def __init__(self, directory: Directory, store: WalletStore, catalogue: Catalogue) -> None:
        self.directory = directory
        self._store = store
        self._catalogue = catalogue
        #: The SIMs that are known, by `sim_key`.
        self.by_key: dict[bytes, Sim] = {}
        self._by_id: dict[tuple[str, str], Sim] = {}
        self._keys: dict[tuple[str, str], list[bytes]] = {}
        #: Members that somebody holds, a SIM or an event under way: one object for each, also of a SIM looked up anew.
        self._members: WeakValueDictionary[bytes, Member[Any]] = WeakValueDictionary()
        self._pools: dict[bytes, Member[Any]] = {}
        self._books: dict[tuple[str, str, str], Book] = {}

    async def fetch(self, usages: Sequence[Usage]) -> list[Sim | None]:
        """The SIM of each event, looked up where it is not known; None where there is none.

        Unknown ones are not remembered: they may be added any moment.
        """
        found: list[Sim | None] = []
        fresh: list[Sim] = []
        for usage, subscriber in zip(usages, await self.directory.resolve(usages), strict=True):
            key = sim_key(*lookup_key(usage))
            sim = self.by_key.get(key)
            if sim is None and subscriber is not None:
                name = subscriber.tenant, subscriber.id
                sim = self._by_id.get(name)
                if sim is None:
                    sim = self._by_id[name] = Sim(subscriber)
                    fresh.append(sim)
                self.by_key[key] = sim
                self._keys.setdefault(name, []).append(key)
            found.append(sim)
        await self._fetch_members(fresh)
        if len(self.by_key) > SIMS_MAX:
            self._shrink()
        return found

    async def _fetch_members(self, sims: Sequence[Sim]) -> None:
        """Their present state in the wallet that pays for most of their usage: the last one."""
        fresh = [self._last_member(sim) for sim in sims if sim.subscriber.assignments]
        states = await self._store.member_states([member.key for member in fresh])
        for member, state in zip(fresh, states, strict=True):
            if not member.pending:
                member.learn(state)
        await self._fetch_pools(sims)
        await self.refresh([*fresh, *self._pools.values()] if self._pools else fresh)

    async def _fetch_pools(self, sims: Sequence[Sim]) -> None:
        """Which of their wallets have a pool, of those that none is known of."""
        named = {(sim.subscriber.tenant, a.wallet) for sim in sims for a in sim.subscriber.assignments[-1:]}
        refs = [ref for name in named if (ref := self._store.wallet_ref(*name)).key not in self._pools]
        names = await self._store.pools(refs)
        found = [self._put_pool(ref, name) for ref, name in zip(refs, names, strict=True) if name]
        if found:
            self._forget_payers()
        for pool, state in zip(found, await self._store.member_states([pool.key for pool in found]), strict=True):
            if not pool.pending:
                pool.learn(state)

    def pool(self, wallet: WalletRef) -> Member[Any] | None:
        """The member whose shared allowances are for all of the wallet, as far as it is known."""
        return self._pools.get(wallet.key)

    def set_pool(self, wallet: WalletRef, name: str) -> Member[Any] | None:
        """Note which subscriber is a wallet's pool; none without a name."""
        if not name:
            if self._pools.pop(wallet.key, None) is not None:
                self._forget_payers()
            return None
        known = self._pools.get(wallet.key)
        pool = self._put_pool(wallet, name)
        if pool is not known:
            self._forget_payers()
        return pool

    def _put_pool(self, wallet: WalletRef, name: str) -> Member[Any]:
        pool = self._pools[wallet.key] = self._member_of(self._store.member_key(wallet, name))
        return pool

    def _forget_payers(self) -> None:
        for sim in self._by_id.values():
            sim.payer = None

    def _last_member(self, sim: Sim) -> Member[Any]:
        wallet = sim.subscriber.assignments[-1].wallet
        member = sim.members[wallet] = self._member(sim.subscriber, wallet)
        return member

    async def refresh(self, members: Sequence[Member[Any]]) -> None:
        """Bring their subscriptions up to their states."""
        old = [member for member in members if member.steps != (member.subscription.n if member.subscription else 0)]
        documents = await self._store.documents([document_key(member.key) for member in old])
        for member, document in zip(old, documents, strict=True):
            member.subscription = live_of(member, document, self._catalogue)

    def _shrink(self) -> None:
        for name, sim in list(self._by_id.items())[: SIMS_MAX // 10]:
            if not sim.is_busy:
                self.forget(*name)

    def forget(self, tenant: str, subscriber: str) -> None:
        """Look this SIM up again when it is next met, also in the directory."""
        self.directory.forget(tenant, subscriber)
        self._by_id.pop((tenant, subscriber), None)
        for key in self._keys.pop((tenant, subscriber), ()):
            self.by_key.pop(key, None)

    def payer(self, sim: Sim, at_ms: int) -> Payer | Unpaid:
        """Who pays for usage that starts at a time, or why nobody does."""
        subscriber = sim.subscriber
        assignment = subscriber.assignment_at(at_ms)
        if assignment is None:
            return Reason.NO_PLAN, f"{subscriber.id} had no wallet at that time"
        member = self._member(subscriber, assignment.wallet)
        sim.members[assignment.wallet] = member
        found = self.payer_of(subscriber, assignment, member, at_ms)
        if isinstance(found, Payer):
            sim.payer = found
        return found

    def payer_of(
        self, subscriber: Subscriber, assignment: Assignment, member: Member[Any], at_ms: int
    ) -> Payer | Unpaid:
        """Who pays by an assignment, as the member's subscription now stands."""
        until_ms = subscriber.next_from_ms(at_ms) or FOR_EVER_MS
        name, low_ms, high_ms = _plan_at(assignment, member, at_ms, until_ms)
        plan = self._catalogue.plan(name, at_ms)
        if plan is None:
            return Reason.NO_PLAN, f'the catalogue has no plan "{name}" in force at that time'
        tariff = self._catalogue.tariff(plan.tariff)
        if tariff.currency != assignment.currency:
            detail = (
                f"tariff {plan.tariff} is in {tariff.currency}, wallet {assignment.wallet} in {assignment.currency}"
            )
            return Reason.CURRENCY_MISMATCH, detail
        low_ms = max(low_ms, assignment.from_ms, plan.effective_from_ms)
        high_ms = min(high_ms, until_ms, self._catalogue.plan_until_ms(name, at_ms) or FOR_EVER_MS)
        wallet = self._store.wallet_ref(subscriber.tenant, assignment.wallet)
        book = self.book(plan, tariff, assignment)
        return Payer(subscriber, assignment, book, wallet, member, low_ms, high_ms, self.pool(wallet))

    def _member(self, subscriber: Subscriber, wallet: str) -> Member[Any]:
        return self._member_of(self._store.member_key(self._store.wallet_ref(subscriber.tenant, wallet), subscriber.id))

    def _member_of(self, key: bytes) -> Member[Any]:
        member = self._members.get(key)
        if member is None:
            member = self._members[key] = Member(key)
        return member

    def book(self, plan: Plan, tariff: Tariff, assignment: Assignment) -> Book:
        """The offers of a plan version for accounts of a zone."""
        zone = assignment.zone or plan.zone
        key = plan.name, plan.version, zone
        book = self._books.get(key)
        if book is None:
            book = self._books[key] = Book(plan, tariff, zone, self._catalogue.digest[:4].hex())
        return book


def _plan_at(assignment: Assignment, member: Member[Any], at_ms: int, until_ms: int) -> tuple[str, int, int]:
    """The plan of usage at a time, and from when to when at least: the subscription's own, else the one assigned.

    `until_ms` is when the next assignment begins; a subscription of that one has nothing to say of usage before.
    """
    live = member.subscription
    subscription = live.subscription if live is not None else None
    is_other = subscription is None or subscription.assigned_ms < assignment.from_ms
    if subscription is None or is_other or (not subscription.past and until_ms <= subscription.assigned_ms):
        return assignment.plan, 0, FOR_EVER_MS
    if not subscription.past:  # its one plan, also for usage a moment older than the subscription
        return subscription.plan, 0, FOR_EVER_MS
    edges = [
        subscription.assigned_ms,
        *(edge for from_ms, until_ms, _ in subscription.past for edge in (from_ms, until_ms)),
    ]
    low_ms = max((edge for edge in edges if edge <= at_ms), default=0)
    high_ms = min((edge for edge in edges if edge > at_ms), default=FOR_EVER_MS)
    return live.plan_at(at_ms) or assignment.plan, low_ms, high_ms
