"""Bands follow the wall clock of the tariff's zone, through both clock changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.rating.bands import BandClock, steady_stretches
from rater.tariff.model import Band
from tests.rater.rating.building import unix_ms

#: Zones whose clocks change by an hour, by half an hour, at midnight, and never.
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo", "Asia/Kolkata")
EVERY_DAY = frozenset(range(7))
minutes = st.integers(0, 24 * 60 - 1)


@st.composite
def bands(draw: st.DrawFn) -> Band:
    return Band("b", draw(minutes), draw(minutes), draw(st.frozensets(st.integers(0, 6), min_size=1)))


def _wall_clock_says(band: Band, zone: str, at_ms: int) -> bool:
    """Whether the wall clock at an instant is within a band, read off a clock and nothing else."""
    local = datetime.fromtimestamp(at_ms // 1000, ZoneInfo(zone))
    minute = local.hour * 60 + local.minute
    today, yesterday = local.date(), local.date() - timedelta(days=1)
    if band.from_minute < band.to_minute:
        return today.weekday() in band.weekdays and band.from_minute <= minute < band.to_minute
    evening = today.weekday() in band.weekdays and minute >= band.from_minute
    return evening or (yesterday.weekday() in band.weekdays and minute < band.to_minute)


@settings(max_examples=300)
@given(bands(), st.sampled_from(ZONES), st.integers(unix_ms("2026-01-01T00:00:00Z"), unix_ms("2027-01-01T00:00:00Z")))
def test_a_band_holds_when_the_wall_clock_says_so(band: Band, zone: str, at_ms: int) -> None:
    found, since_ms, until_ms = BandClock((band,), zone).at(at_ms)

    assert since_ms <= at_ms < until_ms
    for instant in (since_ms, at_ms, (at_ms + until_ms) // 2, until_ms - 1):
        assert (found == 0) == _wall_clock_says(band, zone, instant)


@settings(max_examples=30)
@given(bands(), st.sampled_from(ZONES))
def test_a_band_holds_through_every_clock_change_of_the_year(band: Band, zone: str) -> None:
    clock = BandClock((band,), zone)
    start, end = unix_ms("2026-01-01T00:00:00Z"), unix_ms("2027-01-01T00:00:00Z")
    changes = [change for _, change, _ in steady_stretches(ZoneInfo(zone), start, end)][:-1]

    for change in changes:
        for minute in range(-130, 130, 5):
            at_ms = change + minute * 60_000
            assert (clock.at(at_ms)[0] == 0) == _wall_clock_says(band, zone, at_ms)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_a_year_has_two_clock_changes(zone: str) -> None:
    year = steady_stretches(ZoneInfo(zone), unix_ms("2026-01-01T00:00:00Z"), unix_ms("2027-01-01T00:00:00Z"))

    assert len(list(year)) == 3


def test_the_hour_that_comes_twice_is_in_its_band_twice() -> None:
    clock = BandClock((Band("b", 120, 150, EVERY_DAY),), "Europe/Berlin")
    at_ms, found = unix_ms("2026-10-24T23:59:00Z"), []
    while at_ms < unix_ms("2026-10-25T02:00:00Z"):
        band, _, until_ms = clock.at(at_ms)
        if band == 0:
            found.append((at_ms, until_ms))
        at_ms = until_ms

    assert found == [
        (unix_ms("2026-10-25T00:00:00Z"), unix_ms("2026-10-25T00:30:00Z")),
        (unix_ms("2026-10-25T01:00:00Z"), unix_ms("2026-10-25T01:30:00Z")),
    ]


def test_a_dated_band_goes_before_a_weekday_declared_earlier() -> None:
    workdays = Band("workdays", 0, 0, frozenset(range(5)))
    unity = Band("unity", 0, 0, EVERY_DAY, dates=frozenset({date(2026, 10, 2)}))
    every_year = Band("christmas", 0, 0, EVERY_DAY, yearly=frozenset({(12, 25)}))
    clock = BandClock((workdays, unity, every_year), "UTC")

    def at(text: str) -> int | None:
        return clock.at(int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000)[0]

    assert [at("2026-10-01"), at("2026-10-02"), at("2026-12-25"), at("2030-12-25"), at("2026-10-03")] == [
        0,
        1,
        2,
        2,
        None,
    ]


def test_a_band_without_an_end_lasts_all_day() -> None:
    clock = BandClock((Band("saturday", 0, 0, frozenset({5})),), "Europe/Berlin")

    assert clock.at(unix_ms("2026-10-23T21:59:59Z"))[0] is None
    assert clock.at(unix_ms("2026-10-24T10:00:00Z")) == (
        0,
        unix_ms("2026-10-23T22:00:00Z"),
        unix_ms("2026-10-24T22:00:00Z"),
    )
