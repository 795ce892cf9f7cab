"""Invoices of a wallet: each period once, over what accrued in it, paid once, whatever is told twice."""

from __future__ import annotations

from typing import Any

import pytest

from rater.errors import WalletError
from rater.invoices.model import Closing
from rater.money import NANOS
from schemas.notice import Notice
from tests.streams.invoices.building import Billing


@pytest.fixture
async def billing(redis: Any) -> Billing:
    return await Billing.open(redis)


async def notices(billing: Billing) -> list[tuple[str, str]]:
    news = await billing.wallets.news()
    return [(event.type, event.data["total"]) for event in news if isinstance(event, Notice)]


async def test_what_a_wallet_owes_is_invoiced_at_the_end_of_each_period(billing: Billing) -> None:
    await billing.use("12.75")
    first = await billing.invoice(await billing.close(fee="49"))
    await billing.use("1")
    second = await billing.invoice(await billing.close())
    assert [invoice.total_nanos for invoice in (first, second)] == [12_750_000_000, 50 * NANOS]
    assert await notices(billing) == [("invoice.issued", "12.75"), ("invoice.issued", "50.00")]


async def test_where_nothing_is_owed_there_is_no_invoice(redis: Any) -> None:
    billing = await Billing.open(redis, "10")
    await billing.use("10")
    mark = await billing.invoice(await billing.close())
    assert mark.status == "empty"
    assert await billing.desk.get("t", mark.id) is None
    assert await notices(billing) == []
    await billing.use("3")
    assert (await billing.invoice(await billing.close())).total_nanos == 3 * NANOS
    assert [one.total_nanos for one in (await billing.desk.shelf.of_wallet("t", "w", 10, ""))[0]] == [3 * NANOS]


async def test_a_closing_that_is_told_again_changes_nothing(billing: Billing) -> None:
    await billing.use("5")
    closing = await billing.close()
    first = await billing.invoice(closing)
    await billing.use("7")
    assert await billing.invoice(closing) == first
    assert await notices(billing) == [("invoice.issued", "5.00")]


async def test_sims_that_close_at_the_same_instant_are_on_one_invoice(billing: Billing) -> None:
    """The first closes the period for all: the fee that its step charged is of the next."""
    await billing.use("5")
    one, other = await billing.close(9_000, fee="49"), await billing.close(9_000, fee="49")
    assert await billing.invoice(one) == await billing.invoice(other)
    assert (await billing.invoice(await billing.close(10_000))).total_nanos == 98 * NANOS


async def test_an_invoice_is_paid_once(billing: Billing) -> None:
    await billing.use("5")
    invoice = await billing.invoice(await billing.close())
    for _ in range(2):
        paid = await billing.desk.pay(invoice)
        assert (paid.status, await billing.balance()) == ("paid", 0)
    assert await notices(billing) == [("invoice.issued", "5.00"), ("invoice.paid", "5.00")]
    with pytest.raises(WalletError, match="is paid, so it cannot be cancelled"):
        await billing.desk.cancel(invoice)


async def test_a_payment_between_the_step_and_its_invoice_is_not_counted_twice(billing: Billing) -> None:
    """The step was decided at -8, of which 5 were invoiced: 3 are new, though the 5 are paid by now."""
    await billing.use("5")
    first = await billing.invoice(await billing.close())
    await billing.use("3")
    late = await billing.close()
    await billing.desk.pay(first)
    assert (await billing.invoice(late)).total_nanos == 3 * NANOS
    assert await billing.balance() == -3 * NANOS
    assert (await billing.invoice(await billing.close())).status == "empty"


async def test_what_a_cancelled_invoice_was_over_is_on_the_next(billing: Billing) -> None:
    await billing.use("5")
    first = await billing.invoice(await billing.close())
    for _ in range(2):
        assert (await billing.desk.cancel(first)).status == "cancelled"
    with pytest.raises(WalletError, match="was cancelled, so it cannot be paid"):
        await billing.desk.pay(first)
    await billing.use("3")
    assert (await billing.invoice(await billing.close())).total_nanos == 8 * NANOS


async def test_money_that_came_otherwise_is_taken_off_the_next(billing: Billing) -> None:
    await billing.use("5")
    await billing.invoice(await billing.close())
    await billing.add("4")
    await billing.use("6")
    assert (await billing.invoice(await billing.close())).total_nanos == 2 * NANOS


async def test_a_step_that_nobody_knows_is_passed_over_and_costs_nothing(billing: Billing) -> None:
    await billing.use("5")
    assert await billing.desk.close(Closing("t", "w", 0, 500, "w/line/77")) is None
    assert (await billing.invoice(await billing.close())).total_nanos == 5 * NANOS


async def test_pages_are_newest_first_and_of_one_tenant(billing: Billing) -> None:
    made = []
    for _ in range(5):
        await billing.use("1")
        made.append((await billing.invoice(await billing.close())).id)
    shelf = billing.desk.shelf
    found, after = await shelf.of_wallet("t", "w", 2, "")
    rest, end = await shelf.of_wallet("t", "w", 3, after)
    assert ([one.id for one in (*found, *rest)], end) == (made[::-1], "")
    for account in ("", "w-account"):
        found, after = await shelf.of_account("t", account, 3, "")
        rest, end = await shelf.of_account("t", account, 3, after)
        assert (sorted(one.id for one in (*found, *rest)), end) == (sorted(made), "")
    assert await shelf.of_account("u", "", 3, "") == ([], "")
    assert await shelf.of_account("t", "other", 3, "") == ([], "")
    assert await shelf.get("u", made[0]) is None
