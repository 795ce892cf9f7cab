"""A SIM that gets another wallet leaves no debt behind that no invoice is over."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from rater.directory import Directory
from rater.invoices.model import Invoice, closing_of
from rater.money import NANOS
from rater.subscriber import Assignment
from rater.wallet.store import WalletStore
from streams.invoices.desk import InvoiceDesk
from streams.invoices.shelf import Shelf
from tests.rater.numbers import building
from tests.rater.numbers.building import PLAN, Inventory
from tests.rater.wallet.dying import Crash, DyingRedis
from tests.streams.invoices.building import account_of


@pytest.fixture(autouse=True)
def by_invoice(monkeypatch: pytest.MonkeyPatch) -> None:
    """5.00 a month, settled by invoice."""
    monkeypatch.setattr(building, "PLAN", PLAN.replace("zone: UTC", "zone: UTC\nsettlement: invoice"))


async def invoices(inventory: Inventory, wallet: str) -> list[Invoice]:
    """What the notices ask for, in their order, twice."""
    desk = InvoiceDesk(Shelf(inventory.redis, inventory.store), inventory.store, account_of, lambda: inventory.now_ms)
    for notice in 2 * await inventory.said("invoice.period_closed"):
        found = closing_of(notice)
        assert found is not None
        await desk.close(found)
    return (await desk.shelf.of_wallet("t", wallet, 100, ""))[0]


async def test_what_is_owed_when_the_only_sim_leaves_is_invoiced(redis: Any) -> None:
    inventory = await Inventory.open(redis, "0")
    await inventory.pass_time(10)
    await inventory.move("b-1", "a")
    await inventory.pass_time(70)
    (invoice,) = await invoices(inventory, "b")
    assert (invoice.total_nanos, invoice.until_ms - invoice.from_ms) == (5 * NANOS, 10 * building.DAY_MS)
    assert await inventory.balance("b") == -5 * NANOS


async def test_whoever_comes_back_is_invoiced_for_each_nano_once(redis: Any) -> None:
    inventory = await Inventory.open(redis, "0")
    for wallet in ("a", "b", "a", "b"):
        await inventory.pass_time(10)
        await inventory.move("b-1", wallet)
    await inventory.pass_time(40)
    every = await invoices(inventory, "b")
    assert sum(one.total_nanos for one in every) == -await inventory.balance("b") - 5 * NANOS
    assert len({one.id for one in every}) == len(every)


@pytest.mark.parametrize("after", [False, True])
async def test_a_move_that_dies_at_any_step_is_invoiced_once(redis: Any, after: bool) -> None:
    for steps in range(40):
        await redis.flushall()
        inventory = await Inventory.open(redis, "0")
        inventory.now_ms += building.DAY_MS
        mortal = DyingRedis(redis, steps, after=after)
        assignment = Assignment(inventory.now_ms, "a", "a", "line", "EUR")
        is_over = False
        with suppress(Crash):
            store = WalletStore(mortal, inventory.store.shards, "process")
            await Directory(mortal, store).move("t", "b-1", assignment, now_ms=inventory.now_ms)
            is_over = True
        inventory.now_ms += 1_000
        await inventory.worker.directory.move("t", "b-1", assignment, now_ms=inventory.now_ms)
        (invoice,) = await invoices(inventory, "b")
        assert (steps, invoice.total_nanos) == (steps, 5 * NANOS)
        if is_over:
            assert steps > 5
            return
    raise AssertionError("it never comes to its end")
