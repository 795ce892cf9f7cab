"""Which tariff version and which billing cycle hold at an instant, and until when.

A cycle is a calendar month in the account's zone, named by its first day ("2026-11-01"). Most usage lies between two
boundaries, and mostly between the same two as the usage before it; so the last stretch is kept, and usage within it
needs no zone arithmetic.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from rater.tariff.model import Tariff

#: 9000-01-01T00:00Z: calendars of the standard library end with the year 9999.
LATEST_MS: Final = 221_845_392_000_000


@lru_cache(maxsize=4096)
def _month(zone: str, year: int, month: int) -> tuple[int, int, str]:
    """(start, end, name) of a calendar month in a zone, in Unix milliseconds."""
    tz = ZoneInfo(zone)
    start = datetime(year, month, 1, tzinfo=tz)
    end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=tz)
    return instant_ms(start), instant_ms(end), f"{year:04d}-{month:02d}-01"


def instant_ms(moment: datetime) -> int:
    """Unix milliseconds of a moment that has a zone; its fraction of a second is left out."""
    offset = moment.utcoffset()
    assert offset is not None
    naive = moment.replace(tzinfo=None) - offset - datetime(1970, 1, 1)
    return (naive.days * 86_400 + naive.seconds) * 1000


def cycle_at(zone: str, at_ms: int) -> tuple[int, int, str]:
    """(start, end, name) of the billing cycle an instant lies in."""
    local = datetime.fromtimestamp(at_ms // 1000, ZoneInfo(zone))
    return _month(zone, local.year, local.month)


class Stretch(msgspec.Struct, frozen=True, gc=False):
    """A stretch of time within one tariff version and one cycle: [low_ms, high_ms)."""

    low_ms: int
    high_ms: int
    #: The cycle's name.
    period: str
    #: Place of the version in the tariff, -1 before the first.
    version: int


class Timeline:
    """A tariff's versions and the cycles of one zone, cut into stretches; the last one asked for is kept."""

    __slots__ = ("_last", "_starts", "_zone")

    def __init__(self, tariff: Tariff, cycle_zone: str) -> None:
        self._zone = cycle_zone
        self._starts = [version.effective_from_ms for version in tariff.versions]
        self._last = Stretch(0, 0, "", -1)

    def at(self, instant_ms: int) -> Stretch:
        """The stretch that an instant lies in."""
        last = self._last
        if last.low_ms <= instant_ms < last.high_ms:
            return last
        low, high, period = cycle_at(self._zone, instant_ms)
        place = bisect_right(self._starts, instant_ms)
        low = max(low, self._starts[place - 1]) if place else low
        high = min(high, self._starts[place]) if place < len(self._starts) else high
        self._last = Stretch(low, high, period, place - 1)
        return self._last


def timeline(tariff: Tariff, cycle_zone: str) -> Timeline:
    """The tariff's timeline for cycles in a zone."""
    found = tariff.timelines.get(cycle_zone)
    if found is None:
        found = tariff.timelines[cycle_zone] = Timeline(tariff, cycle_zone)
    return found
