"""A fee within a period: the days after the change over the days of the month, half-up to the minor unit."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rater.money import NANOS, format_nanos, parse_nanos
from rater.plans.calendar import Periods
from rater.plans.proration import (
    days_charged,
    days_of,
    format_percent,
    minor_step_nanos,
    percent_hundredths,
    prorated_nanos,
    to_minor_nanos,
)
from tests.rater.plans.test_calendar import at, instants

ZONE = "Europe/Berlin"

#: (day of change, method, days charged, days of the month, what 12.00 a month comes to); as docs/plans.md has it.
FIGURES = [
    ("2027-02-01", "days-after", 27, 28, "11.57"),
    ("2027-02-15", "days-after", 13, 28, "5.57"),
    ("2027-02-28", "days-after", 0, 28, "0.00"),
    ("2028-02-01", "days-after", 28, 29, "11.59"),
    ("2028-02-15", "days-after", 14, 29, "5.79"),
    ("2028-02-29", "days-after", 0, 29, "0.00"),
    ("2026-11-01", "days-after", 29, 30, "11.60"),
    ("2026-11-15", "days-after", 15, 30, "6.00"),
    ("2026-11-30", "days-after", 0, 30, "0.00"),
    ("2026-10-01", "days-after", 30, 31, "11.61"),
    ("2026-10-15", "days-after", 16, 31, "6.19"),
    ("2026-10-31", "days-after", 0, 31, "0.00"),
    ("2026-11-01", "days-left", 30, 30, "12.00"),
    ("2026-11-15", "days-left", 16, 30, "6.40"),
    ("2026-11-30", "days-left", 1, 30, "0.40"),
    ("2026-11-15", "none", 30, 30, "12.00"),
]


def period_of(date: str, anchor: str = "2026-01-01"):
    """The calendar month that noon of a date lies in, and noon."""
    noon = at(f"{date} 12:00")
    period = Periods(ZONE, at(f"{anchor} 00:00"), by="month-end").period_at(noon)
    assert period is not None
    return period, noon


@pytest.mark.parametrize(("date", "method", "charged", "of", "cost"), FIGURES)
def test_a_change_costs_the_days_after_it(date, method, charged, of, cost):
    period, noon = period_of(date)
    assert (days_charged(method, period, noon, ZONE), days_of(period, ZONE)) == (charged, of)
    assert format_nanos(prorated_nanos(12 * NANOS, method, period, noon, ZONE, "EUR")) == cost


def test_the_time_of_day_does_not_matter():
    period, _ = period_of("2026-11-15")
    costs = {
        prorated_nanos(12 * NANOS, "days-after", period, at(f"2026-11-15 {time}"), ZONE, "EUR")
        for time in ("00:00", "00:01", "23:59")
    }
    assert costs == {6 * NANOS}


def test_at_the_instant_the_month_starts_nothing_is_left_out():
    """That is a change at the month's end; a minute later it is one on the 1st."""
    period, _ = period_of("2026-11-01")
    costs = [prorated_nanos(12 * NANOS, "days-after", period, at(f"2026-11-01 {time}"), ZONE, "EUR")
             for time in ("00:00", "00:01")]  # fmt: skip
    assert [format_nanos(cost) for cost in costs] == ["12.00", "11.60"]


def test_a_short_first_period_is_a_share_of_the_whole_month():
    """An account that came on the 10th and changes on the 15th pays for 15 of 30 days, not of 21."""
    period, noon = period_of("2026-11-15", anchor="2026-11-10")
    assert period.start_ms == at("2026-11-10 00:00")
    assert prorated_nanos(12 * NANOS, "days-after", period, noon, ZONE, "EUR") == 6 * NANOS


def test_an_anniversary_period_is_shared_by_its_own_days():
    """From Jan 20 10:30 to Feb 20 10:30: 31 days, of which 30 come after the first and none after the last."""
    period = Periods(ZONE, at("2026-01-20 10:30")).period(0)
    assert days_of(period, ZONE) == 31
    days = {text: days_charged("days-after", period, at(text), ZONE)
            for text in ("2026-01-20 10:30", "2026-01-20 10:31", "2026-02-19 23:00", "2026-02-20 10:29")}  # fmt: skip
    assert list(days.values()) == [31, 30, 0, 0]


def test_a_month_in_which_clocks_change_has_its_usual_days():
    period, noon = period_of("2026-10-25")
    assert (days_charged("days-after", period, noon, ZONE), days_of(period, ZONE)) == (6, 31)


@pytest.mark.parametrize(("currency", "step"), [("EUR", 10_000_000), ("JPY", NANOS), ("KWD", 1_000_000)])
def test_the_minor_unit_is_that_of_the_currency(currency, step):
    assert minor_step_nanos(currency) == step


@pytest.mark.parametrize(
    ("exact", "currency", "rounded"),
    [("0.005", "EUR", "0.01"), ("0.0049", "EUR", "0.00"), ("-0.005", "EUR", "-0.01"), ("0.5", "JPY", "1.00"),
     ("0.0005", "KWD", "0.001")],
)  # fmt: skip
def test_half_of_a_minor_unit_is_rounded_up(exact, currency, rounded):
    assert format_nanos(to_minor_nanos(Fraction(parse_nanos(exact)), currency)) == rounded


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(258, 990, "26.06"), (1, 3, "33.33"), (2, 3, "66.67"), (1, 20_000, "0.01"), (1, 20_001, "0.00"), (5, 5, "100.00"),
     (0, 0, "0.00"), (-1, 8, "-12.50")],
)  # fmt: skip
def test_percentages_have_two_places_half_up(part, whole, text):
    assert format_percent(percent_hundredths(part, whole)) == text


@given(instants, st.integers(0, 10**13), st.sampled_from(["none", "days-after", "days-left"]))
def test_a_share_is_between_nothing_and_all_and_a_whole_number_of_cents(instant, fee_nanos, method):
    fee_nanos -= fee_nanos % minor_step_nanos("EUR")
    period = Periods(ZONE, 0, by="month-end").period_at(instant)
    assert period is not None
    share = prorated_nanos(fee_nanos, method, period, instant, ZONE, "EUR")
    assert 0 <= share <= fee_nanos
    assert share % minor_step_nanos("EUR") == 0
