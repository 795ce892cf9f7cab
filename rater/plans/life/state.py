"""What a subscriber has of its plan, and what a step makes of it. Nothing here reads a clock or writes anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import msgspec

from rater.errors import PlanError
from rater.plans.allowances import NEVER_MS
from rater.plans.calendar import PeriodBy, Periods
from rater.plans.model import Plan

Status = Literal["active", "unpaid", "expired", "cancelled"]
Extras = Literal["add", "larger", "drop"]

DAY_MS: Final = 86_400_000
#: A grant is kept so long after its end, for late usage of its time.
GRACE_MS: Final = 3 * DAY_MS
#: Plans that were left are kept so long, for late usage; what is older than 90 days is not rated at all.
PAST_KEPT_MS: Final = 400 * DAY_MS

#: A subscriber's own holds, by status.
HOLDS: Final[dict[Status, frozenset[str]]] = {
    "active": frozenset(),
    "unpaid": frozenset({"payment"}),
    "expired": frozenset({"expired"}),
    "cancelled": frozenset({"expired"}),
}


class Grant(msgspec.Struct, frozen=True, omit_defaults=True):
    """An allowance that was granted. Its terms stand in that version of the plan, by its name."""

    #: Never that of another grant of the subscriber; later ones sort after earlier ones.
    id: str
    plan: str
    version: str
    name: str
    granted_parts: int
    from_ms: int
    until_ms: int = NEVER_MS
    #: How many more times what is left may roll over.
    rolls_left: int = 0
    #: What was used when it rolled over: left = granted + used before - used.
    used_before_parts: int = 0
    #: The order of the add-on that granted it; empty for the plan's own.
    order: str = ""
    #: Its end was told.
    ended: bool = False

    def left_parts(self, used: Mapping[str, int]) -> int:
        """What is left of it, by what was used of each grant."""
        return max(0, self.granted_parts + self.used_before_parts - used.get(self.id, 0))


class Bought(msgspec.Struct, frozen=True, omit_defaults=True):
    """An add-on that was ordered. What it gives and costs stands in that version of the plan, by its name."""

    #: The order's id.
    id: str
    name: str
    plan: str
    version: str
    bought_ms: int
    auto_pay: bool = True
    #: When its next period begins; 0 if it was bought once.
    next_ms: int = 0
    #: How many of its periods were paid.
    index: int = 0
    #: 0 if it is not on hold.
    on_hold_since_ms: int = 0
    #: Its periods, counted from the order.
    months: int = 1
    by: PeriodBy = "month-end"
    #: The phone number it is, E.164; empty where it is none.
    number: str = ""


class Planned(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change of plan that is to come."""

    plan: str
    volume: int | None
    when_ms: int
    asked_ms: int
    cause: str = ""


class Subscription(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a subscriber has of its plan in one wallet."""

    plan: str
    #: Since when; before that, `past`.
    assigned_ms: int
    zone: str
    #: How many steps there were; each raises it by one.
    n: int = 0
    #: The choice on the plan's scale.
    volume: int | None = None
    #: The first usage that counts under this plan; after a change with which nothing waits for it, the change.
    first_usage_ms: int | None = None
    #: Where its billing periods are counted from; None while they have not begun.
    anchor_ms: int | None = None
    months: int = 1
    by: PeriodBy = "month-end"
    #: The next billing period to begin.
    next_period: int = 0
    #: The plan version whose terms were last taken over.
    version: str = ""
    #: When the present period's fee falls due, where that is after the period's start.
    fee_due_ms: int | None = None
    #: What was paid of the present period's fee.
    paid_nanos: int = 0
    #: The activation fee is still to be paid.
    activation_due: bool = False
    #: To be given back with the next fee.
    credit_nanos: int = 0
    valid_until_ms: int | None = None
    validity_anchor_ms: int | None = None
    validity_index: int = 0
    validity_months: int = 1
    validity_by: PeriodBy = "anniversary"
    status: Status = "active"
    grants: tuple[Grant, ...] = ()
    bought: tuple[Bought, ...] = ()
    #: How what was bought counts beside what the plan includes, as the plan left last said.
    extras: Extras = "add"
    planned: Planned | None = None
    #: (from, until, plan), the oldest first.
    past: tuple[tuple[int, int, str], ...] = ()
    #: It came from another plan by a change, which shares the fee otherwise than a first period does.
    by_change: bool = False
    #: It has been used, under this plan or one before.
    was_used: bool = False
    #: Settled by invoice: from when on the next invoice is.
    invoice_from_ms: int | None = None
    #: When the next step is due by time alone; None: never.
    due_ms: int | None = None
    #: When the last step was.
    stepped_ms: int = 0

    @property
    def periods(self) -> Periods | None:
        """Its billing periods; None while they have not begun."""
        return None if self.anchor_ms is None else Periods(self.zone, self.anchor_ms, self.months, self.by)

    @property
    def waits_for_money(self) -> bool:
        """Whether a refill may change something: it is held, or an add-on is on hold."""
        return self.status in ("unpaid", "expired") or any(
            bought.on_hold_since_ms and bought.auto_pay for bought in self.bought
        )


#: A subscription as it is stored.
pack_subscription: Final = msgspec.json.Encoder().encode
read_subscription: Final = msgspec.json.Decoder(Subscription).decode


class Saying(msgspec.Struct, frozen=True):
    """Something to be told of; money as exact decimal strings, times as Unix milliseconds."""

    type: str
    data: dict[str, Any]


class Outcome(msgspec.Struct, frozen=True):
    """What comes about by a step."""

    subscription: Subscription
    #: Those of "payment" and "expired" that the subscriber has afterwards.
    holds: frozenset[str]
    sayings: tuple[Saying, ...] = ()


class Step(msgspec.Struct, frozen=True):
    """A step that is to be made, in one with its fee.

    The wallet's floor moves first, then the fee is asked for: all of it, or `unpaid` comes about. Where that is None a
    fee that cannot be paid changes nothing at all. A fee that is negative is given back.
    """

    name: str
    at_ms: int
    fee_nanos: int
    paid: Outcome
    unpaid: Outcome | None = None
    #: Where the wallet's floor goes; None: it stays.
    floor_nanos: int | None = None
    note: str = ""


def _no_later_version(_plan: str, _at_ms: int) -> int | None:
    return None


class View(msgspec.Struct, frozen=True):
    """What a step is worked out upon, besides the subscription itself."""

    #: The version of a plan in force at a time.
    plans: Callable[[str, int], Plan | None]
    #: A plan's version by its name.
    versions: Callable[[str, str], Plan | None]
    #: Parts used, by grant.
    used: Mapping[str, int]
    available_nanos: int
    #: When the version in force at a time is followed by the next, None if none is known (`Catalogue.plan_until_ms`).
    until: Callable[[str, int], int | None] = _no_later_version
    #: Whether the subscriber is held, and not for want of money: its usage is refused, so none is the first.
    is_held: bool = False

    def plan(self, name: str, at_ms: int) -> Plan:
        """The version in force.

        Raises:
            PlanError: there is none.
        """
        found = self.plans(name, at_ms)
        if found is None:
            raise PlanError("plan", f"there is no plan {name} at that time")
        return found
