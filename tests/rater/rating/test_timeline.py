"""Cycles are calendar months in the account's zone; versions hold from their first instant on."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rater.rating.timeline import Timeline, cycle_at
from rater.tariff.model import Rate, Tier
from tests.rater.rating.building import unix_ms
from tests.rater.rating.strategies import tariff_of

#: Beirut's and Havana's clocks change at midnight, so a day may begin at one o'clock.
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Beirut", "America/Havana", "Pacific/Apia", "UTC")
RATE = Rate("r", "data", "MB", 10**6, (Tier(None, Fraction(1)),))


@given(st.sampled_from(ZONES), st.integers(unix_ms("2009-01-01T00:00:00Z"), unix_ms("2030-01-01T00:00:00Z")))
def test_a_cycle_is_the_month_on_the_wall_in_the_zone(zone: str, at_ms: int) -> None:
    start_ms, end_ms, name = cycle_at(zone, at_ms)

    def month(instant: int) -> str:
        return datetime.fromtimestamp(instant // 1000, ZoneInfo(zone)).strftime("%Y-%m-01")

    assert start_ms <= at_ms < end_ms
    assert month(start_ms) == month(end_ms - 1) == name
    assert month(start_ms - 1) != name != month(end_ms)


@pytest.mark.parametrize(
    ("zone", "instant", "name"),
    [
        ("Europe/Berlin", "2026-10-31T22:59:59Z", "2026-10-01"),
        ("Europe/Berlin", "2026-10-31T23:00:00Z", "2026-11-01"),
        ("America/New_York", "2026-11-01T03:59:59Z", "2026-10-01"),
        ("America/New_York", "2026-11-01T04:00:00Z", "2026-11-01"),
        ("UTC", "2026-12-31T23:59:59Z", "2026-12-01"),
    ],
)
def test_a_month_ends_at_local_midnight(zone: str, instant: str, name: str) -> None:
    assert cycle_at(zone, unix_ms(instant))[2] == name


def test_a_version_holds_from_its_first_instant_on() -> None:
    timeline = Timeline(tariff_of(("2026-10-01T00:00:00Z", RATE), ("2026-10-16T00:00:00Z", RATE)), "UTC")
    found = []
    for text in ("2026-09-30T23:59:59Z", "2026-10-01T00:00:00Z", "2026-10-15T23:59:59Z", "2026-10-16T00:00:00Z"):
        stretch = timeline.at(unix_ms(text))
        found.append((stretch.version, stretch.period))

    assert found == [(-1, "2026-09-01"), (0, "2026-10-01"), (0, "2026-10-01"), (1, "2026-10-01")]


def test_a_stretch_ends_where_the_next_version_or_cycle_begins() -> None:
    timeline = Timeline(tariff_of(("2026-10-01T00:00:00Z", RATE), ("2026-10-16T00:00:00Z", RATE)), "UTC")
    stretch = timeline.at(unix_ms("2026-10-20T00:00:00Z"))

    assert (stretch.low_ms, stretch.high_ms) == (unix_ms("2026-10-16T00:00:00Z"), unix_ms("2026-11-01T00:00:00Z"))
