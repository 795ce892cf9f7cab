"""A subscription at a glance: exact, to two places, with what comes next."""

from __future__ import annotations

from fractions import Fraction

from rater.plans.change import preview_change
from rater.plans.life import account_of, buy, overview, schedule
from rater.plans.life.overview import Payment
from rater.plans.life.state import DAY_MS
from rater.plans.terms import Billing, Leaving, Recurring, Start, Timing, Validity
from tests.rater.plans.examples import example
from tests.rater.plans.life.building import MIN, UNIT, Desk, plan
from tests.rater.plans.test_calendar import at

NEW_YORK = "America/New_York"
NOV = at("2026-11-10 00:00")
DEC, JAN = at("2026-12-01 00:00"), at("2027-01-01 00:00")


def seen(desk: Desk, at_ms: int):
    desk.catch_up(at_ms)
    return overview(desk.now, desk.view, at_ms)


def test_the_minutes_plan_by_the_story():
    """System E: 258 of 990 minutes are 26.06 %."""
    desk = Desk([example("e-minutes")], "38")
    desk.begin("minutes-pro", NOV)
    desk.take(258 * MIN, NOV)
    shown = seen(desk, NOV + DAY_MS)
    (unit,) = shown.units
    assert (unit.unit, unit.total, unit.left, unit.used_percent) == ("ms", 990 * MIN, Fraction(732 * MIN), "26.06")
    assert (shown.plan, shown.status, shown.currency, shown.to_resume_nanos) == ("minutes-pro", "active", "USD", None)
    assert shown.next_billing == Payment(at("2026-12-10 00:00"), 29 * UNIT)
    assert shown.valid_until_ms == at("2027-11-10 00:00")
    assert (shown.capacity.numbers, shown.capacity.concurrent_calls, shown.capacity.queue_priority) == (3, 10, 1)
    assert shown.addons == ()


def test_add_ons_with_their_state():
    desk = Desk([example("e-minutes")], "55")
    desk.begin("minutes-pro", NOV)
    for name, order, number in (("bundle-300", "a", ""), ("phone-number", "b", "+12125550100")):
        assert desk.make(buy(desk.now, name, order, NOV, desk.view, number=number))
    bundle, number = seen(desk, NOV).addons
    assert (bundle.state, bundle.next, number.state, number.number) == ("once", None, "active", "+12125550100")
    assert number.next == Payment(at("2026-12-10 00:00"), 2 * UNIT)
    (unit,) = seen(desk, NOV).units
    assert unit.total == 1290 * MIN
    shown = seen(desk, at("2026-12-10 00:00"))
    assert (shown.status, shown.to_resume_nanos, shown.next_billing) == ("unpaid", 29 * UNIT, None)
    held = shown.addons[1]
    assert (held.state, held.next, held.release_ms) == ("on-hold", None, at("2026-12-10 00:00") + 14 * DAY_MS)
    assert shown.capacity.numbers == 3


def test_the_next_billing_is_that_of_a_planned_change():
    desk = Desk([plan("a", "12", leaving=Leaving(downgrade=Timing("next-period"))), plan("b", "5")])
    desk.begin("a", NOV)
    new = desk.plan("b", NOV)
    assert new is not None
    preview = preview_change(account_of(desk.now, desk.view, "owner", "", at_ms=NOV), new, NOV)
    desk.make(schedule(desk.now, preview, NOV, desk.view))
    shown = seen(desk, NOV)
    assert (shown.next_billing, shown.planned) == (Payment(DEC, 5 * UNIT), desk.now.planned)


def test_a_fee_that_waits_for_a_date_or_for_usage():
    dated = plan("a", recurring=Recurring(12 * UNIT, Start("date", DEC + DAY_MS)))
    unused = plan("b", billing=Billing(starts=Start("first-usage")), validity=Validity(1, starts=Start("first-usage")))
    desk = Desk([dated, unused, plan("c", "0")])
    desk.begin("a", NOV)
    assert seen(desk, NOV).next_billing == Payment(DEC + DAY_MS, 12 * UNIT), "November is free"
    assert seen(desk, DEC).next_billing == Payment(DEC + DAY_MS, 12 * UNIT)
    desk.begin("b", DEC)
    shown = seen(desk, DEC)
    assert (shown.next_billing, shown.valid_until_ms) == (None, None)
    desk.begin("c", DEC)
    assert seen(desk, DEC).next_billing is None
