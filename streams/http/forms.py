"""What the API takes and answers, as typed structs: the decoder, the checks and the OpenAPI document in one.

Money is text with an exact decimal, never a JSON number: a client's float would have rounded it on the way.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from rater.geo.codes import CURRENCIES
from rater.money import format_nanos
from schemas.adapters.usage_json import Text, UsageBody
from streams.http.keys import TENANT

#: `$` of Python matches before a last line feed too, that of JSON Schema does not; so it is excluded by name.
END = r"(?!\n)$"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Of what is asked for: below 10^9, so that no amount alone passes what the ledger holds.
Limit = Annotated[
    str, Meta(pattern=rf"^-?[0-9]{{1,9}}(\.[0-9]{{1,9}})?{END}", description="An exact decimal.", examples=["-100"])
]
Amount = Annotated[
    str, Meta(pattern=rf"^[0-9]{{1,9}}(\.[0-9]{{1,9}})?{END}", description="Not negative.", examples=["12.50"])
]
#: As it stands in an answer.
Money = Annotated[str, Meta(pattern=r"^-?[0-9]+\.[0-9]{2,9}$", description="An exact decimal.", examples=["12.50"])]
Currency = Annotated[
    str, Meta(description="ISO 4217.", examples=["EUR"], extra_json_schema={"enum": sorted(CURRENCIES)})
]
Name = Annotated[str, Meta(pattern=rf"^[^/\x00-\x1f\x7f]{{1,128}}{END}", examples=["acme"])]
Note = Annotated[str, Meta(max_length=256, pattern=r"^[^\x00]*$")]
Hold = Literal["expired", "payment", "operator", "fraud"]
Status = Literal["active", "held"]


def _digits(pattern: str, text: str) -> Meta:
    return Meta(pattern=rf"^({pattern})?{END}", description=text)


Iccid = Annotated[str, _digits("[0-9]{18,22}", "ITU-T E.118.")]
Imsi = Annotated[str, _digits("[0-9]{6,15}", "ITU-T E.212.")]
Msisdn = Annotated[str, _digits(r"\+[1-9][0-9]{4,14}", "E.164.")]
#: Milliseconds of these fit everywhere, and so does what is reckoned from them.
Instant = Annotated[datetime, Meta(tz=True, description="RFC 3339 with a zone.")]


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A body; an unknown field is refused, so that a typing error is not lost."""


class NewWallet(Form, frozen=True):
    """A wallet to open. A credit limit is a negative floor."""

    wallet: Name
    currency: Currency
    balance: Amount = "0"
    floor: Limit = "0"


class TopUp(Form, frozen=True):
    """Money in."""

    amount: Amount
    note: Note = ""


class Floor(Form, frozen=True):
    """How far the balance may go down."""

    floor: Limit


class NewHold(Form, frozen=True):
    """What suspends a wallet or a SIM until it is released."""

    hold: Hold
    note: Note = ""


class NewSim(Form, frozen=True):
    """A SIM, who pays for it, and by which terms."""

    sim: Name
    wallet: Name
    plan: Name
    #: Whose invoice; the wallet's account if left out.
    account: Annotated[str, Meta(pattern=rf"^[^/\x00-\x1f\x7f]{{0,128}}{END}")] = ""
    iccid: Iccid = ""
    imsi: Imsi = ""
    msisdn: Msisdn = ""
    from_time: Annotated[Instant | None, Meta(description="From when on; for ever if left out.")] = msgspec.field(
        default=None, name="from"
    )


class Move(Form, frozen=True):
    """Another wallet, plan or account; what is left out stays."""

    wallet: Name | None = None
    plan: Name | None = None
    account: Name | None = None
    from_time: Annotated[Instant | None, Meta(description="From when on; now if left out.")] = msgspec.field(
        default=None, name="from"
    )


class Change(msgspec.Struct, omit_defaults=True):
    """A change of a wallet, as it was decided. A repeat is answered the same."""

    id: str
    kind: Literal["create", "top-up", "floor", "hold", "release"]
    wallet: str
    currency: str
    balance_before: Money
    balance_after: Money
    at: datetime
    sim: str = ""
    hold: str = ""
    floor: str = ""
    repeated: bool = False


class Wallet(msgspec.Struct):
    """A wallet as it stands. available = balance - floor."""

    tenant: str
    wallet: str
    currency: str
    balance: Money
    floor: Money
    available: Money
    status: Status
    holds: tuple[str, ...]


class SimNames(msgspec.Struct):
    """A page of the SIMs a wallet pays for, by name. `next` is empty on the last one."""

    sims: list[str]
    next: str


class HistoryEntry(msgspec.Struct):
    """One change of a wallet, usage included. `number` orders a wallet's changes."""

    number: str
    kind: str
    cause: str
    #: What a person or a plan said of it.
    note: str
    amount: Money
    balance_after: Money
    at: datetime


class History(msgspec.Struct):
    """A page of a wallet's changes, newest first. `next` is empty on the last one."""

    entries: list[HistoryEntry]
    next: str


class AssignmentOut(msgspec.Struct):
    """From when on a wallet pays and a plan applies."""

    from_time: datetime = msgspec.field(name="from")
    wallet: str
    account: str
    plan: str


class Sim(msgspec.Struct):
    """A SIM as it stands; its assignments oldest first."""

    tenant: str
    sim: str
    iccid: str
    imsi: str
    msisdn: str
    status: Status
    holds: tuple[str, ...]
    assignments: list[AssignmentOut]
    repeated: bool = False


class UsageIn(UsageBody, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A usage event. The key says the tenant; where it is named it must be the same."""

    source: Text
    id: Text
    tenant: Annotated[str, Meta(pattern="^" + TENANT.pattern + "$")] | msgspec.UnsetType = msgspec.UNSET


#: At least one event, and no more than a request may ever hold; `batch_max` of the settings may be less.
Events = Annotated[list[UsageIn], Meta(min_length=1, max_length=4000)]


class CloudEventIn(msgspec.Struct, kw_only=True):
    """A CloudEvent 1.0 whose `data` is a usage event without its identity."""

    specversion: Literal["1.0"]
    id: Text
    source: Text
    type: Annotated[str, Meta(min_length=1)]
    tenant: Annotated[str, Meta(pattern="^" + TENANT.pattern + "$")] | msgspec.UnsetType = msgspec.UNSET
    data: dict[str, Any]


CloudEvents = Annotated[list[CloudEventIn], Meta(min_length=1, max_length=4000)]


class EventVerdict(msgspec.Struct, omit_defaults=True, gc=False):
    """What became of one event. `reason` is empty of what was rated; `uncovered` is what the wallet could not pay."""

    source: str
    id: str
    fate: str
    reason: str = ""
    detail: str = ""
    charged: str = ""
    currency: str = ""
    uncovered: str = ""
    #: Decided by an earlier request, or another door; the same as it was told first.
    repeated: bool = False


class UsageVerdicts(msgspec.Struct):
    """One verdict for each event, in their order, and how many there are of each fate."""

    events: list[EventVerdict]
    fates: dict[str, int]


def money(nanos: int) -> str:
    """An amount as the API writes it."""
    return format_nanos(nanos)


def instant(unix_ms: int) -> datetime:
    """A time as the API writes it."""
    return _EPOCH + timedelta(milliseconds=unix_ms)
