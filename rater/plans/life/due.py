"""What is due by time alone, and in which order where several things are at one instant.

    change     a planned change; the plan that is left charges nothing any more
    migrate    the plan switches all that are left
    validity   it ends or goes on, by what is available before the fee of the same instant
    renew      the next billing period begins
    fee        the fee starts within a period
    addon-release, addon-renew   after the plan, which so has the first of the money; by order of purchase
    expire     a grant ends that nothing above ended or rolled over

Unpaid, no billing period begins and no fee falls due until the wallet is refilled; all else goes on. Expired, there is
no validity either.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rater.plans.allowances import NEVER_MS
from rater.plans.calendar import Periods
from rater.plans.life.state import DAY_MS, Bought, Subscription, View
from rater.plans.model import AddOn, Plan

CHANGE, MIGRATE, VALIDITY, RENEW, FEE, RELEASE, ADDON, EXPIRE = range(8)


class Due(NamedTuple):
    """Something due: compared, the first is the one to do first."""

    at_ms: int
    rank: int
    #: RENEW: the billing period. RELEASE, ADDON: the place of the add-on.
    which: int = 0


def earliest(sub: Subscription, view: View) -> Due | None:
    """What is due first by time alone; None if nothing ever is."""
    return min(_dues(sub, view), default=None) if sub.status != "cancelled" else None


def _dues(sub: Subscription, view: View) -> Iterator[Due]:
    if sub.planned is not None:
        yield Due(sub.planned.when_ms, CHANGE)
    migrates_ms = migration_ms(sub, view)
    if migrates_ms is not None:
        yield Due(migrates_ms, MIGRATE)
    if sub.valid_until_ms is not None and sub.status != "expired":
        yield Due(sub.valid_until_ms, VALIDITY)
    if sub.status == "active":
        yield from _billing(sub, view)
    yield from _addons(sub, view)
    ends_ms = min((grant.until_ms for grant in sub.grants if not grant.ended), default=NEVER_MS)
    if ends_ms < NEVER_MS:
        yield Due(ends_ms, EXPIRE)


def earliest_billing(sub: Subscription, view: View) -> Due | None:
    """When the plan next charges: RENEW or FEE; None if it does not by time alone."""
    return min(_billing(sub, view), default=None) if sub.status == "active" else None


def _billing(sub: Subscription, view: View) -> Iterator[Due]:
    if sub.periods is not None:
        yield from _renewal(sub, sub.periods, view)
    if sub.fee_due_ms is not None:
        yield Due(sub.fee_due_ms, FEE)


def _addons(sub: Subscription, view: View) -> Iterator[Due]:
    for place, bought in enumerate(sub.bought):
        if bought.on_hold_since_ms:
            yield from _release(bought, place, view)
        elif bought.next_ms:
            yield Due(bought.next_ms, ADDON, place)


def _renewal(sub: Subscription, periods: Periods, view: View) -> Iterator[Due]:
    """A plan whose periods neither cost nor grant anything is not renewed; but later terms are taken over."""
    starts_ms = periods.start_ms(sub.next_period)
    plan = view.plans(sub.plan, starts_ms)
    if plan is None:
        return
    if runs(plan) or plan.version != sub.version:
        yield Due(starts_ms, RENEW, sub.next_period)
        return
    later_ms = view.until(sub.plan, starts_ms)
    if later_ms is not None:
        period = periods.period_at(later_ms)
        assert period is not None, "a later version is in force after a period that is to begin"
        index = period.index if period.start_ms == later_ms else period.index + 1
        yield Due(periods.start_ms(index), RENEW, index)


def runs(plan: Plan) -> bool:
    """Whether anything happens when a billing period begins."""
    has_fee = plan.recurring is not None or plan.scale is not None
    return has_fee or bool(plan.allowances) or plan.settlement == "invoice"


def _release(bought: Bought, place: int, view: View) -> Iterator[Due]:
    addon = addon_of(bought, view)
    if addon is not None and addon.hold_days is not None:
        yield Due(bought.on_hold_since_ms + addon.hold_days * DAY_MS, RELEASE, place)


def addon_of(bought: Bought, view: View) -> AddOn | None:
    """The terms of an add-on that was bought; None if the catalogue does not have that version any more."""
    plan = view.versions(bought.plan, bought.version)
    return addon_named(plan, bought.name) if plan is not None else None


def addon_named(plan: Plan, name: str) -> AddOn | None:
    """An add-on of a plan."""
    return next((addon for addon in plan.addons if addon.name == name), None)


def migration_ms(sub: Subscription, view: View) -> int | None:
    """When the plan switches the subscriber by itself; not before what was stepped through already."""
    at_ms: int | None = max(sub.assigned_ms, sub.stepped_ms)
    while at_ms is not None:
        plan, until_ms = view.plans(sub.plan, at_ms), view.until(sub.plan, at_ms)
        leaving = plan.leaving if plan is not None else None
        if leaving is not None and leaving.migrate_to and leaving.migrate_from_ms:
            when_ms = max(at_ms, leaving.migrate_from_ms)
            new = view.plans(leaving.migrate_to, when_ms)
            if new is not None and new.takes(None) and (until_ms is None or when_ms < until_ms):
                return when_ms
        at_ms = until_ms
    return None
