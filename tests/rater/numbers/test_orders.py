"""A number is ordered in one step, is one subscription's at a time, and comes back whatever dies on the way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rater.errors import PlanError, WalletError
from rater.money import parse_nanos
from rater.numbers.book import TakenError, able
from rater.numbers.model import PhoneNumber
from rater.numbers.orders import UNDER_WAY_MS, NumberOrder
from tests.rater.numbers.building import DAY_MS, NOV_MS, NUMBERS, Inventory, Worker
from tests.rater.wallet.dying import Crash, DyingRedis

ONE, TWO, THREE, _ = NUMBERS


@pytest.fixture
async def inventory(redis: Any) -> Inventory:
    return await Inventory.open(redis)


async def free(inventory: Inventory) -> list[str]:
    found, _ = await inventory.book.page(
        "t", "US", "", 100, able(frozenset(), None, inventory.now_ms), only_free=True
    )  # fmt: skip
    return [one.number for one in found]


async def test_an_order_charges_and_gives_the_number_in_one_step_once(inventory: Inventory) -> None:
    before = await inventory.balance("a")
    for known in (False, True):
        decision = await inventory.worker.order("a-1", ONE, "o", NOV_MS)
        assert (decision.known, decision.charged_nanos) == (known, parse_nanos("3"))
    assert before - await inventory.balance("a") == parse_nanos("3")
    assert await inventory.owners() == {ONE: [("a-1", "o")]}
    assert await free(inventory) == [TWO, THREE, NUMBERS[3]]
    assert [notice.data["number"] for notice in await inventory.said("addon.bought")] == [ONE]


async def test_what_stands_in_the_way_is_told_and_changes_nothing(inventory: Inventory) -> None:
    order = inventory.worker.order
    with pytest.raises(PlanError, match=r"has voice and sms, not mms") as wrong:
        await order("a-1", ONE, "o", NOV_MS, capabilities=frozenset({"mms", "voice"}))
    assert wrong.value.field == "capabilities"
    with pytest.raises(TakenError, match=r"has no number \+49"):
        await order("a-1", "+49301234567", "o", NOV_MS)
    await order("a-1", ONE, "1", NOV_MS)
    with pytest.raises(TakenError, match="is taken"):
        await order("b-1", ONE, "2", NOV_MS)
    await order("a-1", TWO, "3", NOV_MS)
    with pytest.raises(PlanError, match=rf"allows 2 numbers, it has \{ONE} and \{TWO}; release one first"):
        await order("a-1", THREE, "4", NOV_MS)
    assert await free(inventory) == [THREE, NUMBERS[3]]


async def test_who_cannot_pay_has_not_claimed_it_and_may_repeat_the_order(redis: Any) -> None:
    inventory = await Inventory.open(redis, "12")
    with pytest.raises(WalletError, match="cannot pay it"):
        await inventory.worker.order("a-1", ONE, "o", NOV_MS)
    assert await inventory.holder(ONE) is None
    await inventory.refill("a", "1", "refill")
    assert not (await inventory.worker.order("a-1", ONE, "o", NOV_MS)).known


@pytest.mark.parametrize("same", [True, False])
async def test_of_two_orders_at_once_one_has_the_number(inventory: Inventory, same: bool) -> None:
    """Of two SIMs; and two calls of one order are one order."""
    others = [Worker(inventory.redis, 2), Worker(inventory.redis, 2)]
    names = [("a-1", "o"), ("a-1", "o")] if same else [("a-1", "o"), ("b-1", "p")]
    answers = await asyncio.gather(
        *(worker.order(sim, ONE, order, NOV_MS) for worker, (sim, order) in zip(others, names, strict=True)),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, TakenError) for answer in answers) == (0 if same else 1)
    assert [len(owners) for owners in (await inventory.owners()).values()] == [1]
    spent = 2 * parse_nanos("200") - sum([await inventory.balance("a"), await inventory.balance("b")])
    assert spent == 2 * parse_nanos("100") + 3 * parse_nanos("5") + parse_nanos("3")


async def test_a_number_is_on_hold_released_and_rests_before_another_has_it(redis: Any) -> None:
    inventory = await Inventory.open(redis, "18")
    await inventory.worker.order("b-1", ONE, "o", NOV_MS)
    await inventory.pass_time(30)  # 18 - 5 - 3 - 5: the second period of the plan and of the number are paid
    await inventory.pass_time(31)  # 3: the plan is unpaid, and so the number is on hold
    assert [notice.data["number"] for notice in await inventory.said("addon.on_hold")] == [ONE]
    await inventory.follow()
    assert await inventory.holder(ONE) is not None, "on hold it is the subscriber's still"
    await inventory.pass_time(14)
    (gone,) = await inventory.said("addon.released")
    assert (gone.data["number"], gone.data["reason"]) == (ONE, "unpaid")
    await inventory.follow()
    assert (await inventory.holder(ONE), ONE in await free(inventory)) == (None, False)
    with pytest.raises(TakenError, match="not long ago"):
        await inventory.worker.order("a-1", ONE, "p", gone.occurred_ms + 3 * DAY_MS - 1)
    inventory.now_ms = gone.occurred_ms + 3 * DAY_MS
    assert ONE in await free(inventory)


async def test_who_gave_a_number_up_may_have_it_back_while_it_rests(inventory: Inventory) -> None:
    await inventory.worker.order("a-1", ONE, "o", NOV_MS)
    await inventory.worker.release("a-1", "o", NOV_MS, "r")
    await inventory.follow()
    with pytest.raises(TakenError):
        await inventory.worker.order("a-2", ONE, "p", NOV_MS)
    assert not (await inventory.worker.order("a-1", ONE, "p", NOV_MS)).known
    assert await inventory.owners() == {ONE: [("a-1", "p")]}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("repeated", [False, True], ids=["alone", "repeated"])
async def test_a_crash_at_any_command_of_an_order_is_mended(redis: Any, after: bool, repeated: bool) -> None:
    """The repeat finishes it; without one the number comes back, unless it was paid."""
    for steps in range(60):
        await redis.flushall()
        inventory = await Inventory.open(redis)
        before = await inventory.balance("a")
        try:
            await Worker(DyingRedis(redis, steps, after=after), 2).order("a-1", ONE, "o", NOV_MS)
        except Crash:
            pass
        else:
            break
        if repeated:
            await inventory.worker.order("a-1", ONE, "o", NOV_MS)
        await inventory.worker.orders.settle("t", ONE, NOV_MS + UNDER_WAY_MS)
        (found,) = await inventory.book.many("t", [ONE])
        assert found is not None
        await inventory.book.relist([found])  # as the walk does
        owners, paid = await inventory.owners(), before - await inventory.balance("a")
        assert paid == parse_nanos("3") * len(owners)
        assert (await inventory.holder(ONE) is not None) == (ONE not in await free(inventory)) == bool(owners)
        assert owners or not repeated
    else:
        raise AssertionError("it never came through")
    assert steps > 8


async def test_an_order_that_was_given_up_is_never_made(inventory: Inventory) -> None:
    """Its worker slept between claim and step; meanwhile the number went to another."""
    worker = inventory.worker
    asked = NumberOrder(ONE, "o", "test/o")
    await worker.orders.reserve(await worker.subject("a-1", NOV_MS), asked)
    await worker.orders.settle("t", ONE, NOV_MS + UNDER_WAY_MS - 1)
    assert await inventory.holder(ONE) is not None, "it may be on the way"
    await worker.orders.settle("t", ONE, NOV_MS + UNDER_WAY_MS)
    await worker.order("b-1", ONE, "p", NOV_MS)
    before = await inventory.balance("a")
    with pytest.raises(WalletError, match="was given up"):
        await worker.order("a-1", ONE, "o", NOV_MS)
    assert (await inventory.owners(), await inventory.balance("a")) == ({ONE: [("b-1", "p")]}, before)


async def test_an_order_holds_its_number_while_it_waits_for_its_payment(redis: Any) -> None:
    inventory = await Inventory.open(redis, "10")
    worker, until_ms = inventory.worker, NOV_MS + DAY_MS
    asked = NumberOrder(ONE, "o", "test/o")
    await worker.orders.reserve(await worker.subject("a-1", NOV_MS), asked, until_ms=until_ms)
    await worker.orders.settle("t", ONE, until_ms - 1)
    assert await inventory.holder(ONE) is not None
    await inventory.refill("a", "3", "paid")
    assert (await worker.order("a-1", ONE, "o", until_ms - 1)).charged_nanos == parse_nanos("3")
    await worker.orders.reserve(await worker.subject("b-1", NOV_MS), NumberOrder(TWO, "p", "test/p"), until_ms=until_ms)
    await worker.orders.settle("t", TWO, until_ms)
    await worker.orders.settle("t", ONE, until_ms)
    assert (await inventory.holder(TWO), await inventory.owners()) == (None, {ONE: [("a-1", "o")]})


async def test_a_sim_that_moves_to_another_wallet_leaves_its_numbers(inventory: Inventory) -> None:
    await inventory.worker.order("a-1", ONE, "o", NOV_MS)
    await inventory.pass_time(1)
    await inventory.move("a-1", "b")
    await inventory.worker.orders.settle("t", ONE, inventory.now_ms)
    assert await inventory.holder(ONE) is None
    (told,) = await inventory.said("addon.released")
    assert (told.data["number"], told.data["reason"]) == (ONE, "moved")
    await inventory.pass_time(4)
    await inventory.worker.order("a-2", ONE, "p", inventory.now_ms)
    await inventory.move("a-1", "a")
    assert await inventory.owners() == {ONE: [("a-2", "p")]}, "it comes back without"


async def test_a_number_is_withdrawn_and_put_back_by_one_at_a_time(inventory: Inventory) -> None:
    book = inventory.book
    found = await book.get("t", ONE)
    assert found is not None
    answers = await asyncio.gather(book.withdraw(found), book.withdraw(found))
    assert sorted(answers) == [False, True]
    assert ONE not in await free(inventory)
    with pytest.raises(TakenError):
        await inventory.worker.order("a-1", ONE, "o", NOV_MS)
    back = PhoneNumber("t", ONE, "US", ("voice",), "number", found.version + 1)
    assert await book.put(back)
    assert not await book.put(back)
    assert ONE in await free(inventory)
    assert await book.tenants() == ["t"]
    assert await book.get("t:one", ONE) is None
