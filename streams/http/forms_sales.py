"""What calculator and estimate take and answer. Nothing here changes anything."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from rater.geo.codes import COUNTRIES
from schemas.usage import Direction, Service
from streams.http.forms import Form, Money, Name
from streams.http.forms_plans import Exact, MatchOut

#: A choice of volume: its place on the plan's scale, as /v1/plans shows it.
Volume = Annotated[int, Meta(ge=0, le=1000, description="Its place on the plan's scale.")]
Country = Annotated[
    str, Meta(description="ISO 3166-1 alpha-2.", examples=["DE"], extra_json_schema={"enum": sorted(COUNTRIES)})
]
Place = Annotated[
    str,
    Meta(max_length=64, pattern=r"^[^\x00]*$", description="A country; or a zone of the tariff, a network 262-01."),
]
Text = Annotated[str, Meta(max_length=256, pattern=r"^[^\x00]*$")]
#: Credits, exact.
Quantity = Annotated[
    str, Meta(pattern=r"^[0-9]{1,12}(\.[0-9]{1,9})?(?!\n)$", description="Credits.", examples=["1000"])
]
Percent = Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+|/[0-9]+)?$", examples=["19", "25.5"])]


class CalculatorForm(Form, frozen=True):
    """Credits of a plan, and what they shall buy; the whole table if no usage is named.

    The credits are a number, or those of a volume on the plan's scale, or what a period of the plan grants.
    """

    plan: Name
    #: Which of the plan's allowances; the first that is counted in credits if left out.
    allowance: Text = ""
    credits: Quantity | None = None
    volume: Volume | None = None
    service: Service | None = None
    kind: Text = ""
    direction: Direction = "outgoing"
    #: Where the subscriber is, and where it goes.
    where: Place = ""
    to: Place = ""


class CalculatorLine(msgspec.Struct):
    """What the credits buy of one sort: whole base units (messages, bytes, ms), and the same in units of `per`."""

    kind: str
    #: The line of the table that answers.
    match: MatchOut
    credits: Exact
    per: str
    buys: Exact
    quantity: int
    unit: str
    #: Credits that remain, less than one more base unit costs.
    left: Exact


class Calculation(msgspec.Struct):
    """What credits buy, a line for each sort; none where they buy nothing of the sort asked for."""

    plan: str
    version: str
    allowance: str
    credits: Exact
    lines: list[CalculatorLine]


class EstimateForm(Form, frozen=True):
    """Whose past usage (exactly one of the three), and the plan it is rated with.

    `per` says whether each SIM would have the plan, with its fee and allowances, or the account as a whole.
    """

    plan: Name
    account: Text = ""
    wallet: Text = ""
    sim: Text = ""
    volume: Volume | None = None
    months: Annotated[int, Meta(ge=1, le=12, description="So many whole months before this one.")] = 3
    per: Literal["sim", "account"] = "sim"


class EstimateMonth(msgspec.Struct):
    """A month as it would have been charged."""

    month: str
    events: int
    #: Events of which an allowance covered all or a part.
    covered_events: int
    fee: Money
    usage: Money
    total: Money


class Unpriced(msgspec.Struct):
    """Usage that the plan has no price for, by sort. `detail` is that of one of the events."""

    reason: Literal["no_rate", "region_blocked", "not_entitled", "allowance_used_up"]
    service: str
    kind: str
    country: str
    destination_country: str
    events: int
    quantity: int
    unit: str
    detail: str


class Estimate(msgspec.Struct):
    """An estimated monthly cost: past usage rated with a plan as it is sold now. Not priced usage is not in it."""

    plan: str
    version: str
    tariff: str
    tariff_version: str
    currency: str
    zone: str
    from_time: datetime = msgspec.field(name="from")
    until: datetime
    #: SIMs that used something in these months; the fee counts each, unless the account as a whole has the plan.
    sims: int
    months: list[EstimateMonth]
    #: Mean of the months, half-up to the currency's minor unit.
    mean: Money
    #: Once, when the plan is joined; not in the months.
    activation_fee: Money
    unpriced_events: int
    #: The hundred sorts met first.
    unpriced: list[Unpriced]
