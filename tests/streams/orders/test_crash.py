"""An order survives the death of its process between any two steps: charged once, made once, told once, by itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.orders.model import Order
from streams.payments.provider import NoAnswerError
from tests.streams.orders.building import Counter, Process, counter
from tests.streams.payments.building import HOUR_MS
from tests.streams.payments.mortal import Crash

#: More than any of these takes.
STEPS_MAX = 120
Act = Callable[[Counter, Process], Awaitable[Any]]


async def orders_from_balance(desk: Counter, process: Process) -> None:
    await process.orders.desk.start(desk.wanted())


async def orders_by_card(desk: Counter, process: Process) -> None:
    await process.orders.desk.start(desk.wanted("card"))


async def orders_by_a_bad_card(desk: Counter, process: Process) -> None:
    await process.orders.desk.start(desk.wanted("card", "pm_declined"))


async def is_paid_later(desk: Counter) -> None:
    await desk.here.orders.desk.start(desk.wanted("card", "pm_later"))
    desk.till.stripe.decide("pi_1", "succeeded")
    await desk.till.hear(desk.till.stripe.told("pi_1"))


async def hears(desk: Counter, process: Process) -> None:
    await desk.hear(process, times=2)
    await desk.settle(process)


async def nothing(desk: Counter) -> None:
    """Nothing was there before."""


CASES: dict[str, tuple[str, Any, Act, str, str, str]] = {
    "balance": ("12.00", nothing, orders_from_balance, "0.10", "pro", "done"),
    "short": ("11.00", nothing, orders_from_balance, "11.00", "free", "failed"),
    "card": ("1.00", nothing, orders_by_card, "1.00", "pro", "done"),
    "declined": ("1.00", nothing, orders_by_a_bad_card, "1.00", "free", "failed"),
    "later": ("1.00", is_paid_later, hears, "1.00", "pro", "done"),
}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("case", CASES)
async def test_a_death_at_any_step_is_mended_by_the_others(redis_socket: Path, case: str, after: bool) -> None:
    """Each step is tried in turn. Who got no answer asks again only if the order was not even written down."""
    money, before, act, balance, plan, status = CASES[case]
    for steps in range(STEPS_MAX):
        async with counter(redis_socket, money) as desk:
            await before(desk)
            process, life = desk.mortal(steps, after=after)
            with contextlib.suppress(Crash):
                await act(desk, process)
            if not life.is_over:
                assert steps > 5, "it dies somewhere before it is done"
                return
            if await desk.here.orders.desk.get("t", "o-1") is None:
                await act(desk, desk.here)
            await desk.later()
            order = await desk.order()
            assert (case, steps, order.status, await desk.plan()) == (case, steps, status, plan)
            assert (case, steps, await desk.balance()) == (case, steps, balance)
            assert await desk.kinds() == [f"order.{status}"]
            assert await desk.till.redis.zcard("{due:orders}") == 0
    raise AssertionError("it never comes to its end")


moves = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.integers(0, 60)),
        st.tuples(st.just("look"), st.integers(0, 60)),
        st.tuples(st.just("hear"), st.integers(0, 40)),
        st.tuples(st.just("told"), st.integers(0, 40)),
        st.tuples(st.just("later"), st.sampled_from([1, 59_000, 61_000, HOUR_MS])),
        st.tuples(st.just("decide"), st.sampled_from([0, 1])),
        st.tuples(st.just("both"), st.integers(0, 60)),
    ),
    max_size=10,
)  # fmt: skip
ways = st.sampled_from([("balance", ""), ("card", "pm_ok"), ("card", "pm_later"), ("card", "pm_declined")])
faults = st.lists(st.sampled_from(["", "", "lost before", "lost after", "fault", "busy"]), max_size=6)


@settings(max_examples=60)
@given(ways, faults, moves, st.booleans(), st.sampled_from(["5.00", "12.00"]))
def test_over_any_history_it_is_charged_and_made_once_or_not_at_all(
    redis_socket: Path, way: tuple[str, str], lost: list[str], history: list[tuple[str, int]], after: bool, money: str
) -> None:
    """Two processes, each of which may die at any step of any move; notices come late, and twice."""
    asyncio.run(_play(redis_socket, way, lost, history, after=after, money=money))


async def _play(
    socket: Path, way: tuple[str, str], lost: list[str], history: list[tuple[str, int]], *, after: bool, money: str
) -> None:
    async with counter(socket, money) as desk:
        wanted = desk.wanted(*way)
        desk.till.stripe.faults.extend(lost)
        for what, number in history:
            await _move(desk, wanted, what, number, after=after)
            assert len(desk.till.stripe.intents) <= 1
        desk.till.stripe.faults.clear()
        await desk.here.orders.desk.start(wanted)
        for _ in range(12):
            for reference, intent in desk.till.stripe.intents.items():
                if intent["status"] == "processing":
                    desk.till.stripe.decide(reference, "succeeded")
            await desk.later(1, 7 * HOUR_MS)
        order = await desk.order()
        is_paid = len(desk.till.stripe.paid) == 1
        is_made = is_paid if way[0] == "card" else money == "12.00"
        assert (order.status, await desk.plan()) == (("done", "pro") if is_made else ("failed", "free"))
        left = {("balance", True): "0.10"}.get((way[0], is_made), money)
        assert (await desk.balance(), await desk.kinds()) == (left, [f"order.{order.status}"])
        assert await desk.till.redis.zcard("{due:orders}") == 0


async def _move(desk: Counter, wanted: Order, what: str, number: int, *, after: bool) -> None:
    if what == "later":
        desk.till.now_ms += number
        return
    reference = next(iter(desk.till.stripe.intents), "")
    if what == "decide":
        if reference and desk.till.stripe.intents[reference]["status"] == "processing":
            state = ("succeeded", "") if number else ("requires_payment_method", "no")
            desk.till.stripe.decide(reference, *state)
        return
    process, _ = desk.mortal(number, after=after)
    other = desk.process()
    try:
        if what == "start":
            await process.orders.desk.start(wanted)
        elif what == "look":
            await desk.settle(process)
        elif what == "hear":
            await hears(desk, process)
        elif what == "told" and reference:
            await desk.till.hear(desk.till.stripe.told(reference), process.payments)
        elif what == "both":
            starts = process.orders.desk.start(wanted), other.orders.desk.start(wanted)
            looks = process.orders.desk.look_once(), other.orders.desk.look_once(), other.payments.look_once()
            await asyncio.gather(*starts, *looks, return_exceptions=True)
    except (Crash, NoAnswerError):
        pass
