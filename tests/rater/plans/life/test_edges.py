"""The calendar's edges, as a subscriber meets them: the 31st, Feb 29, clocks that are moved, the end of a month."""

from __future__ import annotations

import pytest

from rater.plans.calendar import local
from rater.plans.change import preview_change
from rater.plans.life import account_of, begin, change
from rater.plans.terms import Billing
from tests.rater.plans.life.building import ZONE, Desk, plan
from tests.rater.plans.test_calendar import at

ANNIVERSARY = Billing(by="anniversary")


def charged(start: str, until: str, billing: Billing = ANNIVERSARY) -> list[str]:
    """The wall clock in Berlin at each fee."""
    desk = Desk([plan(fee="1", billing=billing)], "1000")
    desk.begin("p", at(start))
    desk.catch_up(at(until))
    return [local(ZONE, when).strftime("%m-%d %H:%M") for _, when, _ in desk.fees]


def test_the_31st_is_the_last_day_of_shorter_months_and_comes_back():
    days = charged("2027-10-31 09:00", "2028-03-31 09:00")
    assert days == ["10-31 09:00", "11-30 09:00", "12-31 09:00", "01-31 09:00", "02-29 09:00", "03-31 09:00"]


def test_feb_29_is_feb_28_in_other_years():
    days = charged("2028-02-29 09:00", "2032-02-29 09:00", Billing(months=12, by="anniversary"))
    assert days == ["02-29 09:00", "02-28 09:00", "02-28 09:00", "02-28 09:00", "02-29 09:00"]


def test_a_boundary_that_the_clocks_skip_is_later_that_day_and_the_next_is_on_time():
    assert charged("2027-02-28 02:30", "2027-04-28 02:30") == ["02-28 02:30", "03-28 03:30", "04-28 02:30"]


def test_a_boundary_that_comes_twice_is_the_first_and_is_charged_once():
    days = charged("2027-09-30 02:30", "2027-12-01 00:00")
    assert days == ["09-30 02:30", "10-30 02:30", "11-30 02:30"]
    assert charged("2027-10-31 01:30", "2027-10-31 12:00", ANNIVERSARY) == ["10-31 01:30"]
    assert charged("2026-09-25 02:30", "2026-11-01 00:00") == ["09-25 02:30", "10-25 02:30"]


@pytest.mark.parametrize(
    ("zone", "hour"), [("Europe/Berlin", "2026-11-30 23:00"), ("America/New_York", "2026-12-01 05:00")]
)
def test_a_month_ends_in_the_subscribers_own_zone(zone, hour):
    desk = Desk([plan(fee="1")])
    desk.make(begin(None, "p", at("2026-11-10 00:00", zone), zone, None, desk.view))
    assert desk.now.due_ms == at(hour, "UTC")


@pytest.mark.parametrize(
    ("day", "cost"),
    [("11-01 00:00", "12.00"), ("11-01 00:01", "11.60"), ("11-15 12:00", "6.00"), ("11-30 23:59", "0.00")],
)
def test_a_change_on_the_first_in_the_middle_and_on_the_last_day(day, cost):
    desk = Desk([plan("a", "5"), plan("b", "12")])
    desk.begin("a", at("2026-10-01 00:00"))
    when = at(f"2026-{day}")
    desk.catch_up(when)
    new = desk.plan("b", when)
    assert new is not None
    preview = preview_change(account_of(desk.now, desk.view, "owner", "", at_ms=when), new, when)
    before = desk.balance
    desk.make(change(desk.now, preview, desk.view))
    assert before - desk.balance == preview.charged_now_nanos == int(cost.replace(".", "")) * 10**7
    assert desk.catch_up(at("2026-12-01 00:00")) == ["renew"]
    assert desk.fees[-1][2] == "12.00"
