"""An invoice, and the end of a billing period that it comes from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

from schemas.notice import Notice

#: `source` of the wallet entries of an invoice.
SOURCE: Final = "invoice"
#: What the journal says of a payment.
PAID: Final = "invoice paid"
#: The notice that a step of a subscription sends at the end of a period.
CLOSED: Final = "invoice.period_closed"
#: That of a payment which has arrived.
CONFIRMED: Final = "payment.confirmed"

#: `empty`: nothing was owed; there is no invoice, only the mark that the period was closed.
Status = Literal["empty", "open", "paid", "cancelled"]
Sort = Literal["usage", "fee", "credit", "brought-forward"]


class Place(msgspec.Struct, frozen=True, order=True):
    """A place in the order of a wallet's changes: before the change of this number."""

    epoch: int
    n: int


#: Before a wallet's first change.
BEGINNING: Final = Place(0, 0)


class Closing(msgspec.Struct, frozen=True):
    """The end of a billing period of a subscriber, as its step told it."""

    tenant: str
    wallet: str
    from_ms: int
    until_ms: int
    #: The wallet entry of that step, and its source: another where the subscriber left the wallet.
    step: str
    source: str = "plans"

    @property
    def id(self) -> str:
        """The invoice's id: the wallet and the period's end in UTC, with its milliseconds."""
        return invoice_id(self.wallet, self.until_ms)


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of an invoice; what takes off the total is negative."""

    sort: Sort
    amount_nanos: int
    #: Of usage: the service and the tariff's zone (or the country), with how much in the service's base unit.
    service: str = ""
    zone: str = ""
    events: int = 0
    quantity: int = 0
    #: Of a fee or a credit: what the wallet's journal calls it.
    what: str = ""


class Invoice(msgspec.Struct, frozen=True, omit_defaults=True):
    """An invoice as it is kept."""

    tenant: str
    id: str
    wallet: str
    #: The account that the wallet belonged to when it was made.
    account: str
    currency: str
    from_ms: int
    until_ms: int
    #: Where in the wallet's order its period ends, and what the wallet had then.
    place: Place
    balance_nanos: int
    #: What earlier invoices covered of it.
    covered_nanos: int
    total_nanos: int
    status: Status
    issued_ms: int
    #: The closing before it; empty for the wallet's first.
    before: str = ""
    lines: tuple[Line, ...] = ()
    is_itemised: bool = False
    #: A person or a provider said that it was paid; 0: nobody did. The wallet may not have been credited yet.
    confirmed_ms: int = 0
    #: The payment that paid it; empty where a person said so.
    paid_by: str = ""
    #: The payment that was last begun for it.
    payment: str = ""
    paid_ms: int = 0
    cancelled_ms: int = 0


def invoice_id(wallet: str, until_ms: int) -> str:
    """acme-20270331220000000."""
    return f"{wallet}-{datetime.fromtimestamp(until_ms // 1000, UTC):%Y%m%d%H%M%S}{until_ms % 1000:03d}"


def closing_of(notice: Notice) -> Closing | None:
    """The closing that a notice tells of; None if it is about something else.

    Raises:
        ValueError: it does not say what a closing says.
    """
    if notice.type != CLOSED:
        return None
    data = notice.data
    return Closing(
        notice.tenant, notice.wallet, _of(data, "from_ms", int), _of(data, "until_ms", int),
        _of(data, "step", str), _of({"source": "plans"} | data, "source", str),
    )  # fmt: skip


class Received(msgspec.Struct, frozen=True):
    """Money that arrived for an invoice, by a payment."""

    tenant: str
    invoice: str
    payment: str


def received_of(notice: Notice) -> Received | None:
    """The money that a notice tells of; None if it is about something else.

    Raises:
        ValueError: it does not say what such a notice says.
    """
    if notice.type != CONFIRMED or notice.data.get("purpose") != "invoice":
        return None
    return Received(notice.tenant, _of(notice.data, "name", str), _of(notice.data, "payment", str))


def _of(data: dict[str, Any], name: str, kind: type) -> Any:
    value = data.get(name)
    if not isinstance(value, kind):
        raise ValueError(f"{name}: {value!r} is none")
    return value
