"""A SIM on a free plan, its wallet, a plan for sale, and processes that take orders for it, some of which die."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from rater.catalogue import Catalogue
from rater.directory import Directory
from rater.money import parse_nanos
from rater.orders.model import Asker, Item, Order
from rater.payments.model import Means
from rater.plans.order import OrderLine
from rater.settings import Settings
from rater.subscriber import Assignment, Subscriber
from rater.subscriptions import Subscriptions
from rater.wallet.entry import Kind
from schemas.notice import Notice
from streams.orders.orders import Orders
from streams.payments.payments import Payments
from tests.rater.pipeline.conftest import TARIFF
from tests.streams.payments.building import MINUTE_MS, Shop, shop
from tests.streams.payments.mortal import Life

PLANS = """
plan: {name}
kind: subscription
currency: EUR
zone: UTC
versions:
  - version: "1"
    effective_from: "2026-01-01T00:00"
    tariff: test-eur
    rank: {rank}
    recurring_fee: "{fee}"
    billing: {{by: anniversary}}
    allowances: [{{name: texts, quantity: 100 messages}}]
    addons: [{{name: bundle, price: "2.00", allowances: [{{name: more, quantity: 50 messages}}]}}]
    joining: {{period: restart}}
    leaving: {{when: {{upgrade: at-once, downgrade: next-period}}}}
"""


def catalogue() -> Catalogue:
    """A plan for nothing, and one at 10.00."""
    plans = {"free": PLANS.format(name="free", rank=0, fee="0"), "pro": PLANS.format(name="pro", rank=1, fee="10.00")}
    files = {f"plans/{name}.yaml": text for name, text in plans.items()}
    return Catalogue({"tariffs/test.yaml": TARIFF.format(price="1.00")} | files)


class Process(msgspec.Struct):
    """What a process takes orders with."""

    payments: Payments
    orders: Orders


class Counter:
    """The shop's counter: the SIM "sim", whose wallet "w" has nothing."""

    def __init__(self, till: Shop) -> None:
        self.till = till
        self.told: list[Notice] = []
        self.here = self.process()

    def process(self, redis: Any = None, store: Any = None, life: Life | None = None) -> Process:
        """A process on the same wallets."""
        redis, store = redis or self.till.redis, store or self.till.store
        payments = self.till.process(redis, store)
        if life is not None:
            for method, provider in payments.providers.items():
                payments.providers[method] = life.mortal(provider)
        directory = Directory(redis, store)
        subscriptions = Subscriptions(store, catalogue())
        orders = Orders(
            Settings(), redis, store, directory, subscriptions, payments.desk, lambda: self.till.now_ms, lambda: None,
            kafka=False,
        )  # fmt: skip
        return Process(payments, orders)

    def mortal(self, steps: int, *, after: bool) -> tuple[Process, Life]:
        """A process that dies after so many steps."""
        life = Life(steps, after=after)
        return self.process(life.mortal(self.till.redis), life.mortal(self.till.store), life), life

    async def open(self) -> None:
        """The SIM, on the free plan."""
        directory = Directory(self.till.redis, self.till.store)
        subscriber = Subscriber("t", "sim", 1, (Assignment(self.till.now_ms, "w", "w", "free", "EUR"),))
        await directory.add([subscriber], now_ms=self.till.now_ms)
        subscriptions = Subscriptions(self.till.store, catalogue())
        await subscriptions.begin(subscriptions.subject(subscriber, self.till.now_ms))

    def wanted(self, payment: str = "balance", card: str = "pm_ok", **fields: Any) -> Order:
        """The plan at 10.00, 11.90 with VAT."""
        made: dict[str, Any] = {
            "tenant": "t", "id": "o-1", "account": "w", "wallet": "w", "sim": "sim", "item": Item("pro"),
            "asker": Asker("owner"), "created_ms": self.till.now_ms, "currency": "EUR", "payment": payment,
            "lines": (OrderLine("pro", parse_nanos("10")),), "vat_country": "DE", "vat_percent": "19",
            "net_nanos": parse_nanos("10"), "vat_nanos": parse_nanos("1.90"), "total_nanos": parse_nanos("11.90"),
            "effective_ms": self.till.now_ms, "means": Means("cus_1", card) if payment == "card" else Means(),
        }  # fmt: skip
        return Order(**(made | fields))

    async def order(self, order_id: str = "o-1") -> Order:
        """As it stands."""
        found = await self.here.orders.desk.get("t", order_id)
        assert found is not None
        return found

    async def plan(self) -> str:
        """The SIM's plan now."""
        directory = Directory(self.till.redis, self.till.store)
        subscriber = await directory.get("t", "sim")
        assert subscriber is not None
        subscriptions = Subscriptions(self.till.store, catalogue())
        found, _ = await subscriptions.present(subscriptions.subject(subscriber, self.till.now_ms))
        return found.plan

    async def news(self) -> list[Notice]:
        """The notices since the last look."""
        before = len(self.till.notices)
        await self.till.news()
        return self.till.notices[before:]

    async def hear(self, process: Process | None = None, *, times: int = 1) -> None:
        """Let a process hear what was told, and what was told before that, so many times."""
        self.told += await self.news()
        for _ in range(times):
            for notice in self.told:
                await (process or self.here).orders.hear(notice)

    async def settle(self, process: Process | None = None) -> None:
        """Until nothing is due at this time."""
        process = process or self.here
        while max(await process.payments.look_once(), await process.orders.desk.look_once()):
            pass

    async def later(self, rounds: int = 4, ms: int = 3 * MINUTE_MS) -> None:
        """The clock moves on, and what is due then is done."""
        for _ in range(rounds):
            self.till.now_ms += ms
            await self.hear()
            await self.settle()

    async def kinds(self) -> list[str]:
        """What was told of orders."""
        self.told += await self.news()
        return sorted(notice.type for notice in self.till.notices if notice.type.startswith("order."))

    async def balance(self) -> str:
        return await self.till.balance()


@asynccontextmanager
async def counter(socket: Path, money: str = "0") -> AsyncIterator[Counter]:
    """A counter on an empty Redis, with so much money in the wallet."""
    async with shop(socket) as till:
        made = Counter(till)
        if money != "0":
            await till.apply(Kind.CREDIT, "w", money)
        await made.open()
        await till.news()
        till.notices.clear()
        yield made
