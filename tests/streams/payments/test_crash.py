"""A payment survives the death of its process between any two steps: paid once, given once, told once, by itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.payments.model import Payment
from streams.payments.payments import Payments
from streams.payments.provider import NoAnswerError
from tests.streams.payments.building import HOUR_MS, MINUTE_MS, Shop, shop
from tests.streams.payments.mortal import Crash, mortal_process

#: More than any of these takes.
STEPS_MAX = 60
Act = Callable[[Shop, Payments], Awaitable[Any]]


async def pays(till: Shop, payments: Payments) -> None:
    await payments.desk.start(till.wanted())


async def pays_from_above(till: Shop, payments: Payments) -> None:
    await payments.desk.start(till.wanted("", method="parent", parent="org"))


async def hears(till: Shop, payments: Payments) -> None:
    await till.hear(till.stripe.told("pi_1"), payments)


async def hears_of_a_refund(till: Shop, payments: Payments) -> None:
    await till.hear(till.stripe.refund("pi_1", 5_000), payments)


async def looks(till: Shop, payments: Payments) -> None:
    await till.settle(payments)


async def nothing(till: Shop) -> None:
    """Nothing was there before."""


async def was_lost(till: Shop) -> None:
    till.stripe.faults.append("lost after")
    await till.pay()
    till.now_ms += MINUTE_MS + 1


async def is_pending_and_paid(till: Shop) -> None:
    await till.pay("pm_later")
    till.stripe.decide("pi_1", "succeeded")


async def is_paid(till: Shop) -> None:
    await till.pay()


async def has_money_above(till: Shop) -> None:
    await till.wallet("org", "100")


CASES = {
    "asked": (nothing, pays, "120.00", ["payment.confirmed"]),
    "asked above": (has_money_above, pays_from_above, "120.00", ["payment.confirmed"]),
    "found": (was_lost, looks, "120.00", ["payment.confirmed"]),
    "told": (is_pending_and_paid, hears, "120.00", ["payment.confirmed", "payment.pending"]),
    "refunded": (is_paid, hears_of_a_refund, "60.00", ["payment.confirmed", "payment.refunded"]),
}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("case", CASES)
async def test_a_death_at_any_step_loses_and_doubles_nothing(redis_socket: Path, case: str, after: bool) -> None:
    """Every step is tried in turn. What is asked over HTTP or told by webhook is sent again by who got no answer."""
    before, act, balance, notices = CASES[case]
    for steps in range(STEPS_MAX):
        async with shop(redis_socket) as till:
            await before(till)
            payments, life = mortal_process(till, steps, after=after)
            with contextlib.suppress(Crash):
                await act(till, payments)
            if not life.is_over:
                assert steps > 5, "it dies somewhere before it is done"
                return
            if act in (hears, hears_of_a_refund) or await till.payments.desk.get("t", "pay_1") is None:
                await act(till, till.payments)
            for _ in range(4):
                await till.later(MINUTE_MS * 3)
            assert (case, steps, await till.balance()) == (case, steps, balance)
            assert sorted(sort for sort, _ in await till.news()) == notices
            assert len(till.stripe.paid) == (case != "asked above")
            assert (await till.payment()).open == ()
            assert await till.redis.zcard("{due:payments}") == 0
    raise AssertionError("it never comes to its end")


async def test_after_a_death_between_payment_and_credit_nobody_has_to_do_anything(redis_socket: Path) -> None:
    """Without a repeat by the client, by the timers alone, wherever it died once the payment was written down."""
    mended = 0
    for steps in range(STEPS_MAX):
        async with shop(redis_socket) as till:
            payments, life = mortal_process(till, steps, after=True)
            with contextlib.suppress(Crash):
                await pays(till, payments)
            if not life.is_over:
                assert mended > 5
                return
            written = await till.payments.desk.get("t", "pay_1") is not None
            for _ in range(4):
                await till.later(MINUTE_MS * 3)
            assert await till.balance() == ("120.00" if written else "0.00")
            mended += written
    raise AssertionError("it never comes to its end")


faults = st.lists(st.sampled_from(["", "", "lost before", "lost after", "fault", "busy"]), max_size=8)
moves = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.integers(0, 30)),
        st.tuples(st.just("look"), st.integers(0, 30)),
        st.tuples(st.just("told"), st.integers(0, 30)),
        st.tuples(st.just("later"), st.sampled_from([1, 59_000, 61_000, HOUR_MS, 25 * HOUR_MS])),
        st.tuples(st.just("decide"), st.sampled_from([0, 1])),
        st.tuples(st.just("both"), st.integers(0, 30)),
    ),
    max_size=10,
)  # fmt: skip


@settings(max_examples=60)
@given(st.sampled_from(["pm_ok", "pm_later", "pm_declined"]), faults, moves, st.booleans())
def test_over_any_history_a_payment_is_made_once_and_given_once(
    redis_socket: Path, card: str, lost: list[str], history: list[tuple[str, int]], after: bool
) -> None:
    """Two processes, each of which may die at any step of any move, against a Stripe that loses and repeats answers."""
    asyncio.run(_play(redis_socket, card, lost, history, after=after))


async def _play(socket: Path, card: str, lost: list[str], history: list[tuple[str, int]], *, after: bool) -> None:
    async with shop(socket) as till:
        wanted = till.wanted(card)
        till.stripe.faults.extend(lost)
        for what, number in history:
            await _move(till, wanted, what, number, after=after)
            assert len(till.stripe.intents) <= 1
            assert await till.balance() in ("0.00", "120.00")
        till.stripe.faults.clear()
        await till.payments.desk.start(wanted)
        for reference in till.stripe.intents:
            if till.stripe.intents[reference]["status"] == "processing":
                till.stripe.decide(reference, "succeeded")
        for _ in range(12):
            await till.later(7 * HOUR_MS)
        payment = await till.payment()
        assert payment.is_decided
        paid = len(till.stripe.paid)
        assert (payment.status == "confirmed") == (paid == 1)
        assert await till.balance() == ("120.00" if paid else "0.00")
        kinds = [sort for sort, _ in await till.news()]
        assert len(kinds) == len(set(kinds)), "each is told once"
        assert await till.redis.zcard("{due:payments}") == 0


async def _move(till: Shop, wanted: Payment, what: str, number: int, *, after: bool) -> None:
    if what == "later":
        till.now_ms += number
        return
    reference = next(iter(till.stripe.intents), "")
    if what == "decide":
        if reference and till.stripe.intents[reference]["status"] == "processing":
            till.stripe.decide(reference, "succeeded" if number else "requires_payment_method", "" if number else "no")
        return
    payments, _ = mortal_process(till, number, after=after)
    other = till.process()
    try:
        if what == "start":
            await payments.desk.start(wanted)
        elif what == "look":
            await payments.look_once()
        elif what == "told" and reference:
            await till.hear(till.stripe.told(reference), payments)
        elif what == "both":
            acts = payments.desk.start(wanted), other.desk.start(wanted), payments.look_once(), other.look_once()
            await asyncio.gather(*acts, return_exceptions=True)
    except (Crash, NoAnswerError):
        pass
