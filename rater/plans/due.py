"""What runs for an account on a plan: its billing periods and their fees, how long the plan holds, what of it is used.

Fee 12 a month to month ends from the first usage, proration none: used first on Nov 15, 12.00 then and on Dec 1.
The same from December 10 on and with "days-left": nothing in November, 12 * 22/31 = 8.52 on Dec 10.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import msgspec

from rater.plans.allowances import Balance
from rater.plans.calendar import Periods
from rater.plans.credits import credits_of
from rater.plans.model import Plan, Unit
from rater.plans.proration import percent_hundredths, prorated_nanos
from rater.plans.terms import Validity


class Due(msgspec.Struct, frozen=True):
    """A fee, and the instant of usage or renewal that it goes before."""

    at_ms: int
    amount_nanos: int


class Remaining(msgspec.Struct, frozen=True):
    """What an account has of a unit at an instant: bytes, milliseconds, messages or credits, exact."""

    total: Fraction
    left: Fraction
    #: Hundredths of a percent, half-up.
    used_hundredths: int


def billing_periods(plan: Plan, zone: str, assigned_ms: int, first_usage_ms: int | None) -> Periods | None:
    """The account's billing periods; None while they have not begun."""
    anchor_ms = plan.billing.starts.of(assigned_ms, first_usage_ms)
    return None if anchor_ms is None else Periods(zone, anchor_ms, plan.billing.months, plan.billing.by)


def validity_periods(plan: Plan, zone: str, assigned_ms: int, first_usage_ms: int | None) -> Periods | None:
    """How long the plan holds, renewal by renewal; None where it holds without an end, or has not begun."""
    validity = plan.validity
    anchor_ms = validity.starts.of(assigned_ms, first_usage_ms) if validity else None
    return None if validity is None or anchor_ms is None else Periods(zone, anchor_ms, validity.months, validity.by)


def goes_on(validity: Validity, available_nanos: int) -> bool:
    """Whether a plan is renewed at the end of its validity, with this much available then."""
    return validity.renews == "always" or (validity.renews == "while-positive" and available_nanos > 0)


def period_fee(
    plan: Plan,
    periods: Periods,
    index: int,
    assigned_ms: int,
    first_usage_ms: int | None,
    volume: int | None = None,
    *,
    by_change: bool = False,
) -> Due | None:
    """The fee of a billing period; None where none is due in it.

    The fee may start later than the periods: within one it is shared as the plan prorates a first period, or, with
    the assignment of an account that came `by_change` from another plan, as it prorates a change.
    """
    starts = (plan.recurring.starts if plan.recurring else None) or plan.billing.starts
    since_ms, period, fee_nanos = starts.of(assigned_ms, first_usage_ms), periods.period(index), plan.fee_nanos(volume)
    if not fee_nanos or since_ms is None or since_ms >= period.end_ms:
        return None
    at_ms = max(since_ms, period.start_ms)
    method = plan.proration.change if by_change and since_ms == assigned_ms else plan.proration.first
    share_nanos = prorated_nanos(fee_nanos, method, period, at_ms, periods.zone, plan.currency)
    return Due(at_ms, share_nanos)


def remaining(balances: Iterable[Balance], unit: Unit, at_ms: int) -> Remaining:
    """What was granted of a unit and can be used at an instant, what is left of it, and how much is used."""
    usable = [b for b in balances if b.allowance.unit == unit and b.from_ms <= at_ms < b.until_ms]
    total = sum((credits_of(balance.allowance, balance.granted_parts) for balance in usable), Fraction(0))
    left = sum((credits_of(balance.allowance, balance.left_parts) for balance in usable), Fraction(0))
    return Remaining(total, left, percent_hundredths(total - left, total))
