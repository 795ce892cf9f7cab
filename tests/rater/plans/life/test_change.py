"""A plan changes at once, later, by migration or for good, and nobody pays for two plans at one instant."""

from __future__ import annotations

import pytest

from rater.errors import PlanError
from rater.money import format_nanos
from rater.plans.change import ChangePreview, preview_change
from rater.plans.life import (
    account_of,
    buy,
    cancel,
    capacity_of,
    change,
    needs_step,
    next_step,
    plan_at,
    schedule,
    unschedule,
)
from rater.plans.model import Plan, RollOver, Scale, Volume
from rater.plans.terms import Billing, Joining, Leaving, Start, Timing, Validity
from tests.rater.plans.examples import example
from tests.rater.plans.life.building import MIN, UNIT, Desk, minutes, plan
from tests.rater.plans.test_calendar import at

NEW_YORK = "America/New_York"
NOV, NOV_15, DEC, JAN = (at(f"{day} 00:00") for day in ("2026-11-01", "2026-11-15", "2026-12-01", "2027-01-01"))
REFUNDING = Leaving(refund="days-after")


def previewed(desk: Desk, name: str, at_ms: int, volume: int | None = None) -> ChangePreview:
    new = desk.plan(name, at_ms)
    assert new is not None
    return preview_change(account_of(desk.now, desk.view, "owner", "ada", at_ms=at_ms), new, at_ms, volume)


def to(desk: Desk, name: str, at_ms: int, volume: int | None = None) -> ChangePreview:
    """Change as the plan that is left says: at once, or planned."""
    desk.catch_up(at_ms)
    preview = previewed(desk, name, at_ms, volume)
    before = desk.balance
    step = change(desk.now, preview, desk.view) if preview.when_ms == at_ms else None
    assert desk.make(step or schedule(desk.now, preview, at_ms, desk.view))
    assert before - desk.balance == preview.charged_now_nanos, "what the preview said is charged"
    if step:
        granted = sorted((one.allowance.name, one.left_parts, one.from_ms, one.until_ms) for one in preview.granted)
        own = [grant for grant in desk.now.grants if grant.from_ms == at_ms and not grant.order]
        assert sorted((one.name, one.granted_parts, one.from_ms, one.until_ms) for one in own) == granted
    return preview


def test_voice_plans_by_the_story():
    """System D: 5, then 6, 11 in total, then 12; 400 minutes forfeited, 2,000 from now; 2 + 4 channels."""
    desk = Desk([example("d-voice-a"), example("d-voice-b")])
    start, changed = at("2026-11-01 00:00", NEW_YORK), at("2026-11-15 12:00", NEW_YORK)
    desk.begin("voice-a", start)
    assert format_nanos(100 * UNIT - desk.balance) == "5.00"
    desk.take(600 * MIN, start)
    for order in "abcd":
        assert desk.make(buy(desk.now, "channel", order, start, desk.view))
    assert capacity_of(desk.now, desk.view, start).channels == 9
    preview = to(desk, "voice-b", changed)
    assert [(left.allowance, left.parts // MIN) for left in preview.forfeited] == [("minutes", 400)]
    assert desk.fees[-1] == ("change", changed, "6.00")
    assert capacity_of(desk.now, desk.view, changed).channels == preview.capacity.channels == 6
    assert desk.left(changed) == {"minutes": 2000}
    assert desk.left(changed - 1) == {"minutes": 400}, "late usage from before the change"
    desk.catch_up(at("2026-12-01 05:00", "UTC"))
    (renewed,) = [fee for fee in desk.fees if fee[0] == "renew"]
    assert renewed[2] == "12.00"
    assert len(desk.fees) == 1 + 4 + 1 + 1 + 4, "and the channels"
    assert desk.sayings("plan.changed")[0]["forfeited"] == [
        {"allowance": "minutes", "grant": "minutes/000001", "left": str(400 * MIN)}
    ]


def test_two_changes_on_one_day_and_one_on_the_first():
    desk = Desk([plan("a", "5"), plan("b", "12", leaving=Leaving())])
    desk.begin("a", NOV)
    to(desk, "b", NOV_15 + 1)
    to(desk, "a", NOV_15 + 2)
    to(desk, "b", DEC)  # at the very start of a month, after its renewal
    assert [fee for _, _, fee in desk.charged()] == ["5.00", "6.00", "2.50", "5.00", "12.00"]
    assert desk.now.past == ((NOV, NOV_15 + 1, "a"), (NOV_15 + 1, NOV_15 + 2, "b"), (NOV_15 + 2, DEC, "a"))
    assert plan_at(desk.now, NOV_15 + 1) == "b"


def test_a_change_that_cannot_be_paid_changes_nothing():
    desk = Desk([plan("a", "5"), plan("b", "12")], "10.99")
    desk.begin("a", NOV)
    step = change(desk.now, previewed(desk, "b", NOV_15), desk.view)
    assert step.unpaid is None
    assert not desk.make(step)
    assert desk.now.plan == "a"


class TestRefund:
    def test_the_days_after_are_given_back(self):
        desk = Desk([plan("a", "30", leaving=REFUNDING), plan("b", "6")])
        desk.begin("a", NOV)
        to(desk, "b", NOV_15)
        assert desk.fees[-1][2] == "-12.00", "3 for the new plan, less 15"

    def test_what_was_not_paid_is_not_given_back(self):
        desk = Desk([plan("a", "30", leaving=REFUNDING), plan("b", "6")], "5")
        desk.begin("a", NOV)
        assert desk.now.status == "unpaid"
        to(desk, "b", NOV_15)
        assert (desk.fees[-1][2], desk.holds) == ("3.00", frozenset()), "and the change ends the hold"


class TestPlanned:
    def test_at_the_next_period_the_new_fee_is_charged_and_not_the_old_one_too(self):
        later = Leaving(downgrade=Timing("next-period"))
        desk = Desk(
            [plan("a", "12", leaving=later, allowances=(minutes(),)), plan("b", "5", allowances=(minutes(50),))]
        )
        desk.begin("a", NOV)
        to(desk, "b", NOV_15)
        assert desk.now.planned is not None
        assert (desk.now.plan, desk.now.due_ms) == ("a", DEC)
        assert desk.catch_up(DEC) == ["change"]
        assert [fee for _, _, fee in desk.charged()] == ["12.00", "5.00"]
        assert desk.left(DEC) == {"minutes": 50}
        assert desk.catch_up(JAN) == ["renew"]

    def test_one_that_cannot_be_paid_changes_the_plan_and_holds_until_a_refill(self):
        later = Leaving(upgrade=Timing("month-end"), refund="days-after")
        billing = Billing(by="anniversary")
        desk = Desk([plan("a", "31", leaving=later, billing=billing), plan("b", "62", billing=billing)], "31")
        desk.begin("a", NOV_15)
        to(desk, "b", NOV_15 + 1)
        assert desk.catch_up(DEC) == ["change"]
        assert (desk.now.plan, desk.now.status, desk.fees[1:]) == ("b", "unpaid", [])
        assert desk.refill("13.43", DEC + 5) == [], "62 * 13/30 = 26.87, less 31 * 13/30 = 13.43"
        assert desk.refill("0.01", DEC + 5) == ["wake"]
        assert desk.fees[-1][2] == "13.44"

    def test_it_is_replaced_withdrawn_or_made_void_by_a_change_at_once(self):
        later = Leaving(downgrade=Timing("next-period"))
        desk = Desk([plan("a", "12", leaving=later), plan("b", "5"), plan("c", "4"), plan("d", "40")])
        desk.begin("a", NOV)
        to(desk, "b", NOV_15)
        to(desk, "c", NOV_15)
        assert desk.now.planned is not None
        assert desk.now.planned.plan == "c"
        assert desk.make(unschedule(desk.now, NOV_15, desk.view))
        with pytest.raises(PlanError, match="no change is planned"):
            unschedule(desk.now, NOV_15, desk.view)
        to(desk, "b", NOV_15)
        to(desk, "d", NOV_15 + 1)
        assert desk.now.planned is None
        assert desk.catch_up(DEC) == ["renew"]

    def test_one_to_a_plan_that_is_gone_is_given_up(self):
        later = Leaving(downgrade=Timing("next-period"))
        desk = Desk([plan("a", "12", leaving=later), plan("b", "5")])
        desk.begin("a", NOV)
        to(desk, "b", NOV_15)
        del desk.plans[1]
        assert desk.catch_up(DEC) == ["change", "renew"]
        assert desk.sayings("plan.change_failed")[0]["reason"] == "no_plan"

    def test_it_comes_due_for_who_is_unpaid_and_may_end_the_hold(self):
        later = Leaving(downgrade=Timing("month-end"))
        billing = Billing(by="anniversary")
        desk = Desk([plan("a", "12", leaving=later, billing=billing), plan("free", "0", billing=billing)], "12")
        desk.begin("a", NOV_15)
        desk.catch_up(at("2026-12-15 00:00"))
        assert desk.now.status == "unpaid"
        to(desk, "free", at("2026-12-20 00:00"))
        assert desk.catch_up(JAN) == ["change"]
        assert (desk.now.plan, desk.holds) == ("free", frozenset())

    def test_who_has_expired_stays_so_under_the_new_plan_until_a_refill(self):
        later = Leaving(downgrade=Timing("month-end"))
        desk = Desk([plan("a", "0", leaving=later, validity=Validity(1), rank=1), plan("b", "5")], "0")
        desk.begin("a", NOV_15)
        desk.catch_up(at("2026-12-15 00:00"))
        assert desk.now.status == "expired"
        to(desk, "b", at("2026-12-20 00:00"))
        assert desk.catch_up(JAN + 7) == ["change"]
        assert (desk.now.plan, desk.holds, desk.fees) == ("b", {"expired"}, [])
        assert desk.refill("5", JAN + 8) == ["wake"]
        assert (desk.holds, desk.balance) == (frozenset(), 0)


class TestVolume:
    """Another volume of the same plan is a change too."""

    scale = Scale("minutes", (Volume(100 * MIN, 10 * UNIT), Volume(300 * MIN, 25 * UNIT)))

    def sold(self, **fields: object) -> Plan:
        return plan("v", "0", scale=self.scale, billing=Billing(by="anniversary"), **fields)

    def test_more_at_once_in_a_new_period(self):
        desk = Desk([self.sold(allowances=(minutes(),), joining=Joining(period="restart"), validity=Validity(12))])
        desk.begin("v", NOV, 0)
        valid_until = desk.now.valid_until_ms
        to(desk, "v", NOV_15, 1)
        assert [fee for _, _, fee in desk.charged()] == ["10.00", "25.00"]
        assert desk.left(NOV_15) == {"minutes": 300}
        assert desk.now.due_ms == at("2026-12-15 00:00")
        assert desk.now.valid_until_ms == valid_until, "it is still the same plan"

    def test_what_is_kept_of_the_volume_before_keeps_its_own_end(self):
        leaving = Leaving(unused="kept")
        of = self.sold(allowances=(minutes(roll_over=RollOver()),), leaving=leaving, joining=Joining(period="restart"))
        desk = Desk([of])
        desk.begin("v", NOV, 0)
        to(desk, "v", NOV_15, 1)
        assert (desk.left(NOV_15), desk.left(DEC)) == ({"minutes": 400}, {"minutes": 300})

    def test_less_at_the_next_period_rolls_over_as_at_a_renewal(self):
        of = self.sold(allowances=(minutes(roll_over=RollOver()),), leaving=Leaving(downgrade=Timing("next-period")))
        desk = Desk([of])
        desk.begin("v", NOV, 1)
        desk.take(250 * MIN, NOV)
        to(desk, "v", NOV_15, 0)
        assert desk.catch_up(DEC) == ["change"]
        assert desk.left(DEC) == {"minutes": 150}
        assert [fee for _, _, fee in desk.charged()] == ["25.00", "10.00"]


class TestMigration:
    def test_from_its_date_each_account_that_is_left_is_switched(self):
        """System B: the quota ends with the month, then pay as you go."""
        quota, invoiced = example("b-quota"), example("b-usage-invoiced")
        desk = Desk([quota, invoiced], "0")
        desk.begin("quota-2019", at("2027-02-01 00:00"))
        assert desk.catch_up(at("2027-04-01 00:00") - 1) == ["renew"]
        assert desk.catch_up(at("2027-04-01 00:00")) == ["migrate"]
        assert (desk.now.plan, desk.floor) == ("usage-invoiced", -5000 * UNIT)
        assert [fee for _, _, fee in desk.charged()] == ["49.00", "49.00"]
        assert [said["plan"] for said in desk.sayings("invoice.period_closed")] == ["quota-2019"] * 2
        assert capacity_of(desk.now, desk.view, at("2027-04-01 00:00")).channels == 10
        desk.catch_up(at("2027-05-01 00:00"))
        assert desk.sayings("invoice.period_closed")[2]["plan"] == "usage-invoiced"

    def test_a_version_that_is_to_come_may_ask_for_it(self):
        asks = Leaving(migrate_to="b", migrate_from_ms=DEC + 5)
        desk = Desk([plan("a", "0"), plan("a", "0", version="2", since=DEC, leaving=asks), plan("b", "0")])
        desk.begin("a", NOV)
        assert desk.catch_up(DEC) == ["renew"]
        assert desk.now.due_ms == DEC + 5
        assert desk.catch_up(DEC + 5) == ["migrate"]

    def test_one_that_is_written_afterwards_does_not_reach_back(self):
        desk = Desk([plan("a", "5"), plan("b", "0")])
        desk.begin("a", NOV)
        desk.catch_up(JAN)
        desk.plans[0] = plan("a", "5", leaving=Leaving(migrate_to="b", migrate_from_ms=DEC))
        step = next_step(desk.now, JAN + 9, desk.view)
        assert step is not None
        assert (step.name, step.at_ms) == ("migrate", JAN)


class TestCancel:
    def test_all_ends_at_once(self):
        desk = Desk([example("e-minutes")])
        desk.begin("minutes-pro", NOV)
        for name, order, number in (("bundle-300", "a", ""), ("phone-number", "b", "+12125550100")):
            assert desk.make(buy(desk.now, name, order, NOV, desk.view, number=number))
        assert desk.make(cancel(desk.now, NOV_15, desk.view))
        assert (desk.now.status, desk.holds, desk.now.due_ms, desk.now.bought) == ("cancelled", {"expired"}, None, ())
        assert desk.left(NOV_15) == {}
        assert desk.left(NOV_15 - 1) == {"minutes": 990, "bundle-300": 300}
        assert desk.fees[3:] == []
        assert not needs_step(desk.now, JAN)
        assert desk.refill("5", JAN) == []
        with pytest.raises(PlanError, match="was cancelled"):
            cancel(desk.now, JAN, desk.view)

    def test_of_the_fee_is_given_back_what_the_plan_says(self):
        desk = Desk([plan("a", "30", leaving=REFUNDING)])
        desk.begin("a", NOV)
        desk.make(cancel(desk.now, NOV_15, desk.view))
        assert desk.fees[-1] == ("cancel", NOV_15, "-15.00")

    def test_a_plan_may_be_assigned_again(self):
        desk = Desk([plan("a", "30")])
        desk.begin("a", NOV)
        desk.make(cancel(desk.now, NOV_15, desk.view))
        desk.begin("a", DEC)
        assert (desk.now.n, desk.holds, desk.now.due_ms) == (3, frozenset(), JAN)


def test_a_plan_that_waits_for_usage_waits_anew_after_a_change_and_charges_its_activation_then():
    used = plan("b", "5", activation_nanos=2 * UNIT, billing=Billing(starts=Start("first-usage")))
    desk = Desk([plan("a", "1"), used])
    desk.begin("a", NOV)
    desk.use(NOV)
    to(desk, "b", NOV_15)
    assert desk.fees[1:] == []
    desk.use(NOV_15 + 7)
    assert desk.fees[1:] == [("first-usage", NOV_15 + 7, "7.00")]
    assert len(desk.sayings("sim.first_usage")) == 1
    desk.catch_up(DEC)
    to(desk, "a", DEC)
    assert not needs_step(desk.now, DEC), "nothing of this plan begins with usage"
