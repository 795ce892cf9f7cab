"""A subscription lives by the calendar: periods are paid and grant, validity goes on or ends, all of it in order."""

from __future__ import annotations

import msgspec
import pytest

from rater.errors import PlanError
from rater.plans.allowances import NEVER_MS
from rater.plans.life import begin, is_covered, needs_step, plan_at
from rater.plans.life.join import UNLIMITED_NANOS
from rater.plans.model import Expiry, RollOver
from rater.plans.terms import Billing, Leaving, ProrationTerms, Recurring, Start, Validity
from tests.rater.plans.life.building import MIN, UNIT, ZONE, Desk, minutes, plan
from tests.rater.plans.test_calendar import at

NOV_10, DEC, JAN = at("2026-11-10 08:00"), at("2026-12-01 00:00"), at("2027-01-01 00:00")


def test_a_period_is_paid_and_grants_in_one_step():
    desk = Desk([plan(allowances=(minutes(),), activation_nanos=5 * UNIT)])
    desk.begin("p", NOV_10)
    assert desk.charged() == [("begin", "11-10", "17.00")]
    assert desk.left(NOV_10) == {"minutes": 100}
    assert (desk.now.due_ms, desk.now.n) == (DEC, 1)
    assert desk.catch_up(DEC - 1) == []
    assert desk.catch_up(DEC) == ["renew"]
    assert desk.charged()[1:] == [("renew", "12-01", "12.00")]
    assert [said["period"] for said in desk.sayings("plan.renewed")] == ["2026-11-10", "2026-12-01"]
    assert desk.sayings("allowance.expired")[0]["left"] == str(100 * MIN)


def test_who_was_assigned_long_ago_catches_up_period_by_period():
    desk = Desk([plan(fee="5")])
    desk.begin("p", NOV_10)
    assert desk.catch_up(at("2027-02-15 12:00")) == ["renew"] * 3
    assert [day for _, day, _ in desk.charged()] == ["11-10", "12-01", "01-01", "02-01"]


def test_a_period_that_cannot_be_paid_holds_and_grants_nothing():
    desk = Desk([plan(allowances=(minutes(),))], "13")
    desk.begin("p", NOV_10)
    desk.catch_up(DEC)
    assert (desk.now.status, desk.holds) == ("unpaid", {"payment"})
    assert desk.left(DEC) == {}
    assert desk.sayings("plan.payment_failed") == [{"plan": "p", "fee": "12.00", "currency": "EUR", "due_ms": DEC}]
    assert desk.now.due_ms is None, "nothing is due until the wallet is refilled"
    assert desk.catch_up(at("2027-05-01 00:00")) == []


def test_a_refill_begins_the_period_that_holds_it_at_its_whole_fee():
    desk = Desk([plan(allowances=(minutes(),))], "13")
    desk.begin("p", NOV_10)
    refilled = at("2027-02-20 12:00")
    assert desk.refill("10.99", refilled) == [], "not enough"
    assert desk.refill("0.01", refilled) == ["wake"]
    assert (desk.now.status, desk.holds, desk.balance) == ("active", frozenset(), 0)
    assert desk.charged()[1:] == [("wake", "02-20", "12.00")], "December and January are not charged afterwards"
    assert desk.left(refilled) == {"minutes": 100}
    assert desk.left(refilled - 1) == {}, "what is granted late is for usage from then on"
    assert desk.now.due_ms == at("2027-03-01 00:00")


def test_a_plan_is_assigned_though_it_cannot_be_paid():
    desk = Desk([plan(activation_nanos=5 * UNIT)], "16.99")
    desk.begin("p", NOV_10)
    assert (desk.now.plan, desk.now.status, desk.balance) == ("p", "unpaid", 16_990_000_000)
    assert desk.refill("0.01", NOV_10 + 5) == ["wake"]
    assert desk.charged() == [("wake", "11-10", "17.00")]
    assert desk.holds == frozenset()


class TestFirstUsage:
    billed = plan(
        fee="1",
        billing=Billing(by="anniversary", starts=Start("first-usage")),
        activation_nanos=2 * UNIT,
        allowances=(minutes(),),
        validity=Validity(1, starts=Start("first-usage")),
    )

    def test_billing_counts_from_it_with_the_activation_fee_and_the_validity(self):
        desk = Desk([self.billed])
        desk.begin("p", NOV_10)
        assert (desk.fees, desk.now.due_ms) == ([], None)
        assert needs_step(desk.now, NOV_10 - 1), "there is no plan before that it could be of"
        used = at("2026-11-15 10:30")
        assert needs_step(desk.now, used)
        desk.use(used)
        assert desk.charged() == [("first-usage", "11-15", "3.00")]
        assert desk.now.valid_until_ms == desk.now.due_ms == at("2026-12-15 10:30")
        assert desk.sayings("sim.first_usage") == [{"plan": "p", "used_ms": used}]
        assert not needs_step(desk.now, used + 1)
        assert desk.catch_up(at("2026-12-15 10:30")) == ["validity", "renew"]

    def test_one_that_cannot_be_paid_was_none(self):
        desk = Desk([self.billed], "2.50")
        desk.begin("p", NOV_10)
        desk.use(NOV_10 + 5)
        assert (desk.now.status, desk.now.first_usage_ms, desk.said[-1].type) == ("unpaid", None, "plan.payment_failed")
        assert not needs_step(desk.now, NOV_10 + 6), "it is held, and asks no more"
        assert desk.refill("0.49", DEC) == []
        assert desk.refill("0.01", DEC) == ["wake"]
        assert desk.fees == []
        desk.use(DEC + 7)
        assert desk.charged() == [("first-usage", "12-01", "3.00")]

    def test_only_the_fee_may_wait_for_it(self):
        desk = Desk([plan(recurring=Recurring(12 * UNIT, Start("first-usage")), allowances=(minutes(),))])
        desk.begin("p", NOV_10)
        desk.catch_up(DEC)
        assert desk.fees == []
        assert desk.left(DEC) == {"minutes": 100}
        desk.use(at("2026-12-15 12:00"))
        desk.catch_up(JAN)
        assert desk.charged() == [("first-usage", "12-15", "12.00"), ("renew", "01-01", "12.00")]

    def test_one_that_comes_late_counts_from_the_present_period(self):
        desk = Desk([plan(recurring=Recurring(12 * UNIT, Start("first-usage")))])
        desk.begin("p", NOV_10)
        desk.catch_up(DEC)
        desk.use(at("2026-11-20 12:00"))
        assert desk.charged() == [("first-usage", "12-01", "12.00")]

    def test_it_is_said_once_in_the_life_of_a_sim(self):
        desk = Desk([plan(), plan("q")])
        desk.begin("p", NOV_10)
        desk.use(NOV_10)
        desk.begin("q", DEC)
        desk.use(DEC)
        assert len(desk.sayings("sim.first_usage")) == 1
        assert desk.now.first_usage_ms == DEC


def test_a_fee_that_starts_on_a_date_within_a_period_falls_due_then():
    dated = Recurring(31 * UNIT, Start("date", at("2026-12-10 00:00")))
    desk = Desk([plan(recurring=dated, proration=ProrationTerms(first="days-left"), allowances=(minutes(),))], "21.99")
    desk.begin("p", NOV_10)
    assert desk.catch_up(DEC) == ["renew"]
    assert desk.now.due_ms == at("2026-12-10 00:00")
    assert desk.catch_up(at("2026-12-10 00:00")) == ["fee"]
    assert desk.now.status == "unpaid"
    assert desk.refill("0.01", at("2026-12-12 00:00")) == ["wake"]
    assert desk.charged() == [("wake", "12-12", "22.00")]
    assert desk.left(at("2026-12-12 00:00")) == {"minutes": 100}


class TestValidity:
    def test_it_goes_on_while_something_is_available(self):
        desk = Desk([plan("p", "0", validity=Validity(1))], "0.01")
        desk.begin("p", at("2026-01-31 10:00"))
        assert desk.catch_up(at("2026-03-31 10:00")) == ["validity"] * 2
        assert desk.now.valid_until_ms == at("2026-04-30 10:00"), "counted from the anchor: the 31st comes back"

    def test_an_empty_wallet_expires_it_until_a_refill(self):
        desk = Desk([plan("p", "0", validity=Validity(1))], "0")
        desk.begin("p", NOV_10)
        assert desk.catch_up(at("2026-12-10 08:00")) == ["validity"]
        assert (desk.now.status, desk.holds, desk.now.due_ms) == ("expired", {"expired"}, None)
        assert desk.sayings("sim.expired") == [{"plan": "p", "expired_ms": at("2026-12-10 08:00")}]
        assert desk.refill("1", JAN) == ["wake"]
        assert (desk.holds, desk.now.valid_until_ms) == (frozenset(), at("2027-02-01 00:00"))

    def test_it_begins_anew_at_the_refill_also_where_it_began_with_the_first_usage(self):
        """System A."""
        desk = Desk([plan("p", "0", validity=Validity(1, starts=Start("first-usage")))], "0")
        desk.begin("p", NOV_10)
        desk.use(NOV_10)
        desk.catch_up(JAN)
        assert desk.now.status == "expired"
        assert desk.refill("1", JAN) == ["wake"]
        assert desk.now.valid_until_ms == at("2027-02-01 00:00")

    def test_what_expires_pays_no_fee_at_that_instant_and_the_wallet_is_asked_before_the_fee(self):
        desk = Desk([plan("p", "5", billing=Billing(by="anniversary"), validity=Validity(1))], "10")
        desk.begin("p", NOV_10)
        assert desk.catch_up(at("2026-12-10 08:00")) == ["validity", "renew"]
        assert (desk.balance, desk.now.status) == (0, "active"), "it was positive, then it paid"
        assert desk.catch_up(at("2027-01-10 08:00")) == ["validity"]
        assert (desk.now.status, len(desk.fees)) == ("expired", 2)

    def test_a_period_paid_before_it_expired_is_not_paid_again(self):
        desk = Desk([plan("p", "5", validity=Validity(1))], "10")
        desk.begin("p", NOV_10)
        desk.catch_up(at("2026-12-10 08:00"))
        assert desk.now.status == "expired"
        assert desk.refill("1", at("2026-12-20 00:00")) == ["wake"]
        assert len(desk.fees) == 2
        assert desk.now.due_ms == JAN

    def test_a_plan_that_is_never_renewed_stays_expired(self):
        desk = Desk([plan("p", "0", validity=Validity(1, renews="never"))], "5")
        desk.begin("p", NOV_10)
        desk.catch_up(DEC + 31 * 86_400_000)
        assert desk.refill("5", JAN) == []
        assert desk.now.status == "expired"


class TestGrants:
    def test_one_that_ends_within_a_period_ends_by_a_step_so_that_cover_ends(self):
        of = plan("p", "0", allowances=(minutes(expiry=Expiry("months", 1)),), billing=Billing(months=12))
        desk = Desk([of])
        desk.begin("p", NOV_10)
        ends = at("2026-12-10 08:00")
        assert is_covered(desk.now, desk.view, ends - 1)
        assert not is_covered(desk.now, desk.view, ends)
        assert desk.catch_up(ends) == ["expire"]
        assert len(desk.now.grants) == 1, "for late usage"
        desk.catch_up(at("2027-11-10 08:00"))
        assert [grant.from_ms for grant in desk.now.grants] == [at("2027-11-01 00:00")], "the first has gone"

    def test_late_usage_takes_from_the_period_it_was_in(self):
        desk = Desk([plan(allowances=(minutes(),))])
        desk.begin("p", NOV_10)
        desk.catch_up(DEC)
        assert desk.take(7, DEC - 1) == 7
        assert desk.left(DEC) == {"minutes": 100}
        desk.catch_up(JAN)
        assert [grant.until_ms for grant in desk.now.grants] == [JAN, at("2027-02-01 00:00")], "November's has gone"

    def test_what_rolls_over_keeps_its_id_up_to_the_maximum(self):
        desk = Desk([plan(allowances=(minutes(roll_over=RollOver(1, 30 * MIN)),))])
        desk.begin("p", NOV_10)
        desk.take(20 * MIN, NOV_10)
        desk.catch_up(DEC)
        assert desk.left(DEC) == {"minutes": 130}
        assert desk.sayings("allowance.expired") == []
        desk.take(25 * MIN, DEC)
        assert desk.left(DEC) == {"minutes": 105}
        rolled = desk.now.grants[0]
        assert rolled.left_parts(desk.used) == 5 * MIN, "what rolled over is used first"
        desk.catch_up(JAN)
        assert desk.left(JAN) == {"minutes": 130}, "5 have rolled once already; 30 of December's 100 go on"

    def test_it_rolls_over_into_a_period_begun_late_within_the_grace(self):
        for day, left in (("2026-12-03", 200), ("2026-12-05", 100)):
            desk = Desk([plan(allowances=(minutes(roll_over=RollOver()),))], "12")
            desk.begin("p", NOV_10)
            desk.refill("12", at(f"{day} 12:00"))
            assert desk.left(at(f"{day} 12:00")) == {"minutes": left}

    def test_what_never_ends_gathers_until_it_is_used_up(self):
        desk = Desk([plan(allowances=(minutes(expiry=Expiry("never")),))])
        desk.begin("p", NOV_10)
        desk.catch_up(JAN)
        assert desk.left(JAN) == {"minutes": 300}
        desk.take(150 * MIN, JAN)
        desk.catch_up(at("2027-02-01 00:00"))
        assert [grant.until_ms for grant in desk.now.grants] == [NEVER_MS] * 3, "of four, one is used up"

    def test_a_shared_allowance_covers_too_and_a_plan_may_ask_for_a_positive_balance(self):
        for of, covered in (
            (plan(allowances=(minutes(),)), True),
            (plan(allowances=(minutes(shared=True),)), True),
            (plan(allowances=(minutes(),), positive_balance=True), False),
        ):
            desk = Desk([of])
            desk.begin("p", NOV_10)
            assert is_covered(desk.now, desk.view, NOV_10) is covered


class TestVersions:
    def test_a_period_goes_by_the_version_in_force_at_its_start(self):
        desk = Desk([plan(fee="5"), plan(fee="6", version="2", since=DEC)])
        desk.begin("p", NOV_10)
        desk.catch_up(JAN)
        assert [fee for _, _, fee in desk.charged()] == ["5.00", "6.00", "6.00"]

    def test_a_plan_whose_periods_do_nothing_is_not_renewed_until_a_version_has_something(self):
        desk = Desk([plan(fee="0"), plan(fee="6", version="2", since=at("2027-02-10 00:00"), floor_nanos=-UNIT)])
        desk.begin("p", NOV_10)
        assert desk.now.due_ms == at("2027-03-01 00:00")
        assert desk.catch_up(at("2027-03-01 00:00")) == ["renew"]
        assert (desk.charged(), desk.floor) == ([("renew", "03-01", "6.00")], -UNIT)

    def test_other_periods_begin_with_the_version_that_has_them(self):
        later = plan(fee="20", version="2", since=DEC, billing=Billing(months=3, by="anniversary"))
        desk = Desk([plan(fee="5"), later])
        desk.begin("p", NOV_10)
        desk.catch_up(at("2027-03-01 00:00"))
        assert [day for _, day, _ in desk.charged()] == ["11-10", "12-01", "03-01"]


class TestInvoice:
    def test_each_period_is_closed_and_the_floor_is_the_limit(self):
        desk = Desk([plan(fee="0", settlement="invoice", invoice_limit_nanos=50 * UNIT)], "0")
        desk.begin("p", NOV_10)
        assert desk.floor == -50 * UNIT
        desk.catch_up(JAN)
        assert desk.sayings("invoice.period_closed") == [
            {"plan": "p", "from_ms": NOV_10, "until_ms": DEC},
            {"plan": "p", "from_ms": DEC, "until_ms": JAN},
        ]

    def test_the_floor_goes_back_with_a_plan_that_states_none(self):
        desk = Desk([plan("i", settlement="invoice"), plan("p", "0"), plan("f", "0", floor_nanos=-3 * UNIT)], "0")
        desk.begin("i", NOV_10)
        assert (desk.floor, desk.now.status) == (UNLIMITED_NANOS, "active"), "the floor moves before the fee"
        desk.begin("p", DEC)
        assert desk.floor == 0
        desk.floor = -7
        desk.begin("p", DEC + 1)
        assert desk.floor == -7, "none of the two states one: it is the operator's"
        desk.begin("f", DEC + 2)
        assert desk.floor == -3 * UNIT


class TestAssignment:
    def test_another_plan_goes_on_counting_and_the_one_before_is_past(self):
        desk = Desk([plan(allowances=(minutes(),)), plan("q", allowances=(minutes(50),))])
        desk.begin("p", NOV_10)
        desk.begin("q", DEC - 5)
        assert (desk.now.n, desk.now.past) == (2, ((NOV_10, DEC - 5, "p"),))
        assert [plan_at(desk.now, when) for when in (NOV_10 - 1, NOV_10, DEC - 6, DEC - 5)] == ["", "p", "p", "q"]
        assert desk.left(DEC - 5) == {"minutes": 50}, "what is left is forfeited"
        assert desk.left(DEC - 6) == {"minutes": 100}, "but for usage before"

    def test_unused_allowances_are_kept_where_the_plan_says_so(self):
        kept = plan(allowances=(minutes(),), leaving=Leaving(unused="kept"))
        desk = Desk([kept, plan("q", "0")])
        desk.begin("p", NOV_10)
        desk.begin("q", DEC - 5)
        assert desk.left(DEC - 5) == {"minutes": 100}

    def test_unknown_plans_and_volumes_name_their_field(self):
        desk = Desk([plan(since=NOV_10)])
        for field, args in (("plan", ("x", DEC, None)), ("plan", ("p", NOV_10 - 1, None)), ("volume", ("p", DEC, 0))):
            with pytest.raises(PlanError) as error:
                begin(None, args[0], args[1], ZONE, args[2], desk.view)
            assert error.value.field == field


def test_a_subscription_is_small_where_little_of_it_is_used():
    desk = Desk([plan(fee="0")])
    desk.begin("p", NOV_10)
    text = msgspec.json.encode(desk.now)
    assert msgspec.json.decode(text, type=type(desk.now)) == desk.now
    assert len(text) < 200, text
