"""What the endpoints of subscriptions take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from rater.plans.account import Direction
from rater.plans.account import Reason as ChangeReason
from rater.plans.life import Status
from rater.plans.model import Action
from streams.http.forms import Form, Limit, Money, Name
from streams.http.forms_plans import CapacityOut, Exact, PlanVersion
from streams.http.forms_sales import Estimate, Volume

#: Voice is told in minutes.
UnitOut = Literal["bytes", "min", "messages", "credits"]


class UnitLeftOut(msgspec.Struct):
    """What can be used now of a unit."""

    unit: UnitOut
    total: Exact
    left: Exact
    used_percent: str


class PaymentOut(msgspec.Struct):
    """What is to be paid, and when."""

    at: datetime
    amount: Money


class GrantOut(msgspec.Struct):
    """One allowance as it stands."""

    allowance: str
    granted: Exact
    left: Exact
    unit: UnitOut
    from_time: datetime
    until_time: datetime | None


class BoughtOut(msgspec.Struct):
    """An add-on that was bought; "once" is one without periods."""

    order: str
    addon: str
    state: str
    auto_pay: bool
    next: PaymentOut | None
    release_at: datetime | None
    #: The phone number that it is; empty where it is none.
    number: str


class PlannedOut(msgspec.Struct):
    """A change that is planned."""

    plan: str
    volume: int | None
    at: datetime


class SubscriptionOut(msgspec.Struct):
    """A subscription as it stands, after all that was due."""

    sim: str
    wallet: str
    plan: str
    version: str
    status: Status
    currency: str
    volume: int | None
    #: The first usage that counts under this plan; after a change with which nothing waits for it, the change.
    first_usage: datetime | None
    remaining: list[UnitLeftOut]
    allowances: list[GrantOut]
    next_billing: PaymentOut | None
    #: What the wallet must have available for it to go on, where it is held for want of money.
    to_resume: Money | None
    valid_until: datetime | None
    capacity: CapacityOut
    addons: list[BoughtOut]
    #: What its plan offers; another action is refused.
    actions: list[Action]
    planned: PlannedOut | None
    #: By a change: what it charged (negative: gave back), and whether it was made before.
    charged: Money = "0.00"
    repeated: bool = False


class ChangeForm(Form, frozen=True):
    """Another plan, or another volume of the same."""

    plan: Name
    volume: Volume | None = None
    #: What the preview said is charged now; where that is not so any more, nothing is changed.
    expected: Limit | None = None


class ChangePreviewForm(ChangeForm, frozen=True):
    """The same, with an estimate from real usage if it is asked for."""

    #: So many whole months before this one, rated with the new plan.
    estimate_months: Annotated[int, Meta(ge=1, le=12)] | None = None


class LeftOut(msgspec.Struct):
    """What is left of an allowance."""

    allowance: str
    left: Exact
    unit: UnitOut


class ChangeRefusal(msgspec.Struct):
    """What stands in the way of a change."""

    reason: ChangeReason
    detail: str


class ChangePreviewOut(msgspec.Struct):
    """What a change would mean if it were confirmed now. It may be if there is no refusal."""

    sim: str
    plan: str
    to: str
    volume: int | None
    direction: Direction
    at: datetime
    currency: str
    #: At that time: the fee (shared by the days), the activation fee, and what is given back of the old one.
    fee: Money
    activation_fee: Money
    refund: Money
    #: On confirmation; negative gives back. And by how much the wallet is short of it.
    charged_now: Money
    short: Money
    #: What the account is charged in all for the month in which it changes, the old plan's fee included.
    month_total: Money
    next_fee: PaymentOut | None
    forfeited: list[LeftOut]
    kept: list[LeftOut]
    granted: list[LeftOut]
    capacity: CapacityOut
    refusals: list[ChangeRefusal]
    #: The new plan's terms.
    terms: PlanVersion
    #: What the SIM's real usage would have cost by it, if that was asked for and is not too much to rate at once.
    estimate: Estimate | None = None


class AddOnForm(Form, frozen=True):
    """An add-on to buy; the Idempotency-Key is the order's id."""

    addon: Name
    auto_pay: bool = True


class AutoPayForm(Form, frozen=True):
    """Whether an add-on pays its next periods by itself."""

    auto_pay: bool
