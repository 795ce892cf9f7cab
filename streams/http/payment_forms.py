"""What the API takes and answers about payments, refills and auto-refill."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from rater.payments.machine import given_nanos
from rater.payments.model import Payment
from rater.plans.model import Method
from streams.http.forms import Amount, Form, Money, Name, instant, money
from streams.http.paging import PageQuery, Query

_END = r"(?!\n)$"
#: A name, or nothing.
MaybeName = Annotated[str, Meta(pattern=rf"^[^/\x00-\x1f\x7f]{{0,128}}{_END}")]
#: A provider's own name for something; never the number of a card, which is digits only.
Token = Annotated[str, Meta(pattern=rf"^[a-z]+_[A-Za-z0-9_]{{1,250}}{_END}", examples=["pm_1MqLiJLkdIwHu7ixUEgbFdYF"])]
MaybeToken = Annotated[str, Meta(pattern=rf"^([a-z]+_[A-Za-z0-9_]{{1,250}})?{_END}", examples=["cus_NffrFeUfNV2Hib"])]
Seconds = Annotated[int, Meta(ge=0, le=31_536_000)]


class PlanQuery(Query, frozen=True, forbid_unknown_fields=True):
    """Whose offers."""

    plan: Annotated[str, Meta(max_length=128, description="The plans of the wallet's SIMs if left out.")] = ""


class PaymentsQuery(PageQuery, frozen=True, forbid_unknown_fields=True):
    """A page of payments."""

    wallet: Annotated[str, Meta(max_length=128, description="Of this wallet only.")] = ""


class Offer(msgspec.Struct):
    """A refill offer: what is paid, and what the wallet is given."""

    plan: str
    offer: str
    price: Money
    balance: Money
    currency: str
    paid_by: list[str]
    given: str


class RefillOffers(msgspec.Struct):
    """The offers of a plan, or of the plans of a wallet's SIMs."""

    offers: list[Offer]


class NewRefill(Form, frozen=True):
    """A refill to be paid.

    By card: with the saved method that is named, or the default one; or, with `payer_present`, by the payer's own
    browser, which gets `client_secret` (a new card, UPI and whatever else Stripe offers there).
    """

    offer: Name
    method: Method
    plan: MaybeName = ""
    parent_wallet: MaybeName = ""
    payment_method: MaybeName = ""
    payer_present: bool = False


class PurposeOut(msgspec.Struct):
    """What is paid for."""

    kind: Literal["refill", "auto-refill", "order", "invoice"]
    name: str
    plan: str


class ChangeOut(msgspec.Struct):
    """A line of a payment's history."""

    at: datetime
    what: str
    reason: str


class PaymentOut(msgspec.Struct):
    """A payment. `balance_now` is what the wallet has of it: nothing yet, all, or less after a refund."""

    payment: str
    account: str
    wallet: str
    purpose: PurposeOut
    amount: Money
    balance: Money
    balance_now: Money
    refunded: Money
    currency: str
    method: Method
    parent_wallet: str
    status: Literal["created", "pending", "confirmed", "declined", "cancelled"]
    reason: str
    reference: str
    created_at: datetime
    history: list[ChangeOut]
    #: For the payer's browser; told only to who made the payment.
    client_secret: str = ""
    repeated: bool = False


class PaymentList(msgspec.Struct):
    """A page of payments, newest first. `next` is empty on the last one."""

    payments: list[PaymentOut]
    next: str


class SavedMethodIn(Form, frozen=True):
    """A payment method that a provider keeps: references only. The first one saved is the default."""

    payment_method: Token
    customer: MaybeToken = ""
    label: Annotated[str, Meta(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*(?!\n)$", examples=["Visa 4242"])] = ""
    default: bool = False


class SavedMethodOut(msgspec.Struct):
    """A saved payment method."""

    name: str
    label: str
    customer: str
    payment_method: str
    default: bool


class SavedMethods(msgspec.Struct):
    """A wallet's saved payment methods."""

    methods: list[SavedMethodOut]
    repeated: bool = False


class NewAutoRefill(Form, frozen=True):
    """When and how a wallet is refilled by itself. Caps are on what is paid, in a day and a month of `zone`."""

    offer: Name
    method: Method
    threshold: Amount
    plan: MaybeName = ""
    parent_wallet: MaybeName = ""
    payment_method: MaybeName = ""
    day_max: Amount | None = None
    month_max: Amount | None = None
    cool_down_s: Seconds = 60
    back_off_s: Seconds = 300
    declines_max: Annotated[int, Meta(ge=1, le=100)] = 3
    zone: Annotated[
        str, Meta(max_length=64, description="IANA; the plan's if left out.", examples=["Europe/Berlin"])
    ] = ""
    enabled: bool = True


class AutoRefillOut(msgspec.Struct):
    """What is set, and what has come of it. `off`: by itself, after too many declines; set it again to switch it on."""

    wallet: str
    plan: str
    offer: str
    method: Method
    threshold: Money
    parent_wallet: str
    payment_method: str
    day_max: str
    month_max: str
    cool_down_s: int
    back_off_s: int
    declines_max: int
    zone: str
    enabled: bool
    status: Literal["waiting", "in_flight", "off", "disabled"]
    #: The payment in flight.
    payment: str
    declines: int
    #: What was asked for in the day and the month of the last request.
    day: str
    day_spent: Money
    month: str
    month_spent: Money
    repeated: bool = False


def shown(payment: Payment, *, secret: bool = False, repeated: bool = False) -> PaymentOut:
    """A payment as the API writes it."""
    return PaymentOut(
        payment=payment.id,
        account=payment.account,
        wallet=payment.wallet,
        purpose=PurposeOut(payment.purpose.kind, payment.purpose.name, payment.purpose.plan),
        amount=money(payment.amount_nanos),
        balance=money(payment.balance_nanos),
        balance_now=money(given_nanos(payment)),
        refunded=money(payment.lost_nanos),
        currency=payment.currency,
        method=payment.method,
        parent_wallet=payment.parent,
        status=payment.status,
        reason=payment.reason,
        reference=payment.reference,
        created_at=instant(payment.created_ms),
        history=[ChangeOut(instant(line.at_ms), line.what, line.reason) for line in payment.history],
        client_secret=payment.client_secret if secret else "",
        repeated=repeated,
    )
