"""How much of a period's fee is charged when a plan begins within the period, to the currency's minor unit.

    On the 15th of a 30-day month, plan B at 12 a month: the 15 days after the 15th of 30 cost 12 * 15/30 = 6.00.

Of a month's first period, which may be short, the days are still those of the whole month. An anniversary period from
Jan 20 10:30 to Feb 20 10:30 has 31 days, the days after Jan 20 being 30: its last day counts as the 19th.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final, Literal

from rater.geo import minor_unit
from rater.money import NANOS, round_exact
from rater.plans.calendar import Period, local

#: "none": the whole fee. "days-after": the days after the day of change. "days-left": that day too.
Proration = Literal["none", "days-after", "days-left"]

_HUNDREDTHS: Final = 10_000


def minor_step_nanos(currency: str) -> int:
    """The currency's minor unit in nanos: EUR 10,000,000, JPY 1,000,000,000, KWD 1,000,000."""
    return NANOS // int("1" + "0" * minor_unit(currency))


def to_minor_nanos(exact_nanos: Fraction, currency: str) -> int:
    """An exact amount, half-up to the currency's minor unit."""
    return round_exact(exact_nanos, "half-up", minor_step_nanos(currency))


def days_of(period: Period, zone: str) -> int:
    """How many days a whole period has; a month's first period has those of the month."""
    return (local(zone, period.end_ms).date() - local(zone, period.whole_start_ms).date()).days


def days_charged(method: Proration, period: Period, at_ms: int, zone: str) -> int:
    """How many of the period's days are charged from a change at `at_ms` on.

    A change at the very instant at which a whole period starts leaves nothing of it out: all of them.
    """
    assert period.start_ms <= at_ms < period.end_ms, "a change is charged within its own period"
    whole = days_of(period, zone)
    if method == "none" or at_ms == period.whole_start_ms:
        return whole
    left = (local(zone, period.end_ms).date() - local(zone, at_ms).date()).days
    return min(whole, max(0, left if method == "days-left" else left - 1))


def prorated_nanos(fee_nanos: int, method: Proration, period: Period, at_ms: int, zone: str, currency: str) -> int:
    """What a period's fee comes to when the plan begins at `at_ms` within the period."""
    share = Fraction(days_charged(method, period, at_ms, zone), days_of(period, zone))
    return to_minor_nanos(fee_nanos * share, currency)


def percent_hundredths(part: int | Fraction, whole: int | Fraction) -> int:
    """Hundredths of a percent, half-up: 258 of 990 is 2,606, that is 26.06 %. Of nothing, nothing is used."""
    return round_exact(Fraction(part) * _HUNDREDTHS / whole, "half-up") if whole else 0


def format_percent(hundredths: int) -> str:
    """Two places: 2,606 is "26.06"."""
    return f"{'-' if hundredths < 0 else ''}{abs(hundredths) // 100}.{abs(hundredths) % 100:02d}"
