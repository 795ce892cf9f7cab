"""Fees are due from when the plan says, validity goes on while it may, and what is left is said exactly."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import pytest

from rater.money import NANOS, format_nanos
from rater.plans.allowances import grant
from rater.plans.due import billing_periods, goes_on, period_fee, remaining, validity_periods
from rater.plans.model import Plan
from rater.plans.proration import format_percent
from rater.plans.terms import Billing, ProrationTerms, Recurring, Start, Validity
from tests.rater.plans.examples import example
from tests.rater.plans.test_calendar import at, starts

ZONE = "Europe/Berlin"
ASSIGNED, USED = at("2026-11-10 08:00"), at("2026-11-15 10:30")


def plan(proration: str = "none", starts: Start | None = None, billing: Billing | None = None) -> Plan:
    """A plan at 12 a month."""
    return Plan(
        "p", "1", 0, "world", "prepaid", ZONE, currency="EUR", billing=billing or Billing(),
        recurring=Recurring(12 * NANOS, starts), proration=ProrationTerms(first=proration),
    )  # fmt: skip


def fees(of: Plan, count: int = 3, used_ms: int | None = USED) -> list[tuple[int, str] | None]:
    """When and what, of the first periods."""
    periods = billing_periods(of, ZONE, ASSIGNED, used_ms)
    assert periods is not None
    due = [period_fee(of, periods, index, ASSIGNED, used_ms) for index in range(count)]
    return [(fee.at_ms, format_nanos(fee.amount_nanos)) if fee else None for fee in due]


def test_from_the_assignment_it_is_charged_at_the_start_of_each_period():
    december, january = at("2026-12-01 00:00"), at("2027-01-01 00:00")
    assert fees(plan()) == [(ASSIGNED, "12.00"), (december, "12.00"), (january, "12.00")]


@pytest.mark.parametrize(("method", "first"), [("none", "12.00"), ("days-after", "8.00"), ("days-left", "8.40")])
def test_a_short_first_month_is_whole_or_a_share_as_the_plan_says(method, first):
    assert fees(plan(method), 2) == [(ASSIGNED, first), (at("2026-12-01 00:00"), "12.00")]


def test_from_first_usage_the_periods_themselves_begin_with_it():
    billing = Billing(by="anniversary", starts=Start("first-usage"))
    assert fees(plan(billing=billing), 2) == [(USED, "12.00"), (at("2026-12-15 10:30"), "12.00")]
    assert billing_periods(plan(billing=billing), ZONE, ASSIGNED, None) is None


def test_a_fee_from_first_usage_in_periods_from_the_assignment_waits_for_it():
    of = plan(starts=Start("first-usage"))
    assert fees(of, 2) == [(USED, "12.00"), (at("2026-12-01 00:00"), "12.00")]
    assert fees(of, 2, None) == [None, None]


def test_a_fee_from_a_date_leaves_the_months_before_it_free():
    of = plan("days-left", Start("date", at("2026-12-10 00:00")))
    assert fees(of) == [None, (at("2026-12-10 00:00"), "8.52"), (at("2027-01-01 00:00"), "12.00")]


def test_a_date_before_the_assignment_is_the_assignment():
    assert fees(plan(starts=Start("date", 0)), 1) == [(ASSIGNED, "12.00")]


def test_a_plan_without_a_fee_has_none_due():
    assert fees(msgspec.structs.replace(plan(), recurring=None), 1) == [None]


def test_the_volume_chosen_is_the_fee():
    of = example("c-credits-email")
    periods = billing_periods(of, ZONE, ASSIGNED, None)
    assert periods is not None
    due = period_fee(of, periods, 1, ASSIGNED, None, volume=2)
    assert due is not None
    assert (due.at_ms, format_nanos(due.amount_nanos)) == (at("2026-12-10 08:00"), "89.00")


class TestValidity:
    """System A: a month at a time from first usage, going on while the balance is positive."""

    sim = example("a-sim-payg")

    def test_it_runs_from_first_usage_by_anniversary(self):
        periods = validity_periods(self.sim, ZONE, ASSIGNED, at("2027-01-31 12:00"))
        assert periods is not None
        assert starts(periods, 3) == ["2027-01-31 12:00", "2027-02-28 12:00", "2027-03-31 12:00"]

    def test_before_first_usage_it_has_not_begun(self):
        assert validity_periods(self.sim, ZONE, ASSIGNED, None) is None

    def test_a_plan_may_hold_without_an_end(self):
        assert validity_periods(plan(), ZONE, ASSIGNED, USED) is None

    @pytest.mark.parametrize(
        ("renews", "available", "answer"),
        [("while-positive", 1, True), ("while-positive", 0, False), ("while-positive", -1, False),
         ("always", 0, True), ("never", 1, False)],
    )  # fmt: skip
    def test_whether_it_goes_on(self, renews, available, answer):
        assert goes_on(Validity(1, renews=renews), available) is answer


class TestRemaining:
    """System E: total and remaining minutes, and the percentage used."""

    minutes = example("e-minutes")

    def balances(self, left: int):
        """The plan's minutes of a period with so many left, and a bundle from the day before its end."""
        periods = billing_periods(self.minutes, ZONE, ASSIGNED, None)
        assert periods is not None
        own = grant("own", self.minutes.allowances[0], periods.period(0), ZONE)
        bundle = grant("bundle", self.minutes.addons[0].allowances[0], periods.period(0), ZONE,
                       since_ms=at("2026-12-09 00:00"))  # fmt: skip
        return [msgspec.structs.replace(own, left_parts=left * 60_000), bundle]

    def test_258_of_990_minutes_are_26_06_percent(self):
        found = remaining(self.balances(990 - 258), "ms", USED)
        assert (found.total, found.left) == (990 * 60_000, 732 * 60_000)
        assert format_percent(found.used_hundredths) == "26.06"

    def test_a_bundle_counts_from_when_it_can_be_used(self):
        found = remaining(self.balances(990), "ms", at("2026-12-09 00:00"))
        assert (found.total / 60_000, found.used_hundredths) == (1_290, 0)

    def test_of_another_unit_there_is_nothing(self):
        assert remaining(self.balances(990), "bytes", USED) == (remaining([], "bytes", USED))
        assert remaining([], "bytes", USED).used_hundredths == 0

    def test_credits_are_counted_whole_whatever_their_parts(self):
        omni = example("c-credits-omnichannel")
        periods = billing_periods(omni, ZONE, ASSIGNED, None)
        assert periods is not None
        credits = grant("c", omni.allowances[0], periods.period(0), ZONE)
        spent = msgspec.structs.replace(credits, left_parts=credits.left_parts - 200)
        assert remaining([spent], "credits", USED).left == 20_000 - Fraction(100, 3)
