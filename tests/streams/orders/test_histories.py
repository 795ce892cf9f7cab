"""Over any history of orders, refunds, chargebacks and deaths a wallet has what was paid, less what was given."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.directory import Directory
from rater.money import format_nanos, parse_nanos
from rater.orders.model import Item, Order
from rater.plans.order import OrderLine
from rater.subscriptions import Subscriptions
from rater.wallet.entry import Kind
from streams.payments.provider import NoAnswerError
from tests.streams.orders.building import Counter, catalogue, counter
from tests.streams.payments.building import HOUR_MS
from tests.streams.payments.mortal import Crash

pytestmark = pytest.mark.slow
WAYS = [("balance", ""), ("card", "pm_ok"), ("card", "pm_later"), ("card", "pm_declined"), ("invoice", "")]


class Market:
    """Three orders at most, of a plan and of two bundles, and what a pencil says of the wallet."""

    def __init__(self, desk: Counter, ways: list[int]) -> None:
        self.desk = desk
        self.till = desk.till
        self.orders = [self._wanted(number, *WAYS[way]) for number, way in enumerate(ways)]
        self.added = parse_nanos("3")
        self.refunded: dict[str, int] = {}
        self.disputed: dict[str, int] = {}

    def _wanted(self, number: int, payment: str, card: str) -> Order:
        if number == 0:
            return self.desk.wanted(payment, card)
        lines = (OrderLine("bundle", parse_nanos("2")),)
        return self.desk.wanted(
            payment, card, id=f"o-{number + 1}", item=Item(addon="bundle"), lines=lines, net_nanos=parse_nanos("2"),
            vat_nanos=parse_nanos("0.38"), total_nanos=parse_nanos("2.38"),
        )  # fmt: skip

    async def start(self, which: int, steps: int, after: bool) -> None:
        process, _ = self.desk.mortal(steps, after=after)
        await process.orders.desk.start(self.orders[which % 3])

    async def both(self, which: int, steps: int, after: bool) -> None:
        """Two processes take the same order, and a third looks at what is due."""
        process, _ = self.desk.mortal(steps, after=after)
        here, order = self.desk.here.orders.desk, self.orders[which % 3]
        acts = process.orders.desk.start(order), here.start(order), self.desk.process().orders.desk.look_once()
        await asyncio.gather(*acts, return_exceptions=True)

    async def look(self, _: int, steps: int, after: bool) -> None:
        process, _ = self.desk.mortal(steps, after=after)
        await self.desk.settle(process)

    async def hear(self, _: int, steps: int, after: bool) -> None:
        process, _ = self.desk.mortal(steps, after=after)
        await self.desk.hear(process)

    async def add(self, which: int, *_: Any) -> None:
        await self.till.apply(Kind.CREDIT, "w", str(which))
        self.added += parse_nanos(str(which))

    async def decide(self, which: int, *_: Any) -> None:
        for intent in self.till.stripe.intents.values():
            if intent["status"] == "processing":
                state = ("succeeded", "") if which % 3 else ("requires_payment_method", "no")
                self.till.stripe.decide(intent["id"], *state)

    async def confirm(self, which: int, *_: Any) -> None:
        payment = await self.desk.here.orders.desk.payment_of(self.orders[which % 3])
        if payment is not None and payment.method == "invoice":
            await self.desk.here.payments.desk.confirm(payment)

    async def tell(self, which: int, steps: int, after: bool) -> None:
        if intents := list(self.till.stripe.intents):
            process, _ = self.desk.mortal(steps, after=after)
            await self.till.hear(self.till.stripe.told(intents[which % len(intents)]), process.payments)

    async def refund(self, which: int, *_: Any) -> None:
        for intent in self.till.stripe.paid[which % 3 :][:1]:
            total = intent["amount"] // (1 + which % 2)
            self.refunded[intent["id"]] = max(total, self.refunded.get(intent["id"], 0))
            await self.till.hear(self.till.stripe.refund(intent["id"], self.refunded[intent["id"]]))

    async def dispute(self, which: int, *_: Any) -> None:
        for intent in self.till.stripe.paid[which % 3 :][:1]:
            if intent["id"] not in self.disputed:
                self.disputed[intent["id"]] = intent["amount"]
                await self.till.hear(self.till.stripe.dispute(intent["id"], "created", intent["amount"]))

    async def later(self, which: int, *_: Any) -> None:
        self.till.now_ms += [1, 61_000, HOUR_MS][which % 3]

    async def from_payers(self) -> int:
        """What came from payers and did not go back, in nanos."""
        kept = 0
        for intent in self.till.stripe.paid:
            lost = self.refunded.get(intent["id"], 0) + self.disputed.get(intent["id"], 0)
            kept += (intent["amount"] - min(intent["amount"], lost)) * 10_000_000
        for order in self.orders:
            payment = await self.desk.here.orders.desk.payment_of(order)
            if payment is not None and payment.method == "invoice" and payment.status == "confirmed":
                kept += payment.amount_nanos
        return kept


async def play(socket: Path, ways: list[int], history: list[Any]) -> None:
    async with counter(socket, "3") as desk:
        market = Market(desk, ways)
        for name, which, (steps, after) in history:
            with suppress(Crash, NoAnswerError):
                await getattr(market, name)(which, steps, after)
        for order in market.orders:
            await desk.here.orders.desk.start(order)
        for _ in range(6):
            await market.decide(1)
            for order in range(3):
                await market.confirm(order)
            await desk.later(1, 7 * HOUR_MS)
        await check(market)


async def check(market: Market) -> None:
    desk, charged = market.desk, 0
    orders = [await desk.order(order.id) for order in market.orders]
    for order in orders:
        assert order.status in ("done", "failed")
        assert order.charged_nanos == (order.total_nanos if order.status == "done" else 0)
        charged += order.charged_nanos
    assert await desk.plan() == ("pro" if orders[0].status == "done" else "free")
    assert await bundles(desk) == [order.id for order in orders[1:] if order.status == "done"]
    assert await desk.balance() == format_nanos(market.added + await market.from_payers() - charged)
    assert await desk.kinds() == sorted(f"order.{order.status}" for order in orders)
    assert len({intent["metadata"]["rater_payment"] for intent in market.till.stripe.intents.values()}) == len(
        market.till.stripe.intents
    )
    assert await market.till.redis.zcard("{due:orders}") == 0


async def bundles(desk: Counter) -> list[str]:
    """The orders by which the SIM has bundles."""
    directory = Directory(desk.till.redis, desk.till.store)
    subscriber = await directory.get("t", "sim")
    assert subscriber is not None
    subscriptions = Subscriptions(desk.till.store, catalogue())
    found, _ = await subscriptions.present(subscriptions.subject(subscriber, desk.till.now_ms))
    return sorted(bought.id for bought in found.bought)


moves = st.sampled_from(
    ["start", "start", "start", "both", "look", "look", "hear", "add", "decide", "confirm", "tell", "refund", "dispute",
     "later"]
)  # fmt: skip
deaths = st.tuples(st.just(10_000) | st.integers(0, 60), st.booleans())
ways = st.lists(st.integers(0, len(WAYS) - 1), min_size=3, max_size=3)


@settings(max_examples=40)
@given(ways, st.lists(st.tuples(moves, st.integers(1, 9), deaths), min_size=2, max_size=20))
def test_over_any_history_of_orders_the_wallet_has_what_was_paid_less_what_was_given(
    redis_socket: Path, ways: list[int], history: list[Any]
) -> None:
    asyncio.run(play(redis_socket, ways, history))
