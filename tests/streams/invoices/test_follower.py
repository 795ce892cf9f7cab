"""The follower makes invoices of what steps say and has them paid by what payments say, each once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from rater.errors import WalletError
from rater.invoices.model import Invoice
from rater.money import NANOS
from schemas.notice import Notice
from streams.invoices.follower import GROUP, InvoiceFollower
from streams.spool import SpoolSource
from streams.spool_sink import SpoolSink
from streams.topics import NOTICES
from tests.streams.invoices.building import Billing


class Followed:
    """A wallet that owes, and the topic that is followed."""

    def __init__(self, billing: Billing, folder: Path) -> None:
        self.billing = billing
        self._folder = folder
        self._sink = SpoolSink(folder)

    async def say(self, sort: str, **data: Any) -> None:
        notice = Notice(f"{sort}-{data}", sort, "t", 1, "w", "w", data=data)
        await self._sink.publish({NOTICES: [(b"t/w", msgspec.json.encode(notice))]})

    async def close(self) -> None:
        closing = await self.billing.close()
        data = {"from_ms": 0, "until_ms": closing.until_ms, "step": closing.step, "plan": "p"}
        await self.say("invoice.period_closed", **data)

    async def paid(self, invoice: Invoice, payment: str) -> None:
        await self.say("payment.confirmed", purpose="invoice", name=invoice.id, payment=payment)

    async def follow(self) -> None:
        """Another process goes on where the last one committed."""
        source = SpoolSource(self._folder, GROUP, (NOTICES,))
        await InvoiceFollower(source, self.billing.desk, lambda: None).follow_once(0)

    async def invoices(self) -> list[Invoice]:
        return (await self.billing.desk.shelf.of_wallet("t", "w", 100, ""))[0]


@pytest.fixture
async def followed(redis: Any, tmp_path: Path) -> Followed:
    return Followed(await Billing.open(redis), tmp_path)


async def test_a_period_that_closed_is_invoiced_and_what_makes_no_sense_is_passed_over(followed: Followed) -> None:
    await followed.billing.use("5")
    await followed.say("plan.renewed", plan="p")
    await followed.say("invoice.period_closed", from_ms=0)
    await followed.close()
    for _ in range(2):
        await followed.follow()
        assert [invoice.total_nanos for invoice in await followed.invoices()] == [5 * NANOS]


async def test_a_payment_that_arrived_pays_its_invoice_once(followed: Followed) -> None:
    await followed.billing.use("5")
    await followed.close()
    await followed.follow()
    (invoice,) = await followed.invoices()
    for _ in range(2):
        await followed.paid(invoice, "pay_1")
    await followed.say("payment.confirmed", purpose="refill", name=invoice.id, payment="pay_2")
    await followed.say("payment.confirmed", purpose="invoice", name="none", payment="pay_3")
    await followed.follow()
    (paid,) = await followed.invoices()
    assert (paid.status, paid.paid_by, await followed.billing.balance()) == ("paid", "pay_1", 0)


async def test_money_that_comes_twice_or_for_a_cancelled_invoice_is_the_payers(followed: Followed) -> None:
    await followed.billing.use("5")
    await followed.close()
    await followed.follow()
    (invoice,) = await followed.invoices()
    await followed.billing.desk.pay(invoice)
    await followed.paid(invoice, "pay_1")
    await followed.paid(invoice, "pay_1")
    await followed.follow()
    assert await followed.billing.balance() == 5 * NANOS

    await followed.billing.use("9")
    await followed.close()
    await followed.follow()
    late = (await followed.invoices())[0]
    await followed.billing.desk.cancel(late)
    await followed.paid(late, "pay_2")
    await followed.follow()
    assert ((await followed.invoices())[0].status, await followed.billing.balance()) == ("cancelled", 0)


async def test_there_is_one_payment_of_an_invoice_at_a_time(followed: Followed) -> None:
    await followed.billing.use("5")
    await followed.close()
    await followed.follow()
    (invoice,) = await followed.invoices()
    desk = followed.billing.desk
    assert await desk.bind(invoice, "pay_1", "")
    assert not await desk.bind(invoice, "pay_2", "")
    assert await desk.bind(invoice, "pay_2", "pay_1"), "once that one is over"
    await desk.cancel(invoice)
    assert not await desk.bind(invoice, "pay_3", "pay_2")
    with pytest.raises(WalletError):
        await desk.pay(invoice)
