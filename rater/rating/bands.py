"""Time bands: which one holds at an instant, and until when.

A band is a stretch of wall-clock time. Where the zone's offset is constant the wall clock runs evenly, so a band there
is a plain interval of UTC; a clock change only cuts it. So the hour that comes twice in autumn is in its band twice,
and the hour skipped in spring is in none, with no rule of its own:

    Berlin, 2026-10-25, band 02:00-02:30: [00:00Z, 00:30Z) in summer time and again [01:00Z, 01:30Z) in winter time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from rater.tariff.model import Band

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000
#: Band changes are worked out for windows of this length, and kept.
WINDOW_MS: Final = 28 * DAY_MS
WINDOWS_MAX: Final = 64

_EPOCH: Final = date(1970, 1, 1)


def offset_ms(zone: ZoneInfo, at_ms: int) -> int:
    """The zone's distance from UTC at an instant."""
    distance = datetime.fromtimestamp(at_ms // 1000, zone).utcoffset()
    assert distance is not None
    return distance // timedelta(milliseconds=1)


def steady_stretches(zone: ZoneInfo, low_ms: int, high_ms: int) -> Iterator[tuple[int, int, int]]:
    """(start, end, offset) of the stretches of [low, high) in which the zone's offset is constant."""
    start, offset = low_ms, offset_ms(zone, low_ms)
    for day in range(low_ms, high_ms, DAY_MS):
        before, after = day, min(day + DAY_MS, high_ms)
        if offset_ms(zone, after) == offset:
            continue
        while after - before > 1000:  # changes happen at whole seconds
            middle = (before + after) // 2000 * 1000
            if offset_ms(zone, middle) == offset:
                before = middle
            else:
                after = middle
        yield start, after, offset
        start, offset = after, offset_ms(zone, after)
    if start < high_ms:
        yield start, high_ms, offset


def _starts_on(band: Band, day: date) -> bool:
    if band.is_dated:
        return day in band.dates or (day.month, day.day) in band.yearly
    return day.weekday() in band.weekdays


def _intervals(band: Band, start_ms: int, end_ms: int, offset: int) -> Iterator[tuple[int, int]]:
    """The band's intervals within a stretch of constant offset, in UTC."""
    length = (band.to_minute - band.from_minute) % (24 * 60) or 24 * 60
    for number in range((start_ms + offset) // DAY_MS - 1, (end_ms + offset) // DAY_MS + 1):
        if _starts_on(band, _EPOCH + timedelta(days=number)):
            low = number * DAY_MS + band.from_minute * MINUTE_MS - offset
            low, high = max(low, start_ms), min(low + length * MINUTE_MS, end_ms)
            if low < high:
                yield low, high


class BandClock:
    """Tells which of some bands holds, by their place in the order of precedence."""

    __slots__ = ("_bands", "_order", "_windows", "_zone")

    def __init__(self, bands: tuple[Band, ...], zone: str) -> None:
        self._bands = bands
        # Bands with dates (holidays) go before bands with weekdays.
        self._order = sorted(range(len(bands)), key=lambda place: not bands[place].is_dated)
        self._zone = ZoneInfo(zone)
        self._windows: dict[int, tuple[list[int], list[int | None]]] = {}

    def at(self, instant_ms: int) -> tuple[int | None, int, int]:
        """The band that holds at an instant (None: none does), and since and until when it holds at least."""
        window = instant_ms // WINDOW_MS
        if window not in self._windows:
            if len(self._windows) >= WINDOWS_MAX:
                self._windows.clear()
            self._windows[window] = self._changes(window * WINDOW_MS, (window + 1) * WINDOW_MS)
        starts, bands = self._windows[window]
        place = bisect_right(starts, instant_ms) - 1
        return bands[place], starts[place], starts[place + 1]

    def _changes(self, low_ms: int, high_ms: int) -> tuple[list[int], list[int | None]]:
        """The instants of a window at which the band changes, and the band from each on; the end of it is the last."""
        covered: list[tuple[int, int, int]] = []
        for start, end, offset in steady_stretches(self._zone, low_ms, high_ms):
            for rank, place in enumerate(self._order):
                covered += [(low, high, rank) for low, high in _intervals(self._bands[place], start, end, offset)]
        edges = sorted({low_ms, high_ms, *(low for low, _, _ in covered), *(high for _, high, _ in covered)})
        ranks: list[int | None] = [None] * len(edges)
        for low, high, rank in sorted(covered, key=lambda interval: -interval[2]):
            for edge in range(bisect_right(edges, low) - 1, bisect_right(edges, high) - 1):
                ranks[edge] = rank
        starts, bands = [low_ms], [None if ranks[0] is None else self._order[ranks[0]]]
        for instant, first in zip(edges[1:-1], ranks[1:-1], strict=True):
            band = None if first is None else self._order[first]
            if band != bands[-1]:
                starts.append(instant)
                bands.append(band)
        return [*starts, high_ms], bands


def utc_text(instant_ms: int) -> str:
    """An instant as a person reads it: "2026-10-01T00:00:00Z"."""
    return datetime.fromtimestamp(instant_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
