"""A change of plan is previewed with its exact terms, and with everything that stands in its way."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rater.money import NANOS, format_nanos, parse_nanos
from rater.plans.account import Account
from rater.plans.allowances import grant
from rater.plans.calendar import Periods
from rater.plans.change import ChangePreview, combined, direction_of, migration_due, preview_change
from rater.plans.due import Due
from rater.plans.model import Capacity, Plan
from rater.plans.proration import minor_step_nanos
from rater.plans.terms import Billing, Joining, Leaving, ProrationTerms, Recurring, Start, Timing
from tests.rater.plans.examples import example
from tests.rater.plans.test_calendar import at

NEW_YORK, BERLIN = "America/New_York", "Europe/Berlin"


def account(plan: Plan, since: str, zone: str = NEW_YORK, **fields: Any) -> Account:
    """An account that has had a plan since a day's midnight, with 100 units, asked for by its owner."""
    periods = Periods(zone, at(f"{since} 00:00", zone), plan.billing.months, plan.billing.by)
    usual = {"available_nanos": 100 * NANOS, "role": "owner", "owner": "ada"}
    return Account(**{"plan": plan, "zone": zone, "periods": periods, **usual, **fields})


def reasons(preview: ChangePreview) -> list[str]:
    """What stands in the way."""
    return [refusal.reason for refusal in preview.refusals]


class TestVoicePlans:
    """System D: at once, the days after the change, minutes forfeited, channels kept."""

    a, b = example("d-voice-a"), example("d-voice-b")

    def preview(self, day: str = "2026-11-15") -> ChangePreview:
        """From A to B at noon, with 400 minutes left and 4 channels bought."""
        periods = Periods(NEW_YORK, at("2026-11-01 00:00", NEW_YORK), by="month-end")
        minutes = grant("minutes/1", self.a.allowances[0], periods.period(0), NEW_YORK, quantity_parts=400 * 60_000)
        holder = account(self.a, "2026-11-01", balances=(minutes,), bought=Capacity(channels=4))
        return preview_change(holder, self.b, at(f"{day} 12:00", NEW_YORK))

    def test_the_story_on_the_15th_of_a_month_of_30_days(self):
        preview = self.preview()
        assert preview.refusals == ()
        assert preview.direction == "upgrade"
        assert preview.when_ms == at("2026-11-15 12:00", NEW_YORK)
        assert format_nanos(preview.charged_now_nanos) == "6.00"
        assert format_nanos(self.a.fee_nanos() + preview.charged_now_nanos) == "11.00", "in total for the month"
        assert preview.next_fee == Due(at("2026-12-01 00:00", NEW_YORK), 12 * NANOS)
        assert [(left.id, left.parts // 60_000) for left in preview.forfeited] == [("minutes/1", 400)]
        assert preview.kept == ()
        (granted,) = preview.granted
        assert (granted.left_parts // 60_000, granted.from_ms) == (2_000, preview.when_ms), "B's minutes count from now"
        assert granted.until_ms == at("2026-12-01 00:00", NEW_YORK)
        assert preview.capacity.channels == 6

    @pytest.mark.parametrize(("day", "cost"), [("2026-11-01", "11.60"), ("2026-11-15", "6.00"), ("2026-11-30", "0.00")])
    def test_on_the_first_and_the_last_day(self, day, cost):
        assert format_nanos(self.preview(day).charged_now_nanos) == cost

    def test_two_changes_on_one_day_each_cost_their_own_days_after(self):
        """Back to A costs A's days, as B is never refunded."""
        holder = account(self.b, "2026-11-01")
        back = preview_change(holder, self.a, at("2026-11-15 15:00", NEW_YORK))
        assert (back.direction, format_nanos(back.charged_now_nanos)) == ("downgrade", "2.50")

    def test_at_the_instant_a_month_starts_the_whole_fee_is_due(self):
        preview = preview_change(account(self.a, "2026-11-01"), self.b, at("2026-12-01 00:00", NEW_YORK))
        assert format_nanos(preview.charged_now_nanos) == "12.00"

    def test_a_wallet_that_is_short_is_told_by_how_much(self):
        holder = account(self.a, "2026-11-01", available_nanos=parse_nanos("5.99"))
        assert format_nanos(preview_change(holder, self.b, at("2026-11-15 12:00", NEW_YORK)).short_nanos) == "0.01"


class TestQuotaToUsage:
    """System B: only the owner, at the end of the month, with payment details; frozen but for the migration."""

    quota, usage = example("b-quota"), example("b-usage-invoiced")
    asked = at("2026-11-15 12:00")

    def preview(self, new: Plan | None = None, **fields: Any) -> ChangePreview:
        """Asked for on November 15."""
        usual = {"has_payment_details": True}
        holder = account(self.quota, "2026-11-01", BERLIN, **{**usual, **fields})
        return preview_change(holder, new or self.usage, self.asked)

    def test_the_quota_stays_until_the_month_ends_and_usage_is_paid_from_the_1st(self):
        period = Periods(BERLIN, at("2026-11-01 00:00"), by="month-end").period(0)
        quota = grant("quota/1", self.quota.allowances[0], period, BERLIN)
        preview = self.preview(balances=(quota,))
        assert preview.refusals == ()
        assert preview.when_ms == at("2026-12-01 00:00")
        assert preview.charged_now_nanos == 0
        assert [(left.id, left.until_ms) for left in preview.kept] == [("quota/1", at("2026-12-01 00:00"))]
        assert preview.forfeited == ()
        assert preview.capacity.channels == 10

    def test_who_may_not_ask_is_told_who_can(self):
        (refusal,) = self.preview(role="manager").refusals
        assert (refusal.reason, refusal.detail) == (
            "not_allowed", "only the owner (ada) may change plan quota-2019",
        )  # fmt: skip

    def test_without_payment_details_it_is_refused(self):
        assert reasons(self.preview(has_payment_details=False)) == ["no_payment_details"]

    def test_to_any_other_plan_it_is_frozen(self):
        (refusal,) = self.preview(example("a-sim-payg")).refusals
        assert (refusal.reason, refusal.detail) == (
            "frozen", "plan quota-2019 cannot be changed any more, only migrated to usage-invoiced",
        )  # fmt: skip

    def test_everything_that_stands_in_the_way_is_told_at_once(self):
        found = self.preview(example("c-credits-custom"), role="reader")
        assert reasons(found) == ["frozen", "not_allowed", "quote_only"]

    def test_from_its_date_on_whoever_is_left_is_switched(self):
        day = at("2027-04-01 00:00")
        assert migration_due(self.quota, day - 1) == ""
        assert migration_due(self.quota, day) == "usage-invoiced"
        assert migration_due(self.usage, day) == ""


class TestCredits:
    """System C: up at once and down at the next period; the balance must be positive before an upgrade."""

    free, email, omni = (example(f"c-credits-{name}") for name in ("free", "email", "omnichannel"))
    asked = at("2026-11-15 12:00")

    def test_an_upgrade_is_at_once_with_a_period_of_its_own_at_the_volumes_price(self):
        preview = preview_change(account(self.email, "2026-11-10", BERLIN, volume=0), self.omni, self.asked, 1)
        assert (preview.direction, preview.refusals) == ("upgrade", ())
        assert preview.when_ms == self.asked
        assert format_nanos(preview.charged_now_nanos) == "179.00"
        assert [(balance.left_parts // balance.allowance.parts_per_credit) for balance in preview.granted] == [100_000]
        assert preview.next_fee == Due(at("2026-12-15 12:00"), 179 * NANOS)

    def test_a_downgrade_waits_for_the_next_period_and_costs_nothing_now(self):
        preview = preview_change(account(self.omni, "2026-11-10", BERLIN, volume=0), self.email, self.asked, 2)
        assert (preview.direction, preview.charged_now_nanos) == ("downgrade", 0)
        assert preview.when_ms == at("2026-12-10 00:00")
        assert format_nanos(preview.fee_nanos) == "89.00"

    @pytest.mark.parametrize(("volume", "when"), [(2, "2026-11-15 12:00"), (0, "2026-12-10 00:00")])
    def test_more_volume_is_at_once_and_less_at_the_next_period(self, volume, when):
        holder = account(self.email, "2026-11-10", BERLIN, volume=1)
        assert preview_change(holder, self.email, self.asked, volume).when_ms == at(when)

    def test_an_upgrade_needs_a_positive_balance(self):
        holder = account(self.free, "2026-11-10", BERLIN, available_nanos=0)
        assert reasons(preview_change(holder, self.email, self.asked, 0)) == ["balance_not_positive"]
        down = account(self.omni, "2026-11-10", BERLIN, volume=0, available_nanos=0)
        assert reasons(preview_change(down, self.email, self.asked, 0)) == []

    def test_what_a_plan_does_not_offer_is_refused(self):
        free = msgspec.structs.replace(self.free, rank=9)
        assert reasons(preview_change(account(free, "2026-11-10", BERLIN), self.email, self.asked, 0)) == [
            "not_offered"
        ]

    @pytest.mark.parametrize("volume", [None, -1, 3])
    def test_a_plan_with_a_scale_needs_one_of_its_volumes(self, volume):
        preview = preview_change(account(self.free, "2026-11-10", BERLIN), self.email, self.asked, volume)
        assert (reasons(preview), preview.fee_nanos) == (["no_volume"], 0)
        assert preview.refusals[0].detail == "plan credits-email: choose one of its 3 volumes"

    def test_a_plan_without_a_scale_takes_no_volume(self):
        preview = preview_change(account(self.email, "2026-11-10", BERLIN, volume=0), self.free, self.asked, 1)
        assert "no_volume" in reasons(preview)

    def test_the_same_plan_and_volume_is_no_change(self):
        holder = account(self.email, "2026-11-10", BERLIN, volume=0)
        assert "no_change" in reasons(preview_change(holder, self.email, self.asked, 0))


def test_what_was_bought_besides_the_plan_is_not_forfeited():
    plan = example("e-minutes")
    plan = msgspec.structs.replace(plan, leaving=Leaving(unused="forfeited"))
    period = Periods(NEW_YORK, at("2026-11-01 00:00", NEW_YORK)).period(0)
    own = grant("own", plan.allowances[0], period, NEW_YORK)
    bundle = grant("bundle", plan.addons[0].allowances[0], period, NEW_YORK)
    holder = account(plan, "2026-11-01", balances=(own, bundle))
    preview = preview_change(holder, example("d-voice-b"), at("2026-11-15 12:00", NEW_YORK))
    assert [left.id for left in preview.forfeited] == ["own"]
    assert [left.id for left in preview.kept] == ["bundle"]


def test_a_plan_that_begins_with_first_usage_charges_and_grants_nothing_at_the_change():
    plan = msgspec.structs.replace(example("a-sim-payg"), allowances=example("c-credits-free").allowances)
    preview = preview_change(account(example("b-usage-invoiced"), "2026-11-01", BERLIN), plan, at("2026-11-15 12:00"))
    assert (preview.fee_nanos, preview.next_fee, preview.periods, preview.granted) == (0, None, None, ())


def test_a_fee_from_a_later_date_is_the_next_one():
    """In November nothing, from December 10 on the share of a first period."""
    recurring = Recurring(12 * NANOS, Start("date", at("2026-12-10 00:00")))
    plan = msgspec.structs.replace(
        example("b-usage-invoiced"), recurring=recurring, proration=ProrationTerms(first="days-left")
    )
    preview = preview_change(account(example("a-sim-payg"), "2026-11-01", BERLIN), plan, at("2026-11-15 12:00"))
    assert (preview.fee_nanos, preview.next_fee) == (0, Due(at("2026-12-10 00:00"), parse_nanos("8.52")))


def test_a_plan_that_begins_on_a_later_date_grants_from_then_on():
    starts_ms = at("2026-12-10 00:00", NEW_YORK)
    plan = msgspec.structs.replace(example("d-voice-b"), billing=Billing(starts=Start("date", starts_ms)))
    preview = preview_change(account(example("d-voice-a"), "2026-11-01"), plan, at("2026-11-15 12:00", NEW_YORK))
    assert (preview.fee_nanos, preview.next_fee) == (0, Due(starts_ms, 12 * NANOS))
    assert [balance.from_ms for balance in preview.granted] == [starts_ms]


def test_an_activation_fee_is_due_with_the_change():
    preview = preview_change(account(example("d-voice-a"), "2026-11-01"), example("e-minutes"),
                             at("2026-11-15 12:00", NEW_YORK))  # fmt: skip
    assert (format_nanos(preview.fee_nanos), format_nanos(preview.charged_now_nanos)) == ("29.00", "34.00")


def test_a_plan_that_refunds_gives_back_the_days_after():
    refunding = msgspec.structs.replace(example("d-voice-a"), leaving=Leaving(refund="days-after"))
    preview = preview_change(account(refunding, "2026-11-01"), example("d-voice-b"), at("2026-11-15 12:00", NEW_YORK))
    assert (format_nanos(preview.refund_nanos), format_nanos(preview.charged_now_nanos)) == ("2.50", "3.50")


def test_at_a_renewal_there_is_nothing_to_refund():
    leaving = Leaving(refund="days-after", upgrade=Timing("next-period"))
    refunding = msgspec.structs.replace(example("d-voice-a"), leaving=leaving)
    preview = preview_change(account(refunding, "2026-11-01"), example("d-voice-b"), at("2026-11-15 12:00", NEW_YORK))
    assert (preview.refund_nanos, format_nanos(preview.fee_nanos)) == (0, "12.00")


def test_on_a_date_is_at_once_when_the_date_has_passed():
    leaving = Leaving(upgrade=Timing("date", at("2026-11-20 00:00", NEW_YORK)))
    dated = msgspec.structs.replace(example("d-voice-a"), leaving=leaving)
    when = [preview_change(account(dated, "2026-11-01"), example("d-voice-b"), at(text, NEW_YORK)).when_ms
            for text in ("2026-11-15 12:00", "2026-11-21 12:00")]  # fmt: skip
    assert when == [at("2026-11-20 00:00", NEW_YORK), at("2026-11-21 12:00", NEW_YORK)]


def test_an_account_that_was_never_used_changes_at_once_and_its_periods_begin():
    holder = msgspec.structs.replace(account(example("a-sim-payg"), "2026-11-01", BERLIN), periods=None)
    preview = preview_change(holder, example("b-usage-invoiced"), at("2026-11-15 12:00"))
    assert preview.periods is not None
    assert preview.periods.anchor_ms == at("2026-11-15 12:00")


@pytest.mark.parametrize(
    ("included", "bought", "extras", "after"),
    [(2, 4, "add", 6), (2, 4, "larger", 4), (2, 4, "drop", 2), (None, 4, "add", None), (2, None, "add", 2)],
)
def test_bought_capacity_is_added_compared_or_dropped(included, bought, extras, after):
    found = combined(Capacity(channels=included, queue_priority=3), Capacity(channels=bought, queue_priority=1), extras)
    assert (found.channels, found.queue_priority) == (after, 3)


def test_up_and_down_go_by_rank_and_then_by_fee():
    a, b = example("d-voice-a"), example("d-voice-b")
    assert (direction_of(a, b), direction_of(b, a), direction_of(a, a)) == ("upgrade", "downgrade", "upgrade")
    same_rank = msgspec.structs.replace(b, rank=a.rank)
    assert direction_of(same_rank, a) == "downgrade"


PLANS = [example(name) for name in ("d-voice-a", "d-voice-b", "e-minutes")]


@given(
    st.sampled_from(PLANS),
    st.sampled_from(PLANS),
    st.integers(at("2026-11-01 00:00", NEW_YORK), at("2029-11-01 00:00", NEW_YORK)),
    st.sampled_from(["keep", "restart"]),
    st.sampled_from(["at-once", "next-period", "month-end"]),
    st.sampled_from(["none", "days-after"]),
)
def test_a_change_never_costs_more_than_a_period_nor_gives_back_more_than_was_paid(
    old, new, asked, period, when, refund
):
    old = msgspec.structs.replace(old, leaving=Leaving(upgrade=Timing(when), downgrade=Timing(when), refund=refund))
    new = msgspec.structs.replace(new, joining=Joining(period=period))
    preview = preview_change(account(old, "2026-11-01"), new, asked)
    assert preview.when_ms >= asked
    assert 0 <= preview.fee_nanos <= new.fee_nanos()
    assert 0 <= preview.refund_nanos <= old.fee_nanos()
    assert preview.charged_now_nanos % minor_step_nanos("USD") == 0
    assert preview.next_fee is not None
    assert preview.next_fee.at_ms > preview.when_ms
    if preview.when_ms > asked:
        assert preview.charged_now_nanos == 0
