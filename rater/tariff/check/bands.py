"""Checks of time bands: their days, dates and times, and which of them share an hour."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from rater.tariff.check.document import Map, Scalar, Value
from rater.tariff.check.mistakes import Report, nearest
from rater.tariff.check.values import fields, text, texts

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTES_DAY = 24 * 60
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")
#: A leap year, so that 02-29 is a date.
_ANY_YEAR = 2024


@dataclass(slots=True, frozen=True)
class Span:
    """A band as far as it could be read: minutes from the start of each of its days; past 1440 is the next day."""

    at: Scalar
    start: int
    end: int
    weekdays: frozenset[int]
    is_dated: bool

    def shares_time_with(self, other: Span) -> bool:
        """Whether some minute of the week is in both; dated bands go before weekdays and share nothing with them."""
        return not self.is_dated and not other.is_dated and bool(self._minutes() & other._minutes())

    def _minutes(self) -> set[int]:
        week = 7 * _MINUTES_DAY
        return {(day * _MINUTES_DAY + m) % week for day in self.weekdays for m in range(self.start, self.end)}


def check_bands(report: Report, value: Value | None) -> dict[str, Span | None]:
    """Every band's span by name; None for one that has a mistake."""
    if value is None:
        return {}
    if not isinstance(value, Map):
        report.add(value, 'bands are named; write "peak: {days: mon-fri, from: "08:00", to: "20:00"}"')
        return {}
    return {name: _band(report, value.keys[name], body) for name, body in value.entries.items()}


def check_overlaps(report: Report, used: Iterable[tuple[str, ...]], spans: dict[str, Span | None]) -> None:
    """Bands that price the same rate and share an hour: the first declared would win, unseen."""
    order = list(spans)
    for names in used:
        known = sorted((name for name in names if name in spans), key=order.index)
        for index, name in enumerate(known):
            for later in known[index + 1 :]:
                one, two = spans[name], spans[later]
                if one and two and one.shares_time_with(two):
                    message = f'band "{later}" overlaps "{name}" (line {one.at.line}); write times apart'
                    report.add(two.at, message, tolerable=True)


def _band(report: Report, key: Scalar, body: Value) -> Span | None:
    what = f'band "{key.text}"'
    if not isinstance(body, Map):
        report.add(key, f'{what} is no mapping; write {{days: mon-fri, from: "08:00", to: "20:00"}}')
        return None
    fields(report, body, ("days", "dates", "from", "to"), (), what)
    start = _time(report, body.get("from"), "from", 0)
    end = _time(report, body.get("to"), "to", _MINUTES_DAY)
    dates = [_date(report, word) for word in texts(report, body.get("dates"), "dates")]
    days = _days(report, body.get("days"))
    if dates and days is not None and body.get("days") is not None:
        report.add(body.keys["days"], f"{what} has days and dates; write two bands")
    if start is None or end is None or days is None or None in dates:
        return None
    return Span(key, start, end if end > start else end + _MINUTES_DAY, days, bool(dates))


def _time(report: Report, value: Value | None, name: str, default: int) -> int | None:
    if value is None:
        return default
    word = text(report, value, name)
    if word is None:
        return None
    match = _TIME.fullmatch(word.text)
    if match is None:
        digits = re.fullmatch(r"(\d{1,2})(?::(\d{1,2}))?", word.text)
        hour, minute = (int(digits[1]), int(digits[2] or 0)) if digits else (99, 0)
        instead = f"{hour:02d}:{minute:02d}" if hour < 24 and minute < 60 else "08:00"
        report.add(word, f'{name} "{word.text}" is no time of day; write "{instead}"')
        return None
    return int(match[1]) * 60 + int(match[2]) if match[1] else _MINUTES_DAY


def _days(report: Report, value: Value | None) -> frozenset[int] | None:
    if value is None:
        return frozenset(range(7))
    found: set[int] = set()
    complete = True
    for word in texts(report, value, "days"):
        ends = word.text.split("-")
        unknown = [end for end in ends if end not in WEEKDAYS]
        if unknown or len(ends) > 2:
            bad = unknown[0] if unknown else word.text
            report.add(word, f'days: unknown day "{bad}"; {nearest(bad[:3], WEEKDAYS)}')
            complete = False
            continue
        first, last = WEEKDAYS.index(ends[0]), WEEKDAYS.index(ends[-1])
        found |= {(first + step) % 7 for step in range((last - first) % 7 + 1)}
    return frozenset(found) if complete else None


def _date(report: Report, word: Scalar) -> str | None:
    yearly = re.fullmatch(r"\d\d-\d\d", word.text)
    try:
        date.fromisoformat(f"{_ANY_YEAR}-{word.text}" if yearly else word.text)
    except ValueError:
        report.add(word, f'dates: "{word.text}" is no date; write "12-25" for every year or "2026-12-25"')
        return None
    return word.text
