"""Payments by card against a server that speaks Stripe, by invoice, and from the wallet above."""

from __future__ import annotations

import asyncio

import pytest

from rater.wallet.entry import Kind
from streams.payments.desk import PaymentError
from streams.payments.provider import NoAnswerError, WebhookError
from tests.streams.payments.building import DAY_MS, HOUR_MS, MINUTE_MS, Shop

GIVEN = [("payment.confirmed", "120.00")]


async def due(till: Shop) -> int:
    return int(await till.redis.zcard("{due:payments}"))


async def test_a_card_that_is_good_gives_the_balance_and_says_so(till: Shop) -> None:
    paid = await till.pay()
    assert (paid.status, paid.reference, paid.open) == ("confirmed", "pi_1", ())
    assert await till.balance() == "120.00"
    assert await till.news() == GIVEN
    assert await due(till) == 0
    (intent,) = till.stripe.paid
    assert (intent["amount"], intent["currency"]) == (10_000, "eur")


async def test_the_same_payment_again_is_the_one_that_was_made(till: Shop) -> None:
    await till.pay()
    till.now_ms += DAY_MS
    again, is_new = await till.payments.desk.start(till.wanted())
    assert (again.status, is_new) == ("confirmed", False)
    assert (len(till.stripe.paid), await till.balance()) == (1, "120.00")


async def test_a_card_that_is_declined_gives_nothing_and_nobody_can_pay_it_later(till: Shop) -> None:
    declined = await till.pay("pm_declined")
    assert (declined.status, declined.reason) == ("declined", "insufficient_funds")
    assert till.stripe.intents["pi_1"]["status"] == "canceled"
    assert await till.balance() == "0.00"
    assert await till.news() == [("payment.declined", "0.00")]
    assert till.notices[0].data["reason"] == "insufficient_funds"
    assert await due(till) == 0


async def test_a_payment_that_makes_no_sense_to_stripe_is_declined(till: Shop) -> None:
    assert (await till.pay("pm_unknown")).reason == "resource_missing"


@pytest.mark.parametrize("fault", ["lost before", "lost after", "fault", "busy"])
async def test_no_answer_is_no_decline_and_the_timer_finds_out(till: Shop, fault: str) -> None:
    """Whatever happened to the first call, one payment is made; a fault that Stripe remembers hides nothing."""
    till.stripe.faults.append(fault)
    assert (await till.pay()).status == "created"
    assert await till.balance() == "0.00"
    await till.later(MINUTE_MS + 1)
    assert (await till.payment()).status == "confirmed"
    assert (len(till.stripe.paid), await till.balance(), await till.news()) == (1, "120.00", GIVEN)


async def test_a_time_out_at_a_declined_card_comes_out_as_declined(till: Shop) -> None:
    till.stripe.faults += ["lost after"]
    assert (await till.pay("pm_declined")).status == "created"
    await till.later(MINUTE_MS + 1)
    assert ((await till.payment()).status, till.stripe.paid) == ("declined", [])


async def test_a_decline_is_not_believed_before_its_intent_is_closed(till: Shop) -> None:
    till.stripe.faults += ["", "lost before"]
    assert (await till.pay("pm_declined")).status == "created"
    await till.later(MINUTE_MS + 1)
    assert (await till.payment()).status == "declined"
    assert till.stripe.intents["pi_1"]["status"] == "canceled"


async def test_no_second_payment_is_made_when_stripe_has_forgotten_the_key(till: Shop) -> None:
    """The answer was lost, and Stripe away for a day: the payment is found by our id, not made again."""
    till.stripe.faults += ["lost after"]
    await till.pay()
    till.stripe.faults += ["lost before"] * 40
    for _ in range(30):
        await till.later(HOUR_MS)
    till.stripe.forget_keys()
    till.stripe.faults.clear()
    await till.later(7 * HOUR_MS)
    assert ((await till.payment()).status, len(till.stripe.intents)) == ("confirmed", 1)


async def test_what_stripe_never_made_is_declined_once_its_key_is_forgotten(till: Shop) -> None:
    till.stripe.faults += ["lost before"] * 2
    await till.pay()
    till.now_ms += 23 * HOUR_MS
    till.stripe.faults.clear()
    await till.settle()
    assert (await till.payment()).status == "created", "a late call may still arrive"
    await till.later(7 * HOUR_MS)
    payment = await till.payment()
    assert ((payment.status, payment.reason), till.stripe.intents) == (("declined", "not_made"), {})


async def test_a_method_that_confirms_later_is_pending_until_the_webhook_tells(till: Shop) -> None:
    assert (await till.pay("pm_later")).status == "pending"
    assert await till.news() == [("payment.pending", "0.00")]
    till.stripe.decide("pi_1", "succeeded")
    for _ in range(3):
        found = await till.hear(till.stripe.told("pi_1"))
        assert found is not None
        assert found.status == "confirmed"
    assert (await till.balance(), await till.news(), await due(till)) == ("120.00", GIVEN, 0)


async def test_without_a_webhook_the_timer_finds_out(till: Shop) -> None:
    await till.pay("pm_later")
    await till.later(MINUTE_MS + 1)
    assert (await till.payment()).status == "pending"
    till.stripe.decide("pi_1", "succeeded")
    await till.later(2 * MINUTE_MS + 1)
    assert await till.balance() == "120.00"


async def test_a_method_that_fails_later_is_declined(till: Shop) -> None:
    await till.pay("pm_later")
    till.stripe.decide("pi_1", "requires_payment_method", "debit_not_authorized")
    found = await till.hear(till.stripe.told("pi_1"))
    assert found is not None
    assert (found.status, found.reason) == ("declined", "debit_not_authorized")
    assert till.stripe.intents["pi_1"]["status"] == "canceled"


async def test_a_webhook_may_come_before_our_own_call_has_returned(till: Shop) -> None:
    till.stripe.faults += ["lost after"]
    await till.pay()
    found = await till.hear(till.stripe.told("pi_1"))
    assert found is not None
    assert (found.status, found.reference) == ("confirmed", "pi_1")
    await till.later(MINUTE_MS + 1)
    assert (await till.balance(), await till.news()) == ("120.00", GIVEN)


async def test_a_payer_pays_in_the_browser_after_a_card_that_failed(till: Shop) -> None:
    waiting = await till.pay("")
    assert (waiting.status, waiting.client_secret) == ("pending", "pi_1_secret")
    till.stripe.decide("pi_1", "requires_payment_method", "card_declined")
    await till.hear(till.stripe.told("pi_1"))
    assert (await till.payment()).status == "pending", "the payer tries another card"
    till.stripe.decide("pi_1", "succeeded")
    await till.hear(till.stripe.told("pi_1"))
    payment = await till.payment()
    assert (payment.status, payment.client_secret) == ("confirmed", "")


async def test_a_payer_who_leaves_is_not_waited_for_longer_than_a_day(till: Shop) -> None:
    await till.pay("")
    for _ in range(30):
        await till.later(HOUR_MS)
    payment = await till.payment()
    assert (payment.status, payment.reason) == ("cancelled", "abandoned")
    assert (till.stripe.intents["pi_1"]["status"], await due(till)) == ("canceled", 0)


async def test_a_webhook_that_is_not_signed_by_stripe_is_refused(till: Shop) -> None:
    await till.pay("pm_later")
    for headers, body in (
        till.stripe.webhook("payment_intent.succeeded", till.stripe.intents["pi_1"], "whsec_other"),
        ({}, till.stripe.told("pi_1")[1]),
        (till.stripe.told("pi_1")[0], b"{}"),
        ({"stripe-signature": "x"}, b"\xff"),
    ):
        with pytest.raises(WebhookError):
            await till.payments.providers["card"].read_webhook(headers, body)


async def test_a_webhook_about_somebody_elses_intent_changes_nothing(till: Shop) -> None:
    await till.pay("pm_later")
    theirs = till.stripe.intents["pi_1"] | {"id": "pi_9", "metadata": {}}
    assert await till.hear(till.stripe.webhook("payment_intent.succeeded", theirs)) is None
    named = theirs | {"metadata": {"rater_tenant": "t", "rater_payment": "pay_1"}}
    assert await till.hear(till.stripe.webhook("payment_intent.succeeded", named)) is None, "not the one we know"
    assert await till.hear(till.stripe.webhook("customer.created", {"id": "cus_1", "object": "customer"})) is None
    assert await till.balance() == "0.00"


async def test_an_intent_over_another_amount_confirms_nothing(till: Shop) -> None:
    await till.pay("pm_later")
    till.stripe.decide("pi_1", "succeeded")
    till.stripe.intents["pi_1"]["amount"] = 1
    with pytest.raises(NoAnswerError):
        await till.hear(till.stripe.told("pi_1"))
    assert await till.balance() == "0.00"


async def test_a_refund_is_taken_back_once(till: Shop) -> None:
    await till.pay()
    await till.apply(Kind.DEBIT, "w", "100")
    for _ in range(2):
        await till.hear(till.stripe.refund("pi_1", 2_500))
    assert await till.balance() == "-10.00", "30.00 of 120.00, also below the floor"
    await till.hear(till.stripe.refund("pi_1", 10_000))
    await till.hear(till.stripe.refund("pi_1", 2_500))
    assert await till.balance() == "-100.00"
    assert (await till.news())[1:] == [("payment.refunded", "-30.00"), ("payment.refunded", "-90.00")]


async def test_a_chargeback_is_taken_back_once_and_given_back_if_it_is_won(till: Shop) -> None:
    await till.pay()
    for what in ("created", "funds_withdrawn", "created"):
        await till.hear(till.stripe.dispute("pi_1", what, 10_000))
    assert await till.balance() == "0.00"
    for _ in range(2):
        await till.hear(till.stripe.dispute("pi_1", "funds_reinstated", 10_000))
    assert await till.balance() == "120.00"


async def test_a_bank_that_only_asks_takes_nothing_until_it_withdraws(till: Shop) -> None:
    """An inquiry that is closed is never told of as reinstated: what was taken for it would be gone for good."""
    await till.pay()
    assert await till.hear(till.stripe.dispute("pi_1", "created", 10_000, "warning_needs_response")) is None
    assert await till.balance() == "120.00"
    await till.hear(till.stripe.dispute("pi_1", "funds_withdrawn", 10_000))
    assert await till.balance() == "0.00"


async def test_a_card_payment_is_called_off_before_it_is_paid_but_not_after(till: Shop) -> None:
    await till.pay("")
    assert (await till.payments.desk.cancel(await till.payment())).status == "cancelled"
    assert (await till.payments.desk.cancel(await till.payment())).status == "cancelled"
    assert till.stripe.intents["pi_1"]["status"] == "canceled"
    await till.pay("", "pay_2")
    till.stripe.decide("pi_2", "succeeded")
    with pytest.raises(PaymentError, match="pay_2 is confirmed"):
        await till.payments.desk.cancel(await till.payment("pay_2"))
    assert await till.balance() == "120.00"
    await till.pay("pm_later", "pay_3")
    with pytest.raises(PaymentError, match="pay_3 is pending"):
        await till.payments.desk.cancel(await till.payment("pay_3"))


async def test_an_invoice_gives_when_a_person_confirms_it(till: Shop) -> None:
    sent = await till.pay("", method="invoice")
    assert (sent.status, await till.balance(), await due(till)) == ("pending", "0.00", 0)
    for _ in range(2):
        assert (await till.payments.desk.confirm(await till.payment())).status == "confirmed"
    assert await till.balance() == "120.00"
    with pytest.raises(PaymentError, match="pay_1 is confirmed"):
        await till.payments.desk.cancel(await till.payment())


async def test_an_invoice_that_gives_at_once_takes_back_when_it_is_cancelled(till: Shop) -> None:
    await till.pay("", method="invoice", given="at-once")
    assert await till.balance() == "120.00"
    for _ in range(2):
        await till.payments.desk.cancel(await till.payment())
    assert await till.balance() == "0.00"
    with pytest.raises(PaymentError, match="pay_1 is cancelled"):
        await till.payments.desk.confirm(await till.payment())
    assert await till.news() == [("payment.pending", "120.00"), ("payment.cancelled", "-120.00")]


async def test_an_invoice_is_confirmed_or_cancelled_by_whoever_is_first(till: Shop) -> None:
    sent = await till.pay("", method="invoice")
    desks = [till.process().desk, till.process().desk]
    outcomes = await asyncio.gather(desks[0].confirm(sent), desks[1].cancel(sent), return_exceptions=True)
    assert sum(isinstance(outcome, PaymentError) for outcome in outcomes) == 1
    status = (await till.payment()).status
    assert (status, await till.balance()) in (("confirmed", "120.00"), ("cancelled", "0.00"))


async def test_only_an_invoice_is_confirmed_by_hand(till: Shop) -> None:
    with pytest.raises(PaymentError, match="paid by card"):
        await till.payments.desk.confirm(await till.pay("pm_later"))


async def test_the_wallet_above_pays_what_it_has_and_all_of_it(till: Shop) -> None:
    await till.wallet("org", "150")
    paid = await till.pay("", method="parent", parent="org")
    assert (paid.status, await till.balance("org"), await till.balance()) == ("confirmed", "50.00", "120.00")
    short = await till.pay("", "pay_2", method="parent", parent="org")
    assert (short.status, short.reason) == ("declined", "insufficient_balance")
    assert await till.news() == [("payment.confirmed", "0.00"), ("payment.declined", "0.00")]
    assert (await till.balance("org"), await till.balance()) == ("50.00", "120.00")


async def test_what_the_wallet_does_not_take_comes_back_to_the_one_above(till: Shop) -> None:
    await till.wallet("org", "150")
    await till.apply(Kind.CREDIT, "w", "9223372036")
    failed = await till.pay("", method="parent", parent="org")
    assert (failed.status, failed.reason) == ("declined", "came_back")
    await till.news()
    assert (await till.balance("org"), await till.balance()) == ("150.00", "9223372036.00")


async def test_what_is_paid_and_does_not_fit_the_wallet_is_told(till: Shop) -> None:
    await till.apply(Kind.CREDIT, "w", "9223372036")
    await till.pay()
    assert [sort for sort, _ in await till.news()] == ["payment.not_given"]
    assert (await till.payment()).status == "confirmed"


async def test_two_processes_that_look_at_once_make_one_payment(till: Shop) -> None:
    till.stripe.faults += ["lost before"]
    await till.pay()
    till.now_ms += MINUTE_MS + 1
    till.stripe.delay_s = 0.05
    others = [till.process() for _ in range(3)]
    await asyncio.gather(
        *(other.look_once() for other in others), *(other.desk.start(till.wanted()) for other in others)
    )
    assert till.stripe.calls.count("POST /v1/payment_intents") > 2, "they did ask at once"
    assert (len(till.stripe.intents), await till.balance(), await till.news()) == (1, "120.00", GIVEN)


async def test_payments_are_listed_newest_first_in_pages(till: Shop) -> None:
    for number in range(5):
        till.now_ms += 1
        await till.pay("", f"pay_{number}", method="invoice")
    desk = till.payments.desk
    first, after = await desk.page("t", "", "", 3)
    second, end = await desk.page("t", "wallet", "w", 3, after)
    assert [payment.id for payment in first + second] == [f"pay_{number}" for number in (4, 3, 2, 1, 0)]
    assert end == ""
    assert await desk.page("t", "wallet", "other", 3) == ([], "")
    assert await desk.page("other", "", "", 3) == ([], "")


async def test_a_payment_that_is_forestalled_is_not_made_by_who_comes_late(till: Shop) -> None:
    """Its name may be known before it is written down. One that was begun is left alone."""
    assert (await till.payments.desk.forestall(till.wanted())).status == "cancelled"
    late = await till.pay()
    assert ((late.status, late.reason), till.stripe.intents) == (("cancelled", "never_begun"), {})
    await till.later(25 * HOUR_MS)
    assert (till.stripe.intents, await till.balance(), await due(till)) == ({}, "0.00", 0)
    await till.pay(payment_id="pay_2")
    assert (await till.payments.desk.forestall(till.wanted(payment_id="pay_2"))).status == "confirmed"
    assert await till.balance() == "120.00"
