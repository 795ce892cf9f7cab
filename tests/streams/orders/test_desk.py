"""Orders on real wallets and payments: made once they are paid, or given up with the money left where it is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rater.directory import Directory
from rater.identity import identity
from rater.money import parse_nanos
from rater.orders.model import Item
from rater.plans.order import OrderLine
from rater.subscriber import Assignment
from rater.wallet.entry import Entry, Kind
from tests.streams.orders.building import Counter, counter
from tests.streams.payments.building import DAY_MS


async def test_the_balance_pays_the_fee_and_vat_in_one(redis_socket: Path) -> None:
    async with counter(redis_socket, "12.00") as desk:
        order, is_new = await desk.here.orders.desk.start(desk.wanted())
        assert (order.status, is_new, await desk.plan(), await desk.balance()) == ("done", True, "pro", "0.10")
        assert (order.charged_nanos, order.balance_before_nanos) == (parse_nanos("11.90"), parse_nanos("12"))
        again, is_new = await desk.here.orders.desk.start(desk.wanted())
        assert (again, is_new, await desk.balance()) == (order, False, "0.10")
        assert await desk.kinds() == ["order.done"]
        (told,) = [notice for notice in desk.till.notices if notice.type == "order.done"]
        assert (told.data["order"], told.data["net"], told.data["vat"], told.data["total"]) == (
            "o-1", "10.00", "1.90", "11.90",
        )  # fmt: skip


async def test_a_wallet_that_is_short_by_then_fails_it_for_good(redis_socket: Path) -> None:
    async with counter(redis_socket, "11.89") as desk:
        order, _ = await desk.here.orders.desk.start(desk.wanted())
        assert (order.status, order.reason, order.detail) == (
            "failed", "insufficient_balance", "w had 11.89 and was short by 0.01",
        )  # fmt: skip
        await desk.till.apply(Kind.CREDIT, "w", "10")
        await desk.later()
        assert (await desk.plan(), await desk.balance(), await desk.kinds()) == ("free", "21.89", ["order.failed"])


async def test_a_payment_that_confirms_later_makes_it_then(redis_socket: Path) -> None:
    async with counter(redis_socket) as desk:
        order, _ = await desk.here.orders.desk.start(desk.wanted("card", "pm_later"))
        assert (order.status, await desk.plan(), await desk.balance()) == ("pending", "free", "0.00")
        desk.till.stripe.decide("pi_1", "succeeded")
        await desk.till.hear(desk.till.stripe.told("pi_1"))
        await desk.hear(times=3)
        await desk.settle()
        assert ((await desk.order()).status, await desk.plan(), await desk.balance()) == ("done", "pro", "0.00")
        assert await desk.kinds() == ["order.done"]


async def test_a_notice_that_never_comes_costs_time_only(redis_socket: Path) -> None:
    async with counter(redis_socket) as desk:
        await desk.here.orders.desk.start(desk.wanted("card", "pm_later"))
        desk.till.stripe.decide("pi_1", "succeeded")
        for _ in range(6):
            desk.till.now_ms += 600_000
            await desk.settle()
        assert ((await desk.order()).status, await desk.plan()) == ("done", "pro")


async def test_an_order_of_which_the_payment_is_declined_or_called_off_fails(redis_socket: Path) -> None:
    async with counter(redis_socket) as desk:
        order, _ = await desk.here.orders.desk.start(desk.wanted("card", "pm_declined"))
        assert (order.status, order.reason, order.detail) == ("failed", "payment_declined", "insufficient_funds")
        invoice, _ = await desk.here.orders.desk.start(desk.wanted("invoice", id="o-2"))
        payment = await desk.here.orders.desk.payment_of(invoice)
        assert payment is not None
        await desk.here.payments.desk.cancel(payment)
        await desk.later()
        assert (await desk.order("o-2")).reason == "payment_cancelled"
        assert (await desk.plan(), await desk.kinds()) == ("free", ["order.failed", "order.failed"])


async def test_money_that_comes_too_late_stays_in_the_wallet(redis_socket: Path) -> None:
    """The plan was ordered otherwise in between: there is nothing left to order."""
    async with counter(redis_socket, "11.90") as desk:
        order, _ = await desk.here.orders.desk.start(desk.wanted("invoice"))
        await desk.here.orders.desk.start(desk.wanted(id="o-2"))
        payment = await desk.here.orders.desk.payment_of(order)
        assert payment is not None
        await desk.here.payments.desk.confirm(payment)
        await desk.later()
        order = await desk.order()
        assert (order.status, order.reason) == ("failed", "not_possible")
        assert order.detail == "the account has plan pro already"
        assert (await desk.balance(), await desk.kinds()) == ("11.90", ["order.done", "order.failed"])


async def test_it_is_never_made_at_more_than_it_was_ordered_for(redis_socket: Path) -> None:
    async with counter(redis_socket, "100") as desk:
        cheaper = desk.wanted(net_nanos=parse_nanos("9.99"))
        order, _ = await desk.here.orders.desk.start(cheaper)
        assert (order.status, order.reason) == ("failed", "not_possible")
        assert order.detail == "it costs 10.00 without VAT by now, and was ordered at 9.99"
        assert await desk.balance() == "100.00"


async def test_a_sim_that_moved_to_another_wallet_takes_no_order_along(redis_socket: Path) -> None:
    async with counter(redis_socket) as desk:
        order, _ = await desk.here.orders.desk.start(desk.wanted("invoice"))
        await desk.till.wallet("other", "50")
        directory = Directory(desk.till.redis, desk.till.store)
        desk.till.now_ms += 60_000
        away = Assignment(desk.till.now_ms, "other", "w", "free", "EUR")
        await directory.move("t", "sim", away, now_ms=desk.till.now_ms)
        payment = await desk.here.orders.desk.payment_of(order)
        assert payment is not None
        await desk.here.payments.desk.confirm(payment)
        await desk.later()
        assert (await desk.order()).reason == "moved"
        assert (await desk.balance(), await desk.till.balance("other")) == ("11.90", "50.00")


async def test_an_add_on_and_a_change_that_waits_are_ordered_alike(redis_socket: Path) -> None:
    async with counter(redis_socket, "2.38") as desk:
        figures = {"net_nanos": parse_nanos("2"), "vat_nanos": parse_nanos("0.38"), "total_nanos": parse_nanos("2.38")}
        bundle, _ = await desk.here.orders.desk.start(desk.wanted(item=Item(addon="bundle"), **figures))
        assert (bundle.status, await desk.balance()) == ("done", "0.00")
    async with counter(redis_socket, "11.90") as desk:
        await desk.here.orders.desk.start(desk.wanted())
        nothing = {"net_nanos": 0, "vat_nanos": 0, "total_nanos": 0}
        down, _ = await desk.here.orders.desk.start(desk.wanted("card", id="o-2", item=Item("free"), **nothing))
        assert (down.status, await desk.plan(), desk.till.stripe.intents) == ("done", "pro", {})
        desk.till.now_ms += 31 * 86_400_000
        assert await desk.plan() == "free"


@pytest.mark.parametrize("payment", ["balance", "card"])
async def test_two_processes_at_once_make_it_once(redis_socket: Path, payment: str) -> None:
    async with counter(redis_socket, "30") as desk:
        others = [desk.process() for _ in range(3)]
        await asyncio.gather(*(other.orders.desk.start(desk.wanted(payment)) for other in others))
        await desk.later()
        assert (await desk.order()).status == "done"
        assert await desk.balance() == ("18.10" if payment == "balance" else "30.00")
        assert (len(desk.till.stripe.paid), await desk.kinds()) == (payment == "card", ["order.done"])


async def test_what_is_given_up_is_not_made_and_what_is_made_is_not_given_up(redis_socket: Path) -> None:
    """Two processes see it differently at the same moment; who comes first to the wallet is right."""
    async with counter(redis_socket, "30") as desk:
        await _given_up(desk)
        order, _ = await desk.here.orders.desk.start(desk.wanted())
        assert (order.status, await desk.plan(), await desk.balance()) == ("failed", "free", "30.00")
    async with counter(redis_socket, "30") as desk:
        wanted = desk.wanted()
        await desk.here.orders.desk.start(wanted)
        late = await desk.process().orders.desk._give_up(wanted)
        assert (late.status, await desk.plan(), await desk.kinds()) == ("done", "pro", ["order.done"])


async def _given_up(desk: Counter) -> None:
    taken = Entry(
        kind=Kind.NOTE, tenant="t", wallet="w", identity=identity("t", "plans", "order/o-1"), fingerprint=b"given up",
        cause="plans/order/o-1",
    )  # fmt: skip
    await desk.till.store.apply([taken], now_ms=desk.till.now_ms)


async def test_an_order_that_is_behind_a_period_that_has_begun_is_made_within_it(redis_socket: Path) -> None:
    """Its process read the clock just before midnight, another renewed the plan: what was paid then is not lost."""
    async with counter(redis_socket, "30.00") as desk:
        await desk.here.orders.desk.start(desk.wanted())
        desk.till.now_ms += 30 * DAY_MS
        assert (await desk.plan(), await desk.balance()) == ("pro", "8.10")
        desk.till.now_ms -= 1
        down = desk.wanted(
            id="o-2", item=Item("free"), lines=(OrderLine("free", 0),), net_nanos=0, vat_nanos=0, total_nanos=0
        )  # fmt: skip
        order, _ = await desk.here.orders.desk.start(down)
        assert order.status == "pending"
        await desk.later()
        assert ((await desk.order("o-2")).status, await desk.plan(), await desk.balance()) == ("done", "pro", "8.10")
        desk.till.now_ms += 31 * DAY_MS
        assert (await desk.plan(), await desk.balance()) == ("free", "8.10")
