"""A plan as the API shows it: all that a customer may know of what is sold, each amount and quantity exact.

Quantities are in base units (bytes, ms, messages) or credits, as text: a decimal, or a ratio ("100/3") where it has no
end. Places are zones of the tariff, countries, or networks "262-01"; empty is any.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from rater.plans.calendar import PeriodBy
from rater.plans.model import Action, Kind, Method, Overage, Settlement, Unit
from rater.plans.proration import Proration
from rater.plans.terms import Renewal, Role, When
from schemas.usage import Service
from streams.http.forms import Money

Exact = Annotated[
    str, Meta(pattern=r"^-?[0-9]+(\.[0-9]+|/[0-9]+)?$", description="Exact: a decimal or a ratio.", examples=["100/3"])
]


class StartOut(msgspec.Struct, omit_defaults=True):
    """From when something runs; `date` where it is one."""

    at: Literal["assignment", "first-usage", "date"]
    date: datetime | None = None


class TimingOut(msgspec.Struct, omit_defaults=True):
    """When a change takes effect; `date` where it is one."""

    at: When
    date: datetime | None = None


class BillingOut(msgspec.Struct):
    """The period: its fee is charged and its allowances are granted at each start."""

    months: int
    by: PeriodBy
    starts: StartOut


class FeeOut(msgspec.Struct):
    """The fee of each period, and from when on it is charged."""

    price: Money
    starts: StartOut


class ProrationOut(msgspec.Struct):
    """How a fee is shared in a first period, and at a change."""

    first: Proration
    change: Proration


class ValidityOut(msgspec.Struct):
    """How long the plan holds."""

    months: int
    by: PeriodBy
    renews: Renewal
    starts: StartOut


class MatchOut(msgspec.Struct):
    """Which usage something is for; what is empty is any."""

    services: list[Service]
    kinds: list[str]
    direction: Literal["", "outgoing", "incoming"]
    where: tuple[str, ...]
    to: tuple[str, ...]


class CostOut(msgspec.Struct):
    """What usage costs in credits, for each `per`. The first line that matches answers."""

    match: MatchOut
    credits: Exact
    per: str


class RollOverOut(msgspec.Struct):
    """For how many more periods what is left goes on, and how much of it; without a maximum all."""

    periods: int
    maximum: Exact | None


class AllowanceOut(msgspec.Struct):
    """What a period (or an add-on) grants of usage, before money is asked; the lowest priority is used first."""

    name: str
    quantity: Exact
    unit: Unit
    match: MatchOut
    priority: int
    expires: Literal["period", "months", "never"]
    expires_months: int
    roll_over: RollOverOut | None
    shared: bool
    costs: list[CostOut]


class VolumeOut(msgspec.Struct):
    """A step of the scale. `volume` is its place, by which it is ordered."""

    volume: int
    quantity: Exact
    price: Money


class ScaleOut(msgspec.Struct):
    """The volumes one chooses from: each replaces the allowance's quantity and is the fee."""

    allowance: str
    unit: Unit
    volumes: list[VolumeOut]


class RefillOut(msgspec.Struct):
    """A refill offer: what is paid and what the wallet is given."""

    name: str
    price: Money
    balance: Money
    paid_by: list[Method]
    given: Literal["confirmed", "at-once"]


class CapacityOut(msgspec.Struct):
    """What may be in use at once, null without a limit, and the place in the queue."""

    channels: int | None
    connections: int | None
    concurrent_calls: int | None
    numbers: int | None
    queue_priority: int | None


class EntitlementsOut(msgspec.Struct):
    """The services one may use, and how much of what at once."""

    services: list[Service]
    capacity: CapacityOut


class AddOnOut(msgspec.Struct):
    """What can be bought besides, once or each period."""

    name: str
    price: Money
    upfront: Money
    recurring: bool
    hold_days: int | None
    allowances: list[AllowanceOut]
    capacity: CapacityOut
    #: It is a phone number, ordered by /v1/subscriptions/{sim}/numbers; it rests so long after it is given up.
    is_number: bool
    quarantine_days: int


class LeavingOut(msgspec.Struct):
    """What a change from this plan means."""

    upgrade: TimingOut
    downgrade: TimingOut
    asked_by: list[Role]
    unused: Literal["forfeited", "kept"]
    refund: Literal["none", "days-after"]
    extras: Literal["add", "larger", "drop"]
    frozen: bool
    migrate_to: str
    migrate_from: datetime | None


class JoiningOut(msgspec.Struct):
    """What a change to this plan means."""

    balance_positive: Literal["never", "upgrade", "always"]
    payment_details: bool
    quote_only: bool
    period: Literal["keep", "restart"]


class PlanVersion(msgspec.Struct):
    """The terms of a plan from `effective_from` on, until those of the next version.

    Without a floor the plan leaves the wallet's where it is; with a positive balance asked for, a depleted wallet stops
    the subscriber even where an allowance has something left.
    """

    plan: str
    version: str
    effective_from: datetime
    kind: Kind
    currency: str
    zone: str
    settlement: Settlement
    tariff: str
    rank: int
    billing: BillingOut
    recurring_fee: FeeOut | None
    activation_fee: Money
    proration: ProrationOut
    validity: ValidityOut | None
    allowances: list[AllowanceOut]
    scale: ScaleOut | None
    refills: list[RefillOut]
    addons: list[AddOnOut]
    floor: Money | None
    positive_balance: bool
    overage: Overage
    invoice_limit: Money | None
    entitlements: EntitlementsOut
    actions: list[Action]
    leaving: LeavingOut
    joining: JoiningOut


class Plans(msgspec.Struct):
    """A page of the plans as in force at a time, by name. `next` is empty on the last one."""

    plans: list[PlanVersion]
    next: str


class PlanHistory(msgspec.Struct):
    """A plan's versions in order of time, those to come included. `in_force` is empty before the first."""

    plan: str
    in_force: str
    versions: list[PlanVersion]
