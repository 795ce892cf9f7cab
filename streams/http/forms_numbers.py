"""What the endpoints of phone numbers take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from rater.numbers.model import Capability, State
from streams.http.forms import END, Form, Money, Name
from streams.http.forms_subscriptions import PaymentOut
from streams.http.paging import PageQuery

E164 = Annotated[str, Meta(pattern=rf"^\+[1-9][0-9]{{4,14}}{END}", description="E.164.", examples=["+12125550100"])]
Country = Annotated[str, Meta(pattern=rf"^([A-Z]{{2}})?{END}", description="ISO 3166-1 alpha-2.", examples=["US"])]
Capabilities = Annotated[list[Capability], Meta(max_length=3, description="Each of these.")]


class NewNumber(Form, frozen=True):
    """A number for the inventory. Its country is that of its prefix if left out."""

    number: E164
    capabilities: Annotated[list[Capability], Meta(min_length=1, max_length=3)]
    #: The add-on by which plans sell it.
    addon: Name
    country: Country = ""


class NumberQuery(PageQuery, frozen=True, forbid_unknown_fields=True):
    """Which numbers."""

    country: Country = ""
    capabilities: Annotated[
        str,
        Meta(
            pattern=rf"^((voice|sms|mms)(,(voice|sms|mms)){{0,2}})?{END}",
            description="Separated by commas; each of these.",
        ),
    ] = ""
    state: Annotated[
        Literal["available", "taken", "resting", "withdrawn", "any"],
        Meta(description="All but `available` is for keys of the whole tenant."),
    ] = "available"


class NumberOut(msgspec.Struct):
    """A number of the inventory. Who has it, and by which order, is told where it is taken."""

    number: str
    country: str
    capabilities: list[Capability]
    addon: str
    state: State
    sim: str
    order: str
    available_from: datetime | None
    repeated: bool = False


class NumberPage(msgspec.Struct):
    """A page of numbers in their order; it may be short, and `next` is empty at the end."""

    numbers: list[NumberOut]
    next: str


class NumberOrderForm(Form, frozen=True):
    """A number to order, by itself or by what it has to be; the Idempotency-Key is the order's id."""

    number: Annotated[str, Meta(pattern=rf"^(\+[1-9][0-9]{{4,14}})?{END}", description="E.164; any if left out.")] = ""
    country: Country = ""
    capabilities: Capabilities = msgspec.field(default_factory=list)
    auto_pay: bool = True


class SimNumber(msgspec.Struct):
    """A phone number that a SIM has, or had by an order that is repeated."""

    number: str
    country: str
    capabilities: list[Capability]
    order: str
    addon: str
    state: Literal["active", "on-hold", "released"]
    auto_pay: bool
    next: PaymentOut | None
    release_at: datetime | None
    #: By an order: what it charged, the up-front fee included.
    charged: Money = "0.00"
    repeated: bool = False


class SimNumbers(msgspec.Struct):
    """The numbers a SIM has, in the order in which they were ordered, and how many its plan allows; None: any."""

    numbers: list[SimNumber]
    allowed: int | None
