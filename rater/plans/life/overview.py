"""A subscription at a glance: what is left, what comes next, what was bought.

minutes-pro: 990 min, 732 left, 26.06 % used; next 29.00 on Dec 10; valid until Nov 10; 2 numbers, one on hold
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Literal

import msgspec

from rater.plans.change import preview_at
from rater.plans.due import remaining
from rater.plans.life.addons import capacity_of
from rater.plans.life.balances import balances
from rater.plans.life.change import account_of
from rater.plans.life.due import addon_of, earliest_billing
from rater.plans.life.period import fee_of, terms_of
from rater.plans.life.state import DAY_MS, Bought, Planned, Status, Subscription, View
from rater.plans.life.wake import needs_nanos, revived
from rater.plans.model import Capacity, Unit
from rater.plans.proration import format_percent

_UNITS: tuple[Unit, ...] = ("bytes", "ms", "messages", "credits")


class UnitLeft(msgspec.Struct, frozen=True):
    """What can be used now of a unit: bytes, milliseconds, messages or credits, exact."""

    unit: Unit
    total: Fraction
    left: Fraction
    #: Two places, half-up: "26.06".
    used_percent: str


class Payment(msgspec.Struct, frozen=True):
    """What is to be paid, and when."""

    at_ms: int
    amount_nanos: int


class AddOnState(msgspec.Struct, frozen=True):
    """An add-on that was bought; "once" is one without periods."""

    order: str
    name: str
    state: Literal["active", "on-hold", "once"]
    auto_pay: bool
    capacity: Capacity
    #: When its next period is paid, and how much; None on hold and for what was bought once.
    next: Payment | None
    #: On hold: when it is released; None: not by itself.
    release_ms: int | None
    #: The phone number that it is; empty where it is none.
    number: str


class Overview(msgspec.Struct, frozen=True):
    """All there is to say of a subscription at an instant."""

    plan: str
    version: str
    status: Status
    currency: str
    volume: int | None
    units: tuple[UnitLeft, ...]
    #: The next fee of the plan; None if none comes, or none until it is used or refilled.
    next_billing: Payment | None
    #: What the wallet must have available for a subscriber that is held to go on; None if it is not held for that.
    to_resume_nanos: int | None
    valid_until_ms: int | None
    capacity: Capacity
    addons: tuple[AddOnState, ...]
    planned: Planned | None


def overview(sub: Subscription, view: View, at_ms: int) -> Overview:
    """What a subscriber has at an instant, after all that was due by then."""
    plan = view.plan(sub.plan, at_ms)
    waking = revived(sub, at_ms, view) if sub.status in ("unpaid", "expired") else None
    return Overview(
        plan=sub.plan,
        version=plan.version,
        status=sub.status,
        currency=plan.currency,
        volume=sub.volume,
        units=tuple(_units(sub, view, at_ms)),
        next_billing=_next_billing(sub, view),
        to_resume_nanos=max(0, needs_nanos(waking, view)) if waking is not None else None,
        valid_until_ms=sub.valid_until_ms,
        capacity=capacity_of(sub, view, at_ms),
        addons=tuple(_addon(bought, view) for bought in sub.bought),
        planned=sub.planned,
    )


def _units(sub: Subscription, view: View, at_ms: int) -> Iterable[UnitLeft]:
    """Each unit of which something was granted that can be used now."""
    own = balances(sub, view)
    for unit in _UNITS:
        found = remaining(own, unit, at_ms)
        if found.total:
            yield UnitLeft(unit, found.total, found.left, format_percent(found.used_hundredths))


def _next_billing(sub: Subscription, view: View) -> Payment | None:
    """The fee that falls due next: by a planned change where that is not later, else by the plan."""
    due = earliest_billing(sub, view)
    planned = sub.planned
    if planned is not None and (due is None or planned.when_ms <= due.at_ms) and sub.status == "active":
        new = view.plans(planned.plan, planned.when_ms)
        if new is not None and new.takes(planned.volume):
            account = account_of(sub, view, "owner", "", at_ms=planned.when_ms)
            preview = preview_at(account, new, planned.asked_ms, planned.when_ms, planned.volume)
            return Payment(planned.when_ms, preview.fee_nanos + preview.activation_nanos - preview.refund_nanos)
    periods = sub.periods
    if due is None or periods is None:
        return None
    if sub.fee_due_ms == due.at_ms:
        owed = fee_of(sub, periods, sub.next_period - 1, terms_of(sub, due.at_ms, view))
    else:
        owed = fee_of(sub, periods, due.which, view.plan(sub.plan, due.at_ms))
    return Payment(owed.at_ms, owed.amount_nanos) if owed is not None else None


def _addon(bought: Bought, view: View) -> AddOnState:
    addon = addon_of(bought, view)
    on_hold = bought.on_hold_since_ms
    days = addon.hold_days if addon is not None else None
    is_due = bool(bought.next_ms and not on_hold and addon is not None)
    return AddOnState(
        order=bought.id,
        name=bought.name,
        state="on-hold" if on_hold else "active" if bought.next_ms else "once",
        auto_pay=bought.auto_pay,
        capacity=addon.capacity if addon is not None else Capacity(),
        next=Payment(bought.next_ms, addon.price_nanos) if is_due and addon is not None else None,
        release_ms=on_hold + days * DAY_MS if on_hold and days is not None else None,
        number=bought.number,
    )
