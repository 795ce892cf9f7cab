"""The steps that time alone makes due: a billing period begins, a fee starts, the validity or a grant ends."""

from __future__ import annotations

from msgspec.structs import replace

from rater.money import format_nanos
from rater.plans.calendar import Periods
from rater.plans.due import goes_on
from rater.plans.life import due as ranks
from rater.plans.life.addons import release_addon, renew_addon
from rater.plans.life.change import migrate, planned_change
from rater.plans.life.due import Due, earliest
from rater.plans.life.join import floor_after
from rater.plans.life.outcome import finished, invoiced, step, unpaid
from rater.plans.life.period import begin_period, fee_of, terms_of
from rater.plans.life.state import Saying, Step, Subscription, View


def next_step(sub: Subscription, at_ms: int, view: View) -> Step | None:
    """The earliest of what is due at or before an instant; None if nothing is. Repeated calls catch up, in order.

    Raises:
        PlanError: something was due by the terms of a plan that is not there any more.
    """
    due = earliest(sub, view)
    is_none = due is None or due.at_ms > at_ms
    if is_none and (sub.due_ms is None or sub.due_ms > at_ms):
        return None
    view.plan(sub.plan, at_ms)  # without its terms, what else is due would be lost with any step
    if due is None or is_none:
        # The catalogue says otherwise than when the last step was made: what is due next is worked out anew.
        return step("terms", at_ms, 0, finished(sub, at_ms, view))
    return _STEPS[due.rank](sub, due, view)


def _renew(sub: Subscription, due: Due, view: View) -> Step:
    """A billing period begins, or cannot be paid. A version with other periods begins its own."""
    at_ms, index = due.at_ms, due.which
    plan = view.plan(sub.plan, at_ms)
    before = view.versions(sub.plan, sub.version)
    sub, closed = invoiced(sub, at_ms)
    if (plan.billing.months, plan.billing.by) != (sub.months, sub.by):
        sub, index = replace(sub, anchor_ms=at_ms, months=plan.billing.months, by=plan.billing.by), 0
    begun = begin_period(sub, index, at_ms, view, plan)
    held, failed = unpaid(replace(sub, next_period=index), at_ms, begun.fee_nanos, plan)
    return step(
        "renew",
        at_ms,
        begun.fee_nanos,
        finished(begun.subscription, at_ms, view, (*closed, *begun.sayings)),
        finished(held, at_ms, view, (*closed, failed)),
        floor_after(before, plan) if before is not None and before.version != plan.version else None,
    )


def _fee(sub: Subscription, due: Due, view: View) -> Step:
    """The fee starts within a period that has begun."""
    at_ms, periods = due.at_ms, sub.periods
    assert periods is not None, "a fee is of a period"
    plan = terms_of(sub, at_ms, view)
    owed = fee_of(sub, periods, sub.next_period - 1, plan)
    fee_nanos = owed.amount_nanos if owed is not None else 0
    data = {"plan": plan.name, "fee": format_nanos(fee_nanos), "currency": plan.currency}
    held, failed = unpaid(sub, at_ms, fee_nanos, plan)
    return step(
        "fee",
        at_ms,
        fee_nanos,
        finished(replace(sub, fee_due_ms=None, paid_nanos=fee_nanos), at_ms, view, (Saying("plan.fee_charged", data),)),
        finished(held, at_ms, view, (failed,)),
    )


def _validity(sub: Subscription, due: Due, view: View) -> Step:
    """The validity goes on for as long again, or the plan expires."""
    at_ms, plan = due.at_ms, view.plan(sub.plan, due.at_ms)
    validity = plan.validity
    if validity is None:
        return step("validity", at_ms, 0, finished(replace(sub, valid_until_ms=None), at_ms, view))
    if not goes_on(validity, view.available_nanos):
        sub, closed = invoiced(sub, at_ms)
        said = Saying("sim.expired", {"plan": sub.plan, "expired_ms": at_ms})
        expired = replace(sub, status="expired", valid_until_ms=None)
        return step("validity", at_ms, 0, finished(expired, at_ms, view, (*closed, said)))
    anchor_ms, index = sub.validity_anchor_ms, sub.validity_index + 1
    if anchor_ms is None or (validity.months, validity.by) != (sub.validity_months, sub.validity_by):
        anchor_ms, index = at_ms, 0
    after = replace(
        sub,
        validity_anchor_ms=anchor_ms,
        validity_index=index,
        validity_months=validity.months,
        validity_by=validity.by,
        valid_until_ms=Periods(sub.zone, anchor_ms, validity.months, validity.by).start_ms(index + 1),
    )
    return step("validity", at_ms, 0, finished(after, at_ms, view))


def _expire(sub: Subscription, due: Due, view: View) -> Step:
    """Grants end: every step ends those that are past, so there is nothing else to do."""
    return step("expire", due.at_ms, 0, finished(sub, due.at_ms, view))


_STEPS = {
    ranks.CHANGE: planned_change,
    ranks.MIGRATE: migrate,
    ranks.VALIDITY: _validity,
    ranks.RENEW: _renew,
    ranks.FEE: _fee,
    ranks.RELEASE: release_addon,
    ranks.ADDON: renew_addon,
    ranks.EXPIRE: _expire,
}
