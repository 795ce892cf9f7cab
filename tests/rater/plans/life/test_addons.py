"""Add-ons are bought, paid, put on hold, tried again and released, and never hold the subscriber."""

from __future__ import annotations

import pytest

from rater.errors import PlanError
from rater.plans.calendar import local
from rater.plans.change import preview_change
from rater.plans.life import account_of, auto_pay, buy, capacity_of, change, pay, release
from rater.plans.life.state import DAY_MS
from rater.plans.model import AddOn, Capacity, Expiry, Plan, RollOver
from rater.plans.terms import Billing, Leaving, ProrationTerms
from tests.rater.plans.life.building import MIN, UNIT, ZONE, Desk, minutes, plan
from tests.rater.plans.test_calendar import at

NOV, NOV_10, DEC, JAN = (at(f"{day} 00:00") for day in ("2026-11-01", "2026-11-10", "2026-12-01", "2027-01-01"))
BUNDLE = AddOn("bundle", 3 * UNIT, allowances=(minutes(30, "bundle", expiry=Expiry("months", 1)),))
NUMBER = AddOn("number", 2 * UNIT, UNIT, recurring=True, hold_days=14, capacity=Capacity(numbers=1))
LINE = AddOn("line", 2 * UNIT, recurring=True, capacity=Capacity(channels=1))
HOURLY = AddOn("hourly", UNIT, recurring=True, allowances=(minutes(60, "hours", roll_over=RollOver()),))
ADDONS = (BUNDLE, NUMBER, LINE, HOURLY)


def sold(fee: str = "0", **fields: object) -> Plan:
    included = Capacity(numbers=3, channels=2)
    return plan("p", fee, **{"addons": ADDONS, "capacity": included} | fields)


def opened(balance: str = "100", fee: str = "0", **fields: object) -> Desk:
    desk = Desk([sold(fee, **fields)], balance)
    desk.begin("p", NOV)
    return desk


def bought(desk: Desk, name: str, order: str = "o", at_ms: int = NOV_10) -> bool:
    desk.catch_up(at_ms)
    return desk.make(buy(desk.now, name, order, at_ms, desk.view))


def numbers(desk: Desk, at_ms: int) -> int | None:
    return capacity_of(desk.now, desk.view, at_ms).numbers


def test_a_bundle_is_paid_once_and_goes_with_its_allowance():
    desk = opened()
    assert bought(desk, "bundle")
    assert desk.fees == [("addon", NOV_10, "3.00")]
    assert desk.left(NOV_10) == {"bundle": 30}
    assert (desk.now.bought[0].next_ms, desk.now.due_ms) == (0, at("2026-12-10 00:00"))
    desk.catch_up(at("2026-12-10 00:00"))
    assert len(desk.now.bought) == 1, "late usage is still its"
    bought(desk, "line", "l", at("2026-12-13 00:00"))
    assert [one.id for one in desk.now.bought] == ["l"]


def test_a_number_costs_its_price_up_front_and_then_each_period_as_the_plan_bills():
    desk = opened()
    assert bought(desk, "number")
    assert numbers(desk, NOV_10) == 4
    assert desk.catch_up(JAN) == ["addon-renew"] * 2
    assert [fee[1:] for fee in desk.charged()] == [("11-10", "3.00"), ("12-01", "2.00"), ("01-01", "2.00")]
    assert desk.now.bought[0].index == 3


def test_a_short_first_period_is_shared_as_the_plan_prorates_one():
    desk = opened(proration=ProrationTerms(first="days-after"))
    bought(desk, "number")
    assert desk.charged() == [("addon", "11-10", "2.33")], "2 * 20/30 and 1 up front"


def test_one_that_cannot_be_paid_is_not_bought():
    desk = opened("2.99")
    assert not bought(desk, "number")
    assert desk.now.bought == ()


class TestOnHold:
    def held(self) -> Desk:
        """A number bought with the last money, on hold since December 1."""
        desk = opened("3")
        bought(desk, "number")
        desk.catch_up(DEC)
        return desk

    def test_it_does_not_count_and_does_not_hold_the_subscriber(self):
        desk = self.held()
        assert (desk.holds, numbers(desk, DEC)) == (frozenset(), 3)
        assert desk.sayings("addon.on_hold") == [
            {"addon": "number", "order": "o", "plan": "p", "reason": "unpaid", "release_ms": DEC + 14 * DAY_MS}
        ]
        assert desk.now.waits_for_money

    def test_a_refill_pays_the_period_that_holds_it(self):
        desk = self.held()
        assert desk.refill("1.99", DEC + DAY_MS) == []
        assert desk.refill("0.01", DEC + 2 * DAY_MS) == ["addon-renew"]
        assert (numbers(desk, DEC + 2 * DAY_MS), desk.balance, desk.now.due_ms) == (4, 0, JAN)
        assert not desk.now.waits_for_money

    def test_after_its_days_it_is_released(self):
        desk = self.held()
        assert desk.now.due_ms == DEC + 14 * DAY_MS
        assert desk.catch_up(DEC + 14 * DAY_MS) == ["addon-release"]
        assert (desk.now.bought, desk.sayings("addon.released")[0]["reason"]) == ((), "unpaid")

    def test_without_days_on_hold_it_is_released_at_once(self):
        desk = opened("2")
        bought(desk, "line")
        assert desk.catch_up(DEC) == ["addon-renew"]
        assert (desk.now.bought, desk.said[-1].type) == ((), "addon.released")

    def test_the_plan_has_the_first_of_the_money(self):
        desk = opened("8", "5")
        bought(desk, "number")
        assert desk.catch_up(DEC) == ["renew", "addon-renew"]
        assert (desk.now.status, bool(desk.now.bought[0].on_hold_since_ms)) == ("unpaid", True)
        assert desk.sayings("addon.on_hold")[0]["reason"] == "subscription_held"
        assert desk.refill("4.99", DEC + 5) == []
        assert desk.refill("2.01", DEC + 5) == ["wake", "addon-renew"]

    def test_what_has_no_days_on_hold_is_not_lost_because_the_plan_was_not_paid(self):
        desk = opened("8", "5")
        bought(desk, "line")
        assert desk.catch_up(JAN) == ["renew", "addon-renew"]
        assert desk.refill("7", JAN) == ["wake", "addon-renew"]
        assert [one.name for one in desk.now.bought] == ["line"]

    def test_auto_pay_off_is_not_tried_and_may_be_paid_by_hand(self):
        desk = opened()
        bought(desk, "number")
        desk.make(auto_pay(desk.now, "o", False, NOV_10, desk.view))
        desk.catch_up(DEC)
        assert (len(desk.fees), desk.sayings("addon.on_hold")[0]["reason"]) == (1, "auto_pay_off")
        assert desk.refill("5", DEC) == []
        assert desk.make(pay(desk.now, "o", DEC + DAY_MS, desk.view))
        assert desk.fees[1:] == [("addon-renew", DEC + DAY_MS, "2.00")]
        with pytest.raises(PlanError, match="not on hold"):
            pay(desk.now, "o", DEC + DAY_MS, desk.view)


def test_released_by_the_user_it_is_not_paid_again():
    desk = opened()
    bought(desk, "number")
    assert desk.make(release(desk.now, "o", NOV_10, desk.view))
    assert desk.catch_up(JAN) == []
    assert desk.said[-1].data["reason"] == "asked"


def test_its_allowances_are_granted_each_period_and_roll_over_in_their_own_order():
    desk = opened()
    bought(desk, "hourly", "a")
    bought(desk, "hourly", "b")
    desk.take(90 * MIN, NOV_10)
    assert desk.catch_up(DEC) == ["addon-renew", "addon-renew"]
    assert desk.left(DEC) == {"hours": 60 + 60 + 30}


def test_a_later_price_is_that_of_the_version_in_force_at_the_period():
    desk = opened()
    dearer = AddOn("number", 9 * UNIT, recurring=True, capacity=Capacity(numbers=1))
    desk.plans.append(sold(version="2", since=DEC, addons=(dearer,)))
    bought(desk, "number")
    bought(desk, "line", "l")
    desk.catch_up(DEC)
    assert [fee for name, _, fee in desk.charged() if name == "addon-renew"] == ["9.00", "2.00"], "lines go on as sold"


def test_a_change_of_plan_keeps_or_drops_what_was_bought():
    for extras, left in (("add", 3 + 1), ("larger", 3), ("drop", 3)):
        desk = Desk([sold(leaving=Leaving(extras=extras)), plan("q", "1", capacity=Capacity(numbers=3))])
        desk.begin("p", NOV)
        bought(desk, "number")
        bought(desk, "bundle", "b")
        new = desk.plan("q", NOV_10)
        assert new is not None
        preview = preview_change(account_of(desk.now, desk.view, "owner", "ada", at_ms=NOV_10), new, NOV_10)
        assert desk.make(change(desk.now, preview, desk.view))
        assert numbers(desk, NOV_10) == preview.capacity.numbers == left
        assert [one.name for one in desk.now.bought] == (["bundle"] if extras == "drop" else ["number", "bundle"])
        assert desk.left(NOV_10) == {"bundle": 30}, "a bundle is kept in any case"


@pytest.mark.parametrize(
    ("field", "ask"),
    [
        ("addon", lambda desk: buy(desk.now, "x", "y", NOV_10, desk.view)),
        ("order", lambda desk: buy(desk.now, "bundle", "o", NOV_10, desk.view)),
        ("order", lambda desk: release(desk.now, "y", NOV_10, desk.view)),
        ("order", lambda desk: auto_pay(desk.now, "o", True, NOV_10, desk.view)),
        ("order", lambda desk: pay(desk.now, "o", NOV_10, desk.view)),
    ],
)
def test_what_cannot_be_asked_for_names_its_field(field, ask):
    desk = opened()
    bought(desk, "bundle")
    with pytest.raises(PlanError) as error:
        ask(desk)
    assert error.value.field == field


def test_who_is_held_buys_nothing():
    desk = opened("1", "5")
    with pytest.raises(PlanError, match="unpaid"):
        buy(desk.now, "bundle", "o", NOV_10, desk.view)


def test_periods_by_anniversary_of_the_order():
    desk = opened(billing=Billing(by="anniversary"))
    bought(desk, "number", "o", at("2026-12-31 09:00"))
    desk.catch_up(at("2027-04-01 00:00"))
    days = [local(ZONE, when).strftime("%m-%d") for name, when, _ in desk.fees if name == "addon-renew"]
    assert days == ["01-31", "02-28", "03-31"]
