"""What the endpoints of invoices take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from rater.invoices.model import Invoice, Line
from streams.http.forms import Form, Money, instant, money
from streams.http.paging import PageQuery
from streams.http.payment_forms import MaybeName


class InvoicesQuery(PageQuery, frozen=True, forbid_unknown_fields=True):
    """A page of invoices."""

    wallet: Annotated[str, Meta(max_length=128, description="Of this wallet; of all within reach if left out.")] = ""


class InvoicePaymentForm(Form, frozen=True):
    """With the saved method that is named, or the default one; or, with `payer_present`, by the payer's own browser."""

    payment_method: MaybeName = ""
    payer_present: bool = False


class InvoiceLineOut(msgspec.Struct):
    """A line. Usage has its service, zone and quantity (in bytes, ms or messages), all else says what it is."""

    sort: Literal["usage", "fee", "credit", "brought-forward"]
    amount: Money
    service: str
    zone: str
    events: int
    quantity: int
    what: str


class InvoiceOut(msgspec.Struct):
    """An invoice: what a wallet owed at the end of a period, less what earlier invoices cover that were not paid then.

    The total stands at once. The lines, which add up to it, come when the ledger has caught up: then it is `itemised`.
    """

    invoice: str
    wallet: str
    account: str
    currency: str
    from_time: datetime = msgspec.field(name="from")
    until: datetime
    status: Literal["open", "paid", "cancelled"]
    total: Money
    itemised: bool
    lines: list[InvoiceLineOut]
    issued_at: datetime
    paid_at: datetime | None
    cancelled_at: datetime | None
    repeated: bool = False


class InvoiceList(msgspec.Struct):
    """A page of invoices, newest first. `next` is empty on the last one."""

    invoices: list[InvoiceOut]
    next: str


def invoice_out(invoice: Invoice, *, repeated: bool = False) -> InvoiceOut:
    """An invoice as the API writes it."""
    assert invoice.status != "empty", "where nothing was owed there is no invoice"
    return InvoiceOut(
        invoice=invoice.id,
        wallet=invoice.wallet,
        account=invoice.account,
        currency=invoice.currency,
        from_time=instant(invoice.from_ms),
        until=instant(invoice.until_ms),
        status=invoice.status,
        total=money(invoice.total_nanos),
        itemised=invoice.is_itemised,
        lines=[_line(line) for line in invoice.lines],
        issued_at=instant(invoice.issued_ms),
        paid_at=instant(invoice.paid_ms) if invoice.status == "paid" else None,
        cancelled_at=instant(invoice.cancelled_ms) if invoice.status == "cancelled" else None,
        repeated=repeated,
    )


def _line(line: Line) -> InvoiceLineOut:
    amount = money(line.amount_nanos)
    return InvoiceLineOut(line.sort, amount, line.service, line.zone, line.events, line.quantity, line.what)
