"""Periods of an account: by anniversary or to month ends, in its zone, on Unix milliseconds.

Period k starts k periods after the anchor, always counted from the anchor itself. So a day that a month does not have
is clamped to the month's last and comes back in the next: Jan 31, Feb 28, Mar 31. Counting from the period before
would drift to the 28th for good.

A boundary keeps the anchor's wall-clock time. Where clocks skip that time it is as much later as they were moved (02:30
is 03:30 that day); where it comes twice it is the first.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from rater.rating.timeline import instant_ms

#: "anniversary": from the 20th 10:30 to the 20th 10:30. "month-end": to the end of the month, then whole months.
PeriodBy = Literal["anniversary", "month-end"]

#: A hundred years; what is longer is a typing error.
MONTHS_MAX: Final = 1_200


class Period(msgspec.Struct, frozen=True):
    """[start_ms, end_ms); the first is 0."""

    index: int
    #: The local date on which it starts: "2026-11-15". No two periods of a chain share one.
    name: str
    start_ms: int
    end_ms: int
    #: Where it would start had the account been there: the 1st, for the first to a month end, else `start_ms`.
    whole_start_ms: int


class Periods(msgspec.Struct, frozen=True):
    """The periods of an account from `anchor_ms` on, one after the other without end.

    The same chain describes billing periods (of a month) and validity (of N months, period k being the k-th renewal).
    """

    zone: str
    anchor_ms: int
    months: int = 1
    by: PeriodBy = "anniversary"

    def start_ms(self, index: int) -> int:
        """When period `index` starts; the one before ends there."""
        assert index >= 0, "periods are counted from the anchor on"
        return _start_ms(self, index)

    def period(self, index: int) -> Period:
        """The period with this number."""
        start_ms = self.start_ms(index)
        whole_ms = _first_of_month_ms(self.zone, start_ms) if self.by == "month-end" else start_ms
        return Period(
            index, local(self.zone, start_ms).date().isoformat(), start_ms, self.start_ms(index + 1), whole_ms
        )

    def period_at(self, instant: int) -> Period | None:
        """The period that an instant (Unix ms) lies in; None before the first."""
        if instant < self.anchor_ms:
            return None
        here, anchor = local(self.zone, instant), local(self.zone, self.anchor_ms)
        # Clamping and clocks move a boundary by less than a period, so the guess is right or one off.
        index = max(0, ((here.year - anchor.year) * 12 + here.month - anchor.month) // self.months)
        while index and self.start_ms(index) > instant:
            index -= 1
        while self.start_ms(index + 1) <= instant:
            index += 1
        return self.period(index)

    def next_renewal(self, after_ms: int) -> int:
        """The first boundary later than an instant; a boundary itself is not later. Before the anchor: the anchor."""
        period = self.period_at(after_ms)
        return self.anchor_ms if period is None else period.end_ms


def local(zone: str, instant: int) -> datetime:
    """Wall-clock time of an instant in a zone."""
    return datetime.fromtimestamp(instant // 1000, ZoneInfo(zone))


def add_months(zone: str, instant: int, months: int) -> int:
    """The instant N calendar months later: same wall-clock time, on the last day where the month has no such day."""
    moment = local(zone, instant)
    year, month = _month_after(moment, months)
    day = min(moment.day, monthrange(year, month)[1])
    return instant_ms(moment.replace(year=year, month=month, day=day, fold=0)) + instant % 1000


def month_end_ms(zone: str, instant: int, months: int = 1) -> int:
    """The end of the month that an instant lies in; with `months` N, of the N-th, that one counted."""
    year, month = _month_after(local(zone, instant), months)
    return instant_ms(datetime(year, month, 1, tzinfo=ZoneInfo(zone)))


def day_start_ms(zone: str, instant: int, days: int = 0) -> int:
    """When the local day starts that lies `days` after the one of an instant."""
    day = local(zone, instant).replace(hour=0, minute=0, second=0, fold=0) + timedelta(days=days)
    return instant_ms(day)


@lru_cache(maxsize=16_384)
def _start_ms(periods: Periods, index: int) -> int:
    if index == 0:
        return periods.anchor_ms
    months = index * periods.months
    if periods.by == "month-end":
        return month_end_ms(periods.zone, periods.anchor_ms, months)
    return add_months(periods.zone, periods.anchor_ms, months)


def _first_of_month_ms(zone: str, instant: int) -> int:
    return month_end_ms(zone, instant, 0)


def _month_after(moment: datetime, months: int) -> tuple[int, int]:
    place = moment.year * 12 + moment.month - 1 + months
    return place // 12, place % 12 + 1
