"""What sells to subscribers beside the stream of usage: subscriptions, payments, orders, numbers, invoices, webhooks.

Each is a desk that the HTTP API asks, and tasks that see to what falls due.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from rater.catalogue import Catalogue
from rater.numbers.book import NumberBook
from rater.numbers.orders import NumberOrders
from rater.subscriptions import Subscriptions
from streams.clickhouse.server import ClickHouse
from streams.invoices.service import Invoices
from streams.numbers import Numbers
from streams.orders.orders import Orders
from streams.parts import Parts
from streams.payments.payments import Payments
from streams.publisher import Publisher
from streams.topics import Sink
from streams.webhooks.service import Webhooks, open_webhooks


@dataclass
class Desks:
    """One of each per process."""

    subscriptions: Subscriptions
    payments: Payments
    orders: Orders
    #: The inventory of phone numbers, and what keeps it.
    numbers: Numbers
    #: What wallets owe at the end of a period.
    invoices: Invoices
    #: What is told to the addresses that customers named.
    webhooks: Webhooks

    def tasks(self, *, hooks: bool) -> list[Coroutine[Any, Any, None]]:
        """What runs for ever; webhooks, invoices and the inventory only with `hooks`."""
        always = [self.payments.run(), self.orders.run()]
        return [*always, *self.webhooks.tasks(), *self.invoices.tasks(), *self.numbers.tasks()] if hooks else always


@asynccontextmanager
async def open_desks(
    parts: Parts, catalogue: Catalogue, clickhouse: ClickHouse, publisher: Publisher, news: Sink, *, kafka: bool
) -> AsyncIterator[Desks]:
    """Open them on the parts of an engine."""
    settings, redis, store, directory, clock_ms = (
        parts.settings, parts.redis, parts.store, parts.directory, parts.clock_ms,
    )  # fmt: skip
    subscriptions = Subscriptions(store, catalogue)
    book = NumberBook(redis, store)
    number_orders = NumberOrders(store, directory, subscriptions, book)
    numbers = Numbers(settings, kafka, clock_ms, book, number_orders, lambda: publisher.leased)
    invoices = Invoices.of(parts, clickhouse, publisher.wake, kafka=kafka)
    payments = Payments(settings, redis, store, directory, catalogue, clock_ms, publisher.wake, kafka=kafka)
    orders = Orders(
        settings, redis, store, directory, subscriptions, payments.desk, clock_ms, publisher.wake, kafka=kafka
    )
    try:
        async with open_webhooks(parts, news, kafka=kafka) as webhooks:
            yield Desks(subscriptions, payments, orders, numbers, invoices, webhooks)
    finally:
        await payments.close()
