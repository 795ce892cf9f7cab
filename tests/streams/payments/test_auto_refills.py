"""Refills that are asked for by themselves: when, how often, with what caps, and what is told when they fail."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from rater.money import parse_nanos
from rater.payments.model import Means
from rater.wallet.entry import Kind
from tests.streams.payments.building import DAY_MS, HOUR_MS, MINUTE_MS, NOW_MS, Shop

COOL_MS = MINUTE_MS


@pytest.fixture
async def low(till: Shop) -> Shop:
    """A wallet with 20.00 and a good card, refilled for 10.00 (given 11.00) when 5.00 or less are left."""
    await till.apply(Kind.CREDIT, "w", "20")
    await till.saved()
    await till.auto_refill()
    await till.settle()
    await till.news()
    return till


async def spend(till: Shop, money: str, wallet: str = "w") -> None:
    """Money goes, and what the wallet says is heard."""
    await till.apply(Kind.DEBIT, wallet, money)
    await hear(till)


async def hear(till: Shop) -> list[str]:
    """Publish, and let the follower hear it; answers the types that came."""
    types = [sort for sort, _ in await till.news()]
    for notice in till.notices:
        await till.payments._hear(notice)
    till.notices.clear()
    await till.settle()
    return types


def paid_units(till: Shop) -> int:
    return sum(intent["amount"] for intent in till.stripe.paid)


async def test_a_wallet_that_runs_low_is_refilled_once(low: Shop) -> None:
    await spend(low, "14.99")
    assert (await low.balance(), paid_units(low)) == ("5.01", 0), "above the threshold"
    await spend(low, "0.01")
    assert (await low.balance(), paid_units(low)) == ("16.00", 1_000)
    found = await low.auto()
    assert (found.request, found.state.in_flight, found.state.requests) == (None, False, 1)
    assert (await low.payments.desk.page("t", "wallet", "w", 9))[0][0].purpose.kind == "auto-refill"


async def test_the_threshold_is_put_on_the_wallet_and_one_that_is_low_already_is_refilled(till: Shop) -> None:
    await till.saved()
    await till.auto_refill()
    await till.settle()
    state = await till.store.wallet("t", "w")
    assert state is not None
    assert state.threshold_nanos == parse_nanos("5")
    assert (await till.balance(), paid_units(till)) == ("11.00", 1_000)


async def test_a_notice_that_comes_twice_and_two_processes_pay_once(low: Shop) -> None:
    await low.apply(Kind.DEBIT, "w", "16")
    await low.news()
    (told,) = low.notices
    others = [low.process() for _ in range(3)]
    await asyncio.gather(*(other._hear(told) for other in others))
    await asyncio.gather(*(other.look_once() for other in others), *(other.look_once() for other in others))
    await low.settle()
    assert (await low.balance(), paid_units(low)) == ("15.00", 1_000)


async def test_while_one_is_in_flight_none_is_asked_for_however_long(low: Shop) -> None:
    await low.saved("pm_later")
    await spend(low, "16")
    for _ in range(5):
        await low.later(DAY_MS)
        await spend(low, "0.50")
    assert len(low.stripe.intents) == 1
    low.stripe.decide("pi_1", "succeeded")
    await low.hear(low.stripe.told("pi_1"))
    await low.settle()
    assert await low.balance() == "12.50"
    assert (await low.auto()).request is None


async def test_after_one_it_cools_down_and_is_looked_at_again_by_time_alone(low: Shop) -> None:
    await spend(low, "16")
    await spend(low, "14")
    assert (await low.balance(), paid_units(low)) == ("1.00", 1_000)
    await low.later(COOL_MS - 1)
    assert paid_units(low) == 1_000
    await low.later(1)
    assert (await low.balance(), paid_units(low)) == ("12.00", 2_000)


async def test_the_caps_of_day_and_month_are_kept_to_the_cent_and_their_end_is_not_missed(till: Shop) -> None:
    """2.00 are used an hour from November 1 on; 20.00 may be paid a day, 50.00 a month."""
    await till.saved()
    twenty, fifty = parse_nanos("20"), parse_nanos("50")
    await till.auto_refill(day_max_nanos=twenty, month_max_nanos=fifty)
    for _ in range(4 * 24):
        await spend(till, "2")
        await till.later(HOUR_MS)
    payments, _ = await till.payments.desk.page("t", "wallet", "w", 99)
    by_day = Counter((payment.created_ms - NOW_MS) // DAY_MS for payment in payments)
    assert by_day == {0: 2, 1: 2, 2: 1}
    assert paid_units(till) == 5_000
    await till.later(26 * DAY_MS - 1)
    assert paid_units(till) == 5_000
    await till.later(1)
    assert paid_units(till) == 6_000, "December 1, without anything else happening"


async def test_a_decline_is_told_waits_longer_each_time_and_switches_off(low: Shop) -> None:
    await low.saved("pm_declined")
    await low.apply(Kind.DEBIT, "w", "16")
    assert await hear(low) == ["wallet.low_balance"]
    told = await hear(low)
    assert told == ["payment.declined", "wallet.auto_refill_failed"]
    await low.later(5 * MINUTE_MS - 1)
    assert len(low.stripe.intents) == 1
    await low.later(1)
    assert len(low.stripe.intents) == 2
    await low.later(10 * MINUTE_MS - 1)
    assert len(low.stripe.intents) == 2
    await low.later(1)
    found = await low.auto()
    assert (len(low.stripe.intents), found.state.is_off) == (3, True)
    await low.news()
    last = low.notices[-1]
    assert (last.type, last.data["declines"], last.data["reason"]) == (
        "wallet.auto_refill_off", 3, "insufficient_funds",
    )  # fmt: skip
    assert [notice.type for notice in low.notices].count("wallet.auto_refill_failed") == 2
    await low.later(40 * DAY_MS)
    assert len(low.stripe.intents) == 3


async def test_it_is_switched_on_by_setting_it_again(low: Shop) -> None:
    await low.saved("pm_declined")
    await low.auto_refill(declines_max=1)
    await spend(low, "16")
    assert (await low.auto()).state.is_off
    await low.saved("pm_ok")
    await low.auto_refill(declines_max=1)
    await low.later(COOL_MS)
    assert (await low.balance(), (await low.auto()).state.is_off) == ("15.00", False)


async def test_a_declined_request_counts_towards_no_cap(low: Shop) -> None:
    await low.saved("pm_declined")
    await low.auto_refill(day_max_nanos=parse_nanos("10"))
    await spend(low, "16")
    await low.saved("pm_ok")
    await low.later(5 * MINUTE_MS)
    assert paid_units(low) == 1_000
    assert (await low.auto()).state.day_nanos == parse_nanos("10")


async def test_a_time_out_is_no_answer(low: Shop) -> None:
    low.stripe.faults += ["lost after", "lost before", "fault", "busy"]
    await spend(low, "16")
    assert (await low.auto()).request is not None
    for _ in range(8):
        await low.later(10 * MINUTE_MS)
        await spend(low, "0.10")
    assert (len(low.stripe.intents), paid_units(low)) == (1, 1_000)
    assert await low.balance() == "14.20"


async def test_a_company_is_refilled_from_the_wallet_above(till: Shop) -> None:
    await till.wallet("org", "25")
    await till.auto_refill(method="parent", parent="org")
    await till.settle()
    assert (await till.balance(), await till.balance("org")) == ("11.00", "15.00")
    await till.later(HOUR_MS)
    await spend(till, "10")
    await till.later(HOUR_MS)
    await spend(till, "10")
    assert (await till.balance("org"), (await till.auto()).state.declines) == ("5.00", 1)
    assert (await till.payments.desk.page("t", "", "", 9))[0][0].reason == "insufficient_balance"


async def test_an_invoice_is_in_flight_until_it_is_paid(till: Shop) -> None:
    await till.auto_refill(method="invoice", offer="trusted")
    await till.settle()
    assert await till.balance() == "50.00", "given at once"
    await spend(till, "49")
    await till.later(DAY_MS)
    assert await till.balance() == "1.00"
    found = await till.auto()
    assert found.request is not None
    await till.payments.desk.confirm(await till.payment(found.request.payment))
    await till.settle()
    assert await till.balance() == "51.00"


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ({"offer": "gone"}, "no_offer"),
        ({"payment_method": "gone"}, "no_payment_method"),
        ({"plan": "gone"}, "no_offer"),
    ],
)
async def test_what_cannot_be_done_any_more_is_told_and_off(till: Shop, terms: dict[str, Any], why: str) -> None:
    await till.saved()
    await till.auto_refill(**terms)
    await till.settle()
    await till.later(DAY_MS)
    await till.news()
    told = [(notice.type, notice.data["reason"]) for notice in till.notices if notice.type.startswith("wallet.auto")]
    assert told == [("wallet.auto_refill_off", why)]
    assert await till.redis.zcard("{due:auto-refills}") == 0


async def test_an_offer_that_goes_while_a_request_is_in_flight_is_told_once_that_has_ended(low: Shop) -> None:
    """The wallet said that it was low when the request was made, and does not say it again."""
    await low.saved("pm_later")
    await spend(low, "16")
    await low.auto_refill(offer="gone")
    await low.settle()
    assert not (await low.auto()).state.is_off
    low.stripe.decide("pi_1", "requires_payment_method", "no")
    await low.hear(low.stripe.told("pi_1"))
    await low.settle()
    await low.news()
    assert [n.data["reason"] for n in low.notices if n.type == "wallet.auto_refill_off"] == ["no_offer"]
    assert await low.redis.zcard("{due:auto-refills}") == 0


async def test_one_that_is_disabled_asks_for_nothing(low: Shop) -> None:
    await low.auto_refill(enabled=False)
    await spend(low, "16")
    await low.later(DAY_MS)
    assert low.stripe.intents == {}


async def test_new_terms_do_not_touch_what_is_in_flight(low: Shop) -> None:
    low.stripe.faults.append("lost before")
    await spend(low, "16")
    await low.auto_refill(offer="large", payment_method="other")
    await low.later(2 * MINUTE_MS)
    (intent,) = low.stripe.paid
    assert (intent["amount"], await low.balance()) == (1_000, "15.00")


async def test_terms_are_set_only_upon_what_was_read(low: Shop) -> None:
    stands = await low.auto()
    assert await low.payments.auto_refills.set(stands, stands.version + 1) is None
    assert await low.payments.auto_refills.set(stands, 0) is None
    assert (await low.auto()).version == stands.version


async def test_a_saved_method_is_what_the_request_was_made_with(low: Shop) -> None:
    low.stripe.faults.append("lost before")
    await spend(low, "16")
    await low.saved("pm_declined")
    request = (await low.auto()).request
    assert request is not None
    assert request.means == Means("cus_1", "pm_ok")
    await low.later(2 * MINUTE_MS)
    assert paid_units(low) == 1_000
