"""What orders and their preview take and answer. What is ordered for a SIM has one form for both."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from rater.orders.model import Status
from rater.orders.step import Reason
from rater.plans.order import Payment
from streams.http.forms import END, Form, Money, Name, Note
from streams.http.forms_sales import Country, Percent, Text, Volume
from streams.http.paging import PageQuery

_MaybeName = Annotated[str, Meta(pattern=rf"^[^/\x00-\x1f\x7f]{{0,128}}{END}")]
#: An order's id is its Idempotency-Key.
Expected = Annotated[
    str,
    Meta(
        pattern=rf"^-?[0-9]{{1,9}}(\.[0-9]{{1,9}})?{END}",
        description="The total that the preview said; if it is another by now, nothing is ordered.",
        examples=["58.31"],
    ),
]


class OrderItem(Form, frozen=True):
    """One thing of a plan: itself, at a volume if it has a scale; or an add-on of it; or a refill offer of it."""

    plan: Name
    volume: Volume | None = None
    addon: Text = ""
    refill: Text = ""
    count: Annotated[int, Meta(ge=1, le=1000)] = 1


class SimItem(Form, frozen=True):
    """A plan, at a volume if it has a scale; or an add-on of the plan that the SIM has."""

    plan: _MaybeName = ""
    volume: Volume | None = None
    addon: Text = ""


class NewOrder(Form, frozen=True):
    """What is ordered for a SIM, billed where, and how it is paid.

    `balance`: from the SIM's wallet. `card`: with the saved method that is named, or the default one; or, with
    `payer_present`, by the payer's own browser, which gets `client_secret`. `upi`: so too. `invoice`: once a person
    says that it was paid.
    """

    sim: Name
    item: SimItem
    billing_country: Country
    payment: Payment = "balance"
    payment_method: _MaybeName = ""
    payer_present: bool = False
    expected: Expected | None = None


class PreviewForm(Form, frozen=True):
    """An order for a SIM (`sim` and `item`), or anything that is sold, for a wallet (`wallet` and `items`)."""

    billing_country: Country
    sim: _MaybeName = ""
    item: SimItem | None = None
    wallet: _MaybeName = ""
    items: Annotated[list[OrderItem], Meta(min_length=1, max_length=50)] | None = None
    payment: Payment = "balance"
    payment_method: _MaybeName = ""
    payer_present: bool = False
    expected: Expected | None = None


class OrderLineOut(msgspec.Struct):
    """A line of an order, net. `item` is its place in the request; `note` says what else there is to know."""

    item: int
    name: str
    net: Money
    note: str = ""


class OrderRefusal(msgspec.Struct):
    """What stands in the way, and of which item ("/items/0", "/item"); empty of the order as a whole."""

    reason: Reason | Literal["insufficient_balance", "not_payable"]
    detail: str
    field: str


class OrderPreviewOut(msgspec.Struct):
    """An order as it would be charged now. Nothing was charged and nothing is kept."""

    wallet: str
    currency: str
    lines: list[OrderLineOut]
    net: Money
    vat_country: str
    vat_percent: Percent
    vat: Money
    total: Money
    payment: Payment
    balance: Money
    balance_after: Money
    available: Money
    available_after: Money
    #: By how much the wallet is short of the total, whoever pays.
    short: Money
    refused: bool
    refusals: list[OrderRefusal]
    #: Of a SIM's order: when it takes effect.
    at: datetime | None = None


class SimItemOut(msgspec.Struct):
    """What was ordered."""

    plan: str
    volume: int | None
    addon: str


class OrderOut(msgspec.Struct):
    """An order. Its figures are as ordered; `charged` is what the wallet paid for it, VAT included.

    `balance_before` and `balance_after` are the wallet's around the very step that made it; None while it is not made.
    """

    order: str
    sim: str
    wallet: str
    item: SimItemOut
    status: Status
    #: Why it failed.
    reason: str
    detail: str
    currency: str
    lines: list[OrderLineOut]
    net: Money
    vat_country: str
    vat_percent: Percent
    vat: Money
    total: Money
    payment: Payment
    #: Its payment in /v1/payments; empty where the balance pays.
    payment_id: str
    charged: Money
    balance_before: Money | None
    balance_after: Money | None
    #: When it takes effect.
    at: datetime
    created_at: datetime
    note: str
    #: For the payer's browser; told only to who ordered, while it is not paid.
    client_secret: str = ""
    repeated: bool = False


class OrderList(msgspec.Struct):
    """A page of orders, the newest first."""

    orders: list[OrderOut]
    next: str


class OrdersQuery(PageQuery, frozen=True, forbid_unknown_fields=True):
    """A page of a SIM's orders."""

    sim: Annotated[str, Meta(max_length=128, description="Whose orders; required.")] = ""


class QuoteRequest(Form, frozen=True):
    """A plan that is offered by quote, for a SIM."""

    sim: Name
    plan: Name
    note: Note = ""
