"""Two wallets, their SIMs and an inventory on a real Redis, with any number of workers."""

from __future__ import annotations

from typing import Any

from rater.catalogue import Catalogue
from rater.directory import Directory
from rater.identity import identity
from rater.money import parse_nanos
from rater.numbers.book import NumberBook
from rater.numbers.model import Holder, PhoneNumber
from rater.numbers.orders import NumberOrder, NumberOrders
from rater.pipeline.choosing import Subject
from rater.plans.life import Subscription, auto_pay, read_subscription, release
from rater.subscriber import Assignment, Subscriber
from rater.subscriptions import Subscriptions
from rater.wallet.entry import Decision, Entry, Kind
from rater.wallet.keys import document_key
from rater.wallet.outbox import Event, Outbox
from rater.wallet.store import WalletStore
from rater.wallet.timers import Timers
from schemas.notice import Notice
from streams.timers import Sweeper
from tests.rater.pipeline.conftest import TARIFF

DAY_MS = 86_400_000
#: 2026-11-01T00:00:00Z
NOV_MS = 1_793_491_200_000
PLAN = """
plan: line
currency: EUR
zone: UTC
versions:
  - version: "1"
    effective_from: "2026-01-01T00:00"
    tariff: test-eur
    recurring_fee: "5.00"
    billing: {by: anniversary}
    entitlements: {services: voice, numbers: 2}
    addons:
      - {name: number, price: "2.00", upfront: "1.00", recurring: true, hold_days: 14, number: true, quarantine_days: 3}
"""
NUMBERS = tuple(f"+1212555010{digit}" for digit in range(4))
#: SIM -> wallet.
SIMS = {"a-1": "a", "a-2": "a", "b-1": "b"}


class Worker:
    """One process: its own caches, on a Redis client of its own."""

    def __init__(self, redis: Any, shards: int) -> None:
        self.store = WalletStore(redis, shards, "process")
        self.directory = Directory(redis, self.store)
        catalogue = Catalogue({"tariffs/test.yaml": TARIFF.format(price="1.00"), "plans/line.yaml": PLAN})
        self.subscriptions = Subscriptions(self.store, catalogue)
        self.book = NumberBook(redis, self.store)
        self.orders = NumberOrders(self.store, self.directory, self.subscriptions, self.book)
        self.timers = Timers(redis, self.store)
        self.catalogue = catalogue

    async def subject(self, sim: str, now_ms: int) -> Subject:
        found = await self.directory.get("t", sim)
        assert found is not None
        return self.subscriptions.subject(found, now_ms)

    async def order(self, sim: str, number: str, order: str, now_ms: int, **asked: Any) -> Decision:
        wanted = NumberOrder(number, order, f"test/{order}", **asked)
        return await self.orders.order(await self.subject(sim, now_ms), wanted)

    async def release(self, sim: str, order: str, now_ms: int, request: str) -> Decision:
        subject = await self.subject(sim, now_ms)
        return await self.subscriptions.make(subject, lambda sub, view: release(sub, order, now_ms, view), request)

    async def auto_pay(self, sim: str, order: str, on: bool, now_ms: int, request: str) -> Decision:
        subject = await self.subject(sim, now_ms)
        return await self.subscriptions.make(subject, lambda sub, view: auto_pay(sub, order, on, now_ms, view), request)


class Inventory:
    """The engine as it stands, and a worker that never dies."""

    def __init__(self, redis: Any, store: WalletStore) -> None:
        self.redis = redis
        self.store = store
        self.worker = Worker(redis, store.shards)
        self.now_ms = NOV_MS

    @classmethod
    async def open(cls, redis: Any, balance: str = "100", numbers: tuple[str, ...] = NUMBERS) -> Inventory:
        made = cls(redis, await WalletStore.open(redis, shards=2))
        for wallet in sorted(set(SIMS.values())):
            await made._apply(Kind.CREATE, wallet, f"create-{wallet}", balance, currency="EUR")
        sims = [Subscriber("t", sim, 1, (Assignment(NOV_MS, w, w, "line", "EUR"),)) for sim, w in SIMS.items()]
        await made.worker.directory.add(sims, now_ms=NOV_MS)
        for sim in SIMS:
            await made.worker.subscriptions.begin(await made.worker.subject(sim, NOV_MS))
        for number in numbers:
            assert await made.book.put(PhoneNumber("t", number, "US", ("voice", "sms"), "number", 0))
        return made

    @property
    def book(self) -> NumberBook:
        return self.worker.book

    async def refill(self, wallet: str, amount: str, name: str) -> None:
        """Money in, and what waited for it is tried again."""
        await self._apply(Kind.CREDIT, wallet, name, amount)
        await self.sweep()

    async def sweep(self) -> None:
        """All that is due."""
        worker, every = self.worker, range(self.store.shards)
        sweeper = Sweeper(
            worker.timers, worker.store, worker.directory, worker.catalogue, lambda: self.now_ms, lambda: every
        )
        await sweeper.settle()

    async def pass_time(self, days: int) -> None:
        """From one due step to the next, as the clock does."""
        until_ms = self.now_ms + days * DAY_MS
        while True:
            await self.sweep()
            next_ms = await self.worker.timers.next_ms()
            if next_ms is None or next_ms > until_ms:
                break
            self.now_ms = max(self.now_ms, next_ms)
        self.now_ms = until_ms

    async def move(self, sim: str, wallet: str) -> None:
        """Another wallet pays for a SIM from now on."""
        assignment = Assignment(self.now_ms, wallet, wallet, "line", "EUR")
        await self.worker.directory.move("t", sim, assignment, now_ms=self.now_ms)
        await self.worker.subscriptions.begin(await self.worker.subject(sim, self.now_ms))

    async def follow(self) -> None:
        """What the notices tell of, from the first on."""
        for notice in await self.said("addon.released"):
            data = notice.data
            await self.worker.orders.settle("t", data["number"], notice.occurred_ms, order=data["order"])

    async def subscription(self, sim: str) -> Subscription:
        """What a SIM has under the wallet it has now."""
        subject = await self.worker.subject(sim, self.now_ms)
        (document,) = await self.store.documents([document_key(subject.key)])
        assert document is not None
        return read_subscription(document)

    async def owners(self) -> dict[str, list[tuple[str, str]]]:
        """(SIM, order) of each number, by the subscriptions."""
        found: dict[str, list[tuple[str, str]]] = {}
        for sim in SIMS:
            for one in (await self.subscription(sim)).bought:
                found.setdefault(one.number, []).append((sim, one.id))
        return found

    async def holder(self, number: str) -> Holder | None:
        found = await self.book.get("t", number)
        assert found is not None
        return found.holder

    async def events(self) -> list[Event]:
        outbox = Outbox(self.redis, self.store)
        pages = await outbox.read(range(self.store.shards), 100_000)
        return [item.event for page in pages.values() for item in page.entries]

    async def said(self, kind: str) -> list[Notice]:
        """Notices of a kind."""
        return [event for event in await self.events() if isinstance(event, Notice) and event.type == kind]

    async def balance(self, wallet: str) -> int:
        state = await self.store.wallet("t", wallet)
        assert state is not None
        return state.balance_nanos

    async def _apply(self, kind: Kind, wallet: str, name: str, amount: str, **fields: Any) -> None:
        entry = Entry(
            kind=kind, tenant="t", wallet=wallet, identity=identity("t", "test", name), fingerprint=bytes(8),
            cause=f"test/{name}", amount_nanos=parse_nanos(amount), **fields,
        )  # fmt: skip
        await self.store.apply([entry], now_ms=self.now_ms)
