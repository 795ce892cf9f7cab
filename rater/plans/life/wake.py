"""The wallet was refilled: what was held for want of money tries again."""

from __future__ import annotations

from msgspec.structs import replace

from rater.plans.life.addons import paid_step
from rater.plans.life.join import renewed_validity, settled
from rater.plans.life.outcome import finished, step
from rater.plans.life.period import Begun, begin_period, fee_of, terms_of
from rater.plans.life.state import Step, Subscription, View
from rater.plans.life.usage import first_usage


def wake(sub: Subscription, at_ms: int, view: View) -> Step | None:
    """The first thing that what is available now pays for, after all that was due; None if there is none.

    To be called again after each step, with what is available then. The plan comes first, then add-ons on hold in the
    order in which they were bought.

    The billing period that holds the instant begins, at its whole fee; whole periods that were missed are not charged
    afterwards. A period that was paid before the plan expired is not paid again. Validity begins anew at the refill.
    A plan that is never renewed stays expired.
    """
    if sub.status in ("unpaid", "expired"):
        woken = revived(sub, at_ms, view)
        is_empty = sub.status == "expired" and view.available_nanos <= 0
        if woken is None or is_empty or needs_nanos(woken, view) > max(0, view.available_nanos):
            return None
        return _or_waits(woken, sub, view)
    if sub.status == "active":
        for bought in sub.bought:
            paid = paid_step(sub, bought, at_ms, view) if bought.on_hold_since_ms and bought.auto_pay else None
            if paid is not None and paid.fee_nanos <= max(0, view.available_nanos):
                return _or_waits(paid, sub, view)
    return None


def _or_waits(woken: Step, sub: Subscription, view: View) -> Step:
    """It goes on waiting if others have spent meanwhile what was available: a step too, so that the next may pay."""
    return replace(woken, unpaid=finished(sub, woken.at_ms, view) if woken.fee_nanos > 0 else None)


def revived(sub: Subscription, at_ms: int, view: View) -> Step | None:
    """The step of a subscriber that is unpaid or expired, whatever is available; None if no refill helps."""
    plan = view.plan(sub.plan, at_ms)
    alive = replace(sub, status="active")
    if sub.status == "expired":
        if plan.validity is not None and plan.validity.renews == "never":
            return None
        alive = renewed_validity(alive, plan, at_ms)
    begun = _begun(alive, at_ms, view)
    after, fee_nanos = settled(begun, plan)
    return step("wake", at_ms, fee_nanos, finished(after, at_ms, view, begun.sayings))


def needs_nanos(woken: Step, view: View) -> int:
    """What must be available: the fee, and that of the first usage, for want of which it may have been held."""
    after = woken.paid.subscription
    first_nanos = first_usage(after, woken.at_ms, view).fee_nanos if after.first_usage_ms is None else 0
    return woken.fee_nanos + first_nanos


def _begun(sub: Subscription, at_ms: int, view: View) -> Begun:
    periods = sub.periods
    period = periods.period_at(at_ms) if periods is not None else None
    if periods is None or period is None:
        return Begun(sub, 0)
    if period.index >= sub.next_period:
        plan = view.plans(sub.plan, period.start_ms) or view.plan(sub.plan, at_ms)
        return begin_period(sub, period.index, at_ms, view, plan)
    if sub.fee_due_ms is None or sub.fee_due_ms > at_ms:
        return Begun(sub, 0)
    owed = fee_of(sub, periods, period.index, terms_of(sub, at_ms, view))
    fee_nanos = owed.amount_nanos if owed is not None else 0
    return Begun(replace(sub, fee_due_ms=None, paid_nanos=fee_nanos), fee_nanos)
