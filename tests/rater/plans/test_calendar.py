"""Periods by anniversary and to month ends: clamped without drift, and no gap or overlap, whatever clocks do."""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rater.plans.calendar import Periods, add_months, day_start_ms, local, month_end_ms
from rater.rating.timeline import cycle_at, instant_ms

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "America/Sao_Paulo", "Asia/Beirut",
         "America/Havana", "Pacific/Apia", "Australia/Lord_Howe"]  # fmt: skip
DAY_MS = 86_400_000
#: Before and after the years in which Sao Paulo skipped midnights and Apia a day.
instants = st.integers(instant_ms(datetime(2008, 1, 1, tzinfo=ZoneInfo("UTC"))), 2_500_000_000_000)
chains = st.builds(
    Periods,
    zone=st.sampled_from(ZONES),
    anchor_ms=instants,
    months=st.sampled_from([1, 1, 2, 3, 12]),
    by=st.sampled_from(["anniversary", "month-end"]),
)


def at(text: str, zone: str = "Europe/Berlin") -> int:
    """The first instant at which a wall clock in a zone shows this."""
    return instant_ms(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def starts(periods: Periods, count: int) -> list[str]:
    """The first boundaries, as the wall clock shows them."""
    return [local(periods.zone, periods.start_ms(index)).strftime("%Y-%m-%d %H:%M") for index in range(count)]


def test_the_31st_is_clamped_and_comes_back():
    assert starts(Periods("Europe/Berlin", at("2026-01-31 10:30")), 5) == [
        "2026-01-31 10:30", "2026-02-28 10:30", "2026-03-31 10:30", "2026-04-30 10:30", "2026-05-31 10:30",
    ]  # fmt: skip


def test_the_29th_of_february_is_the_28th_in_other_years_and_comes_back():
    periods = Periods("Europe/Berlin", at("2028-02-29 00:00"), months=12)
    assert [start[:10] for start in starts(periods, 5)] == [
        "2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29",
    ]  # fmt: skip


def test_to_the_month_end_the_first_period_is_short_and_then_months_are_whole():
    periods = Periods("Europe/Berlin", at("2026-11-15 09:00"), by="month-end")
    assert starts(periods, 3) == ["2026-11-15 09:00", "2026-12-01 00:00", "2027-01-01 00:00"]
    first = periods.period(0)
    assert (first.name, first.whole_start_ms) == ("2026-11-15", at("2026-11-01 00:00"))
    assert periods.period(1).whole_start_ms == periods.period(1).start_ms


def test_three_months_to_the_month_end_count_the_month_that_has_begun():
    periods = Periods("Europe/Berlin", at("2026-11-15 09:00"), months=3, by="month-end")
    assert starts(periods, 3) == ["2026-11-15 09:00", "2027-02-01 00:00", "2027-05-01 00:00"]


def test_a_month_keeps_the_wall_clock_over_a_change_of_clocks():
    """From 10:00 to 10:00: the month with the change in spring is an hour shorter than 31 days."""
    period = Periods("Europe/Berlin", at("2026-03-10 10:00")).period(0)
    assert period.end_ms - period.start_ms == 31 * DAY_MS - 3_600_000


def test_a_boundary_that_the_clocks_skip_is_as_much_later():
    assert starts(Periods("Europe/Berlin", at("2026-02-28 02:30")), 3)[1] == "2026-03-28 02:30"
    assert starts(Periods("Europe/Berlin", at("2026-01-29 02:30")), 3)[2] == "2026-03-29 03:30"


def test_a_boundary_that_comes_twice_is_the_first_unless_it_is_the_anchor():
    assert add_months("Europe/Berlin", at("2026-09-25 02:30"), 1) == at("2026-10-25 02:30")
    second = at("2026-10-25 02:30") + 3_600_000
    assert Periods("Europe/Berlin", second).period(0).start_ms == second


def test_a_day_whose_midnight_is_skipped_begins_when_the_clocks_have_moved():
    """In Sao Paulo they went from 00:00 to 01:00 on 2017-10-15."""
    assert starts(Periods("America/Sao_Paulo", at("2017-09-15 00:00", "America/Sao_Paulo")), 2)[1] == "2017-10-15 01:00"


def test_the_milliseconds_of_the_anchor_stay():
    anchor = at("2026-01-31 10:30") + 123
    assert Periods("Europe/Berlin", anchor).start_ms(1) == at("2026-02-28 10:30") + 123


def test_a_boundary_belongs_to_the_period_that_it_starts():
    periods = Periods("Europe/Berlin", at("2026-01-31 10:30"))
    boundary = at("2026-02-28 10:30")
    before, after = periods.period_at(boundary - 1), periods.period_at(boundary)
    assert before is not None
    assert after is not None
    assert (before.index, after.index) == (0, 1)
    assert periods.next_renewal(boundary - 1) == boundary
    assert periods.next_renewal(boundary) == at("2026-03-31 10:30")


def test_before_the_anchor_there_is_no_period_and_the_anchor_is_next():
    periods = Periods("Europe/Berlin", at("2026-01-31 10:30"))
    assert periods.period_at(at("2026-01-31 10:29")) is None
    assert periods.next_renewal(at("2020-01-01 00:00")) == at("2026-01-31 10:30")


@pytest.mark.parametrize(("text", "days", "start"), [("2026-10-25 12:00", 0, "2026-10-25 00:00"),
                                                      ("2026-10-25 12:00", 1, "2026-10-26 00:00")])  # fmt: skip
def test_a_day_starts_at_local_midnight(text, days, start):
    assert day_start_ms("Europe/Berlin", at(text), days) == at(start)


@given(chains, st.integers(0, 40))
def test_periods_tile_time(periods, index):
    """Each ends where the next starts, and has a length and a name of its own."""
    one, two = periods.period(index), periods.period(index + 1)
    assert one.start_ms < one.end_ms == two.start_ms
    assert one.whole_start_ms <= one.start_ms
    assert one.name < two.name


@given(chains, instants)
def test_each_instant_lies_in_exactly_the_period_that_is_found(periods, instant):
    found = periods.period_at(instant)
    if instant < periods.anchor_ms:
        assert found is None
        assert periods.next_renewal(instant) == periods.anchor_ms
    else:
        assert found is not None
        assert found.start_ms <= instant < found.end_ms
        assert found == periods.period(found.index)
        assert periods.next_renewal(instant) == found.end_ms


@given(chains, st.integers(0, 60))
def test_renewal_k_is_the_start_and_k_months_never_drifting(periods, index):
    """The date is the anchor's, in the month k later, clamped; so it depends on k alone and on no renewal before."""
    anchor, start = local(periods.zone, periods.anchor_ms), local(periods.zone, periods.start_ms(index))
    place = anchor.year * 12 + anchor.month - 1 + index * periods.months
    year, month = place // 12, place % 12 + 1
    day = anchor.day if periods.by == "anniversary" or index == 0 else 1
    expected = datetime(year, month, min(day, monthrange(year, month)[1]))
    skipped = periods.zone == "Pacific/Apia" and expected == datetime(2011, 12, 30)
    assert (start.year, start.month, start.day) == (year, month, 31 if skipped else expected.day)


@given(st.sampled_from(ZONES), instants, st.integers(1, 24), st.integers(1, 24))
def test_month_ends_add_up(zone, instant, one, two):
    """The end of the n-th month is the same, counted at once or from an end in between."""
    assert month_end_ms(zone, month_end_ms(zone, instant, one), two) == month_end_ms(zone, instant, one + two)


@given(st.sampled_from(ZONES), instants)
def test_whole_months_are_the_cycles_that_tariffs_count_in(zone, instant):
    period = Periods(zone, instant, by="month-end").period(1)
    assert (period.start_ms, period.end_ms) == cycle_at(zone, period.start_ms)[:2]
