"""The first usage under a plan, with what begins with it."""

from __future__ import annotations

from msgspec.structs import replace

from rater.plans.due import validity_periods
from rater.plans.life.join import settled
from rater.plans.life.outcome import finished, step, unpaid
from rater.plans.life.period import Begun, begin_period, fee_of, terms_of
from rater.plans.life.state import Saying, Step, Subscription, View
from rater.plans.model import Plan


def first_usage(sub: Subscription, at_ms: int, view: View) -> Step:
    """Usage at an instant has come that is the first under the plan; all that was due by then has been done.

    Where it came late, from before the present billing period, it counts from the start of that one: no period that
    was free is charged afterwards. What cannot be paid is refused, and so was no usage: the subscriber is held, and
    the first usage is one after the refill.
    """
    assert sub.first_usage_ms is None, "there is one first usage"
    since_ms = max(at_ms, sub.assigned_ms)
    if sub.periods is not None and sub.next_period:
        since_ms = max(since_ms, sub.periods.start_ms(sub.next_period - 1))
    plan = view.plan(sub.plan, since_ms)
    used = _valid(replace(sub, first_usage_ms=since_ms, was_used=True), plan)
    begun = _begun(used, plan, since_ms, view)
    after, fee_nanos = settled(begun, plan)
    said = () if sub.was_used else (Saying("sim.first_usage", {"plan": sub.plan, "used_ms": since_ms}),)
    held, failed = unpaid(sub, since_ms, fee_nanos, plan)
    return step(
        "first-usage",
        since_ms,
        fee_nanos,
        finished(after, since_ms, view, (*said, *begun.sayings)),
        finished(held, since_ms, view, (failed,)),
    )


def _begun(sub: Subscription, plan: Plan, at_ms: int, view: View) -> Begun:
    """Its billing periods, or the fee within one that has begun."""
    if sub.anchor_ms is None:
        billing = plan.billing
        return begin_period(replace(sub, anchor_ms=at_ms, months=billing.months, by=billing.by), 0, at_ms, view, plan)
    periods, recurring = sub.periods, terms_of(sub, at_ms, view).recurring
    waits = recurring is not None and recurring.starts is not None and recurring.starts.at == "first-usage"
    if not waits or periods is None or not sub.next_period:
        return Begun(sub, 0)
    due = fee_of(sub, periods, sub.next_period - 1, terms_of(sub, at_ms, view))
    if due is None or due.at_ms > at_ms:
        return Begun(sub, 0)
    return Begun(replace(sub, paid_nanos=due.amount_nanos), due.amount_nanos)


def _valid(sub: Subscription, plan: Plan) -> Subscription:
    validity = plan.validity
    if validity is None or validity.starts.at != "first-usage" or sub.validity_anchor_ms is not None:
        return sub
    periods = validity_periods(plan, sub.zone, sub.assigned_ms, sub.first_usage_ms)
    assert periods is not None, "it has been used"
    return replace(
        sub,
        validity_anchor_ms=periods.anchor_ms,
        valid_until_ms=periods.start_ms(1),
        validity_months=validity.months,
        validity_by=validity.by,
    )
