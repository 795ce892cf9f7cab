"""A plan is joined: by an assignment, or by a change from another. What begins at once, and what it costs.

The activation fee is charged with the plan, or with the first usage where the billing periods begin with that: "billing
counts from first usage" means all of it.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from rater.errors import PlanError
from rater.plans.calendar import Periods
from rater.plans.due import billing_periods, validity_periods
from rater.plans.life.addons import without_numbers
from rater.plans.life.outcome import finished, invoiced, step, unpaid
from rater.plans.life.period import Begun, begin_period
from rater.plans.life.state import Grant, Saying, Step, Subscription, View
from rater.plans.model import Plan

#: How far a wallet goes that is settled by invoice without a limit: as far as the ledger holds, with room to spare.
UNLIMITED_NANOS: Final = -9_000_000_000 * 10**9


def begin(
    before: Subscription | None, plan: str, assigned_ms: int, zone: str, volume: int | None, view: View, *,
    came_back: bool = False,
) -> Step:  # fmt: skip
    """A plan is assigned. What the subscriber had in this wallet before ends: its grants as `leaving.unused` says.

    Who `came_back` had another wallet between, and so has none of its phone numbers any more.

    What cannot be paid is assigned all the same, and held until the wallet is refilled. Nothing is refunded: who
    changes a plan by its terms uses `change`.

    Raises:
        PlanError: no such plan at that time, or no such volume.
    """
    terms = view.plan(plan, assigned_ms)
    if not terms.takes(volume):
        raise PlanError("volume", f"plan {plan} has no volume {volume}; choose one of its scale")
    data = {"plan": plan, "version": terms.version, "volume": volume, "assigned_ms": assigned_ms}
    sayings: tuple[Saying, ...] = (Saying("sim.plan_assigned", data),)
    sub, old = Subscription(plan, assigned_ms, zone), None
    if before is not None:
        old = view.plans(before.plan, assigned_ms)
        before, closed = invoiced(before, assigned_ms)
        before, gone = without_numbers(before) if came_back else (before, ())
        sayings = (*closed, *gone, *sayings)
        is_forfeited = old is not None and old.leaving.unused == "forfeited"
        grants = cut(before, assigned_ms) if is_forfeited else stopped(before)
        sub = replace(left(before, terms, assigned_ms), zone=zone, grants=grants)
    sub = replace(sub, volume=volume, credit_nanos=0, by_change=False, activation_due=terms.activation_nanos > 0)
    sub = renewed_validity(sub, terms, assigned_ms)
    periods = billing_periods(terms, zone, assigned_ms, None)
    return joined("begin", sub, terms, assigned_ms, periods, view, sayings, floor_after(old, terms))


def joined(
    name: str,
    sub: Subscription,
    plan: Plan,
    at_ms: int,
    periods: Periods | None,
    view: View,
    sayings: tuple[Saying, ...],
    floor_nanos: int | None,
    *,
    all_or_nothing: bool = False,
    asleep: bool = False,
) -> Step:
    """The step that a subscription's time on a plan begins with, `sub` being of that plan already.

    What is due at once is one fee: the period's, the activation's, less what is to be given back. Who is `asleep`, the
    plan before having expired, stays so: nothing begins until the wallet is refilled.
    """
    sub = replace(
        sub,
        status="active",
        version=plan.version,
        anchor_ms=periods.anchor_ms if periods is not None else None,
        months=plan.billing.months,
        by=plan.billing.by,
        next_period=0,
        fee_due_ms=None,
        paid_nanos=0,
        invoice_from_ms=_invoice_from_ms(sub, plan, at_ms),
    )
    period = periods.period_at(at_ms) if periods is not None else None
    index = period.index if period is not None else 0
    if asleep:
        slept = replace(sub, status="expired", next_period=index, valid_until_ms=None)
        return step(name, at_ms, 0, finished(slept, at_ms, view, sayings), None, floor_nanos)
    begun = begin_period(sub, index, at_ms, view, plan) if period is not None else Begun(sub, 0)
    after, fee_nanos = settled(begun, plan)
    paid = finished(after, at_ms, view, (*sayings, *begun.sayings))
    failed = None
    if not all_or_nothing:
        held, said = unpaid(sub, at_ms, fee_nanos, plan)
        failed = finished(replace(held, next_period=index), at_ms, view, (*sayings, said))
    return step(name, at_ms, fee_nanos, paid, failed, floor_nanos)


def settled(begun: Begun, plan: Plan) -> tuple[Subscription, int]:
    """A subscription that pays what has begun: with the activation, where its periods run, less what it is owed."""
    sub, fee_nanos = begun.subscription, begun.fee_nanos - begun.subscription.credit_nanos
    if sub.activation_due and sub.anchor_ms is not None:
        return replace(sub, activation_due=False, credit_nanos=0), fee_nanos + plan.activation_nanos
    return replace(sub, credit_nanos=0), fee_nanos


def left(sub: Subscription, plan: Plan, at_ms: int) -> Subscription:
    """A subscription to another plan from an instant on; the one before is past.

    A plan with which nothing begins by first usage does not wait for another one.
    """
    kept = [(from_ms, min(until_ms, at_ms), name) for from_ms, until_ms, name in sub.past if from_ms < at_ms]
    if sub.assigned_ms < at_ms:
        kept.append((sub.assigned_ms, at_ms, sub.plan))
    used_ms = at_ms if sub.was_used and not waits_for_usage(plan) else None
    return replace(
        sub,
        plan=plan.name,
        assigned_ms=at_ms,
        past=tuple(kept),
        planned=None,
        first_usage_ms=used_ms,
    )


def waits_for_usage(plan: Plan) -> bool:
    """Whether anything of a plan begins with the first usage."""
    starts = [
        plan.billing.starts,
        plan.recurring.starts if plan.recurring is not None else None,
        plan.validity.starts if plan.validity is not None else None,
    ]
    return any(start is not None and start.at == "first-usage" for start in starts)


def _invoice_from_ms(sub: Subscription, plan: Plan, at_ms: int) -> int | None:
    """From when on the next invoice is: invoices follow each other without a gap."""
    if plan.settlement != "invoice":
        return None
    return at_ms if sub.invoice_from_ms is None else sub.invoice_from_ms


def cut(sub: Subscription, at_ms: int) -> tuple[Grant, ...]:
    """All grants, the plan's own ended at an instant: they are for usage before it only."""
    return tuple(grant if grant.order else ended_at(grant, at_ms) for grant in sub.grants)


def ended_at(grant: Grant, at_ms: int) -> Grant:
    """A grant that is forfeited."""
    return replace(grant, until_ms=min(grant.until_ms, at_ms), rolls_left=0)


def stopped(sub: Subscription) -> tuple[Grant, ...]:
    """All grants, the plan's own kept to their end: they do not roll over into another plan."""
    return tuple(grant if grant.order else replace(grant, rolls_left=0) for grant in sub.grants)


def renewed_validity(sub: Subscription, plan: Plan, at_ms: int) -> Subscription:
    """A subscription whose validity begins at an instant; one that waits for the first usage has none yet."""
    periods = validity_periods(plan, sub.zone, at_ms, None if sub.first_usage_ms is None else at_ms)
    return replace(
        sub,
        valid_until_ms=periods.start_ms(1) if periods is not None else None,
        validity_anchor_ms=periods.anchor_ms if periods is not None else None,
        validity_index=0,
        validity_months=plan.validity.months if plan.validity is not None else 1,
        validity_by=plan.validity.by if plan.validity is not None else "anniversary",
    )


def floor_after(old: Plan | None, new: Plan) -> int | None:
    """Where the wallet's floor goes with a plan; None: it stays where it is."""
    before, after = (floor_of(old) if old is not None else None), floor_of(new)
    if after == before:
        return None
    return 0 if after is None else after


def floor_of(plan: Plan) -> int | None:
    """The floor that a plan asks for; None if it asks for none."""
    if plan.settlement == "invoice":
        return UNLIMITED_NANOS if plan.invoice_limit_nanos is None else -plan.invoice_limit_nanos
    return plan.floor_nanos
