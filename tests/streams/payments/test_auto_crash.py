"""Auto-refill never pays twice: over declines, lost answers, webhooks told twice, deaths at any step, two at once."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.money import format_nanos, parse_nanos
from rater.wallet.entry import Kind
from streams.payments.payments import Payments
from streams.payments.provider import NoAnswerError
from tests.streams.payments.building import DAY_MS, HOUR_MS, MINUTE_MS, NOW_MS, Shop, shop
from tests.streams.payments.mortal import Crash, mortal_process

STEPS_MAX = 120
COOL_MS = 10 * MINUTE_MS
PRICE, BALANCE = parse_nanos("10"), parse_nanos("11")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_death_at_any_step_of_a_refill_pays_once_and_is_mended_by_itself(
    redis_socket: Path, after: bool
) -> None:
    for steps in range(STEPS_MAX):
        async with shop(redis_socket) as till:
            await till.saved()
            await till.auto_refill(cool_down_ms=DAY_MS)
            payments, life = mortal_process(till, steps, after=after)
            with contextlib.suppress(Crash):
                await till.settle(payments)
            if not life.is_over:
                assert steps > 12
                return
            for _ in range(4):
                await till.later(3 * MINUTE_MS)
            assert (steps, len(till.stripe.paid), await till.balance()) == (steps, 1, "11.00")
            assert (await till.auto()).request is None
            assert [sort for sort, _ in await till.news() if sort.startswith("payment")] == ["payment.confirmed"]
    raise AssertionError("it never comes to its end")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_death_at_any_step_of_a_decline_tells_it_once(redis_socket: Path, after: bool) -> None:
    for steps in range(STEPS_MAX):
        async with shop(redis_socket) as till:
            await till.saved("pm_declined")
            await till.auto_refill(declines_max=1)
            payments, life = mortal_process(till, steps, after=after)
            with contextlib.suppress(Crash):
                await till.settle(payments)
            if not life.is_over:
                assert steps > 12
                return
            for _ in range(4):
                await till.later(3 * MINUTE_MS)
            assert len(till.stripe.intents) == 1
            told = sorted(sort for sort, _ in await till.news())
            assert told == [
                "payment.declined", "wallet.auto_refill_failed", "wallet.auto_refill_off", "wallet.low_balance",
            ]  # fmt: skip
    raise AssertionError("it never comes to its end")


moves = st.lists(
    st.one_of(
        st.tuples(st.just("spend"), st.sampled_from([1, 5, 9])),
        st.tuples(st.just("dies"), st.integers(0, 40)),
        st.tuples(st.just("both"), st.just(0)),
        st.tuples(st.just("told"), st.integers(0, 30)),
        st.tuples(st.just("decide"), st.sampled_from([0, 1])),
        st.tuples(st.just("card"), st.sampled_from([0, 1, 2])),
        st.tuples(st.just("fault"), st.sampled_from([0, 1, 2, 3])),
        st.tuples(st.just("later"), st.sampled_from([1, 61_000, COOL_MS, HOUR_MS, 7 * HOUR_MS, DAY_MS])),
    ),
    max_size=25,
)  # fmt: skip
CARDS = ["pm_ok", "pm_later", "pm_declined"]
FAULTS = ["lost before", "lost after", "fault", "busy"]


@settings(max_examples=50)
@given(moves, st.booleans())
def test_over_any_history_every_refill_that_was_paid_is_given_and_none_is_paid_twice(
    redis_socket: Path, history: list[tuple[str, int]], after: bool
) -> None:
    asyncio.run(_play(redis_socket, history, after=after))


async def _play(socket: Path, history: list[tuple[str, int]], *, after: bool) -> None:
    async with shop(socket) as till:
        await till.saved()
        spent = 0
        await till.auto_refill(cool_down_ms=COOL_MS, day_max_nanos=2 * PRICE, month_max_nanos=5 * PRICE)
        for what, number in history:
            spent += await _move(till, what, number, after=after)
            await _check(till)
        till.stripe.faults.clear()
        await till.saved()
        for _ in range(8):
            _decide_all(till)  # a request that outlived a death is charged only now, by the card of its time
            await till.later(7 * HOUR_MS)
        await _check(till)
        paid = len(till.stripe.paid)
        assert await till.balance() == format_nanos(paid * BALANCE - spent)
        assert (await till.auto()).request is None
        told = [sort for sort, _ in await till.news()]
        assert told.count("payment.confirmed") == paid
        assert told.count("wallet.auto_refill_failed") == told.count("payment.declined")


def _decide_all(till: Shop) -> None:
    for intent in till.stripe.intents.values():
        if intent["status"] == "processing":
            till.stripe.decide(intent["id"], "succeeded")


async def _check(till: Shop) -> None:
    """Money taken by day and month stays within the caps, one request in each cool-down, one intent a payment."""
    intents = till.stripe.intents.values()
    names = [intent["metadata"]["rater_payment"] for intent in intents]
    assert len(set(names)) == len(names), "a payment has one intent"
    assert sum(intent["status"] in ("processing", "requires_payment_method") for intent in intents) <= 1
    taken = {intent["metadata"]["rater_payment"] for intent in till.stripe.paid}
    payments, _ = await till.payments.desk.page("t", "wallet", "w", 999)
    made = sorted(payment.created_ms for payment in payments if payment.id in taken)
    days = [(at - NOW_MS) // DAY_MS for at in made]
    assert all(days.count(day) <= 2 for day in days)
    assert len([day for day in days if day < 30]) <= 5
    asked = sorted(payment.created_ms for payment in payments)
    assert all(later - earlier >= COOL_MS for earlier, later in itertools.pairwise(asked))


async def _move(till: Shop, what: str, number: int, *, after: bool) -> int:
    """Do one thing; answers what was spent."""
    if what == "spend":
        money = str(number)
        before = await till.balance()
        await till.apply(Kind.DEBIT, "w", money)
        await till.payments.auto_refills.look_soon("t", "w")
        return parse_nanos(money) if await till.balance() != before else 0
    if what == "later":
        till.now_ms += number
    elif what == "card":
        await till.saved(CARDS[number])
    elif what == "fault":
        till.stripe.faults.append(FAULTS[number])
    elif what == "decide":
        for intent in till.stripe.intents.values():
            if intent["status"] == "processing":
                till.stripe.decide(
                    intent["id"], "succeeded" if number else "requires_payment_method", "" if number else "no"
                )
    else:
        payments, _ = mortal_process(till, number, after=after)
        other = till.process()
        with contextlib.suppress(Crash, NoAnswerError):
            await _act(till, what, payments, other)
    return 0


async def _act(till: Shop, what: str, payments: Payments, other: Payments) -> None:
    if what == "dies":
        await payments.look_once()
    elif what == "both":
        await asyncio.gather(till.settle(other), till.settle(till.payments))
    elif till.stripe.intents:
        for _ in range(2):
            await till.hear(till.stripe.told(list(till.stripe.intents)[-1]), payments)
