"""A billing period begins: its fee, and the allowances it grants, with what rolls over into it."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from rater.money import format_nanos
from rater.plans.allowances import Balance, grant, rolled_over
from rater.plans.calendar import Period, Periods
from rater.plans.due import Due, period_fee
from rater.plans.life.balances import balance_of
from rater.plans.life.state import GRACE_MS, Grant, Saying, Subscription, View
from rater.plans.model import Allowance, Plan


class Begun(msgspec.Struct, frozen=True):
    """A subscription whose period has begun, and what that costs."""

    subscription: Subscription
    fee_nanos: int
    sayings: tuple[Saying, ...] = ()


def begin_period(sub: Subscription, index: int, at_ms: int, view: View, plan: Plan) -> Begun:
    """Begin a billing period at its start, or later in it; earlier ones that did not begin are left out.

    A period costs what it would have cost at its start, however late it begins; what it grants can be used from then
    on. A fee that starts within the period, after `at_ms`, falls due by itself.
    """
    periods = sub.periods
    assert periods is not None, "the periods have begun"
    period = periods.period(index)
    assert at_ms < period.end_ms, "a period begins before its end"
    at_ms = max(at_ms, period.start_ms)
    due = fee_of(sub, periods, index, plan)
    is_now = due is not None and due.at_ms <= at_ms
    fee_nanos = due.amount_nanos if due is not None and is_now else 0
    begun = replace(
        sub,
        next_period=index + 1,
        version=plan.version,
        fee_due_ms=due.at_ms if due is not None and not is_now else None,
        paid_nanos=fee_nanos,
        grants=_grants(sub, period, at_ms, view, plan),
    )
    return Begun(begun, fee_nanos, (_renewed(plan, period, fee_nanos),))


def fee_of(sub: Subscription, periods: Periods, index: int, plan: Plan) -> Due | None:
    """The fee of a period and from when it is due; None if none is."""
    return period_fee(plan, periods, index, sub.assigned_ms, sub.first_usage_ms, sub.volume, by_change=sub.by_change)


def terms_of(sub: Subscription, at_ms: int, view: View) -> Plan:
    """The version that the present period began under."""
    return view.versions(sub.plan, sub.version) or view.plan(sub.plan, at_ms)


def granted(balance: Balance, plan: Plan, order: str = "") -> Grant:
    """A balance that is granted, as a subscription keeps it."""
    return Grant(
        id=balance.id,
        plan=plan.name,
        version=plan.version,
        name=balance.allowance.name,
        granted_parts=balance.granted_parts,
        from_ms=balance.from_ms,
        until_ms=balance.until_ms,
        rolls_left=balance.rolls_left,
        order=order,
    )


def grant_id(allowance: Allowance, n: int) -> str:
    """The id of what the step after `n` steps grants of an allowance: what is older is used first, at equal terms."""
    return f"{allowance.name}/{n + 1:06d}"


def _grants(sub: Subscription, period: Period, at_ms: int, view: View, plan: Plan) -> tuple[Grant, ...]:
    kept = rolled(sub.grants, plan.allowances, "", period, at_ms, view, plan)
    new = [
        grant(
            grant_id(allowance, sub.n),
            allowance,
            period,
            sub.zone,
            quantity_parts=plan.granted_parts(allowance, sub.volume),
            since_ms=at_ms,
        )
        for allowance in plan.allowances
    ]
    return (*kept, *(granted(balance, plan) for balance in new))


def rolled(
    grants: tuple[Grant, ...],
    allowances: tuple[Allowance, ...],
    order: str,
    period: Period,
    at_ms: int,
    view: View,
    plan: Plan,
) -> tuple[Grant, ...]:
    """All grants, those that roll over with their later end.

    What rolls over ended where the period starts, and is of the same plan (or of the same order of an add-on). Where
    the period begins late, for want of money, it must be within the grace.
    """
    after: dict[str, Grant] = {}
    for allowance in allowances:
        ended = [
            one
            for one in grants
            if (one.order, one.plan, one.name) == (order, plan.name, allowance.name)
            and one.until_ms == period.start_ms
            and at_ms < one.until_ms + GRACE_MS
        ]
        before = [balance for balance in (balance_of(one, view) for one in ended) if balance is not None]
        for balance in rolled_over(before, allowance, period):
            after[balance.id] = replace(granted(balance, plan, order), used_before_parts=view.used.get(balance.id, 0))
    return tuple(after.get(one.id, one) for one in grants)


def _renewed(plan: Plan, period: Period, fee_nanos: int) -> Saying:
    return Saying(
        "plan.renewed",
        {
            "plan": plan.name,
            "version": plan.version,
            "period": period.name,
            "from_ms": period.start_ms,
            "until_ms": period.end_ms,
            "fee": format_nanos(fee_nanos),
            "currency": plan.currency,
        },
    )
