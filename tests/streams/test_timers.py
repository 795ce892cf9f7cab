"""What is due by time is done once, in order, by whoever sweeps; and what waited for money goes on with a refill."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from rater.directory import Directory
from rater.plans.life import Subscription, read_subscription
from rater.subscriber import Assignment
from rater.subscriptions import Subscriptions
from rater.wallet.keys import document_key
from rater.wallet.outbox import Outbox
from rater.wallet.store import WalletStore
from rater.wallet.timers import Timers
from schemas.lifecycle import LifecycleEvent, WalletEntry
from streams.timers import PUT_OFF_MS, Sweeper
from tests.rater.pipeline.conftest import NOW_MS
from tests.rater.pipeline.test_plans import PLANS, Planned

DAY_MS = 86_400_000
MONTHLY = """
plan: monthly
currency: EUR
zone: UTC
versions:
  - version: "1"
    effective_from: "2026-01-01T00:00"
    tariff: test-eur
    recurring_fee: "5.00"
    allowances: [{name: data, quantity: 5 MB}]
"""


class Clocked(Planned):
    """Subscribers of a monthly plan, and sweepers that go by one clock."""

    now_ms = NOW_MS

    async def begun(self, balance: str, *sims: str) -> None:
        await self.planned(balance, "monthly", *sims, from_ms=NOW_MS)
        subscriptions = Subscriptions(self.store, self.catalogue())
        for sim in sims:
            found = await self.directory.get("t", sim)
            assert found is not None
            await subscriptions.begin(subscriptions.subject(found, self.now_ms))

    def sweeper(self, shards: range | None = None) -> Sweeper:
        """Another process."""
        every = shards or range(self.store.shards)
        timers, directory = Timers(self.redis, self.store), Directory(self.redis, self.store)
        return Sweeper(timers, self.store, directory, self.catalogue(), lambda: self.now_ms, lambda: every)

    async def subscription(self, sim: str) -> Subscription:
        ref = self.store.wallet_ref("t", "w")
        (document,) = await self.store.documents([document_key(self.store.member_key(ref, sim))])
        assert document is not None
        return read_subscription(document)

    async def news(self) -> list[Any]:
        outbox = Outbox(self.redis, self.store)
        pages = await outbox.read(range(self.store.shards), 10_000)
        return [item.event for page in pages.values() for item in page.entries]


@pytest.fixture
async def bench(redis: Any, monkeypatch: pytest.MonkeyPatch) -> Clocked:
    monkeypatch.setitem(PLANS, "monthly", MONTHLY)
    return Clocked(redis, await WalletStore.open(redis, shards=4))


async def test_two_sweepers_at_once_renew_each_of_many_once(bench: Clocked) -> None:
    sims = [f"sim-{number}" for number in range(30)]
    await bench.begun("1000", *sims)
    bench.now_ms += 65 * DAY_MS  # December 1 and January 1
    await asyncio.gather(bench.sweeper().settle(), bench.sweeper().settle())
    assert await bench.balance_nanos("w") == (1000 - 30 * 3 * 5) * 10**9
    steps = Counter(event.id for event in await bench.news() if isinstance(event, WalletEntry) and event.kind == "plan")
    assert max(steps.values()) == 1
    assert {(await bench.subscription(sim)).next_period for sim in sims} == {3}


async def test_a_renewal_that_cannot_be_paid_waits_for_a_refill_and_then_goes_on(bench: Clocked) -> None:
    await bench.begun("12", "sim-1")
    bench.now_ms += 65 * DAY_MS
    await bench.sweeper().settle()
    assert (await bench.subscription("sim-1")).status == "unpaid"
    assert await bench.balance_nanos("w") == 2 * 10**9
    await bench.top_up("w", "10", "refill")
    bench.now_ms += 1
    await bench.sweeper().settle()
    assert (await bench.subscription("sim-1")).status == "active"
    assert await bench.balance_nanos("w") == 7 * 10**9
    told = [(event.type, event.reason) for event in await bench.news() if isinstance(event, LifecycleEvent)]
    assert told == [("suspended", "payment"), ("resumed", "payment")]
    assert await bench.sweeper().sweep_once() is False


async def test_a_refill_pays_for_as_many_as_it_reaches(bench: Clocked) -> None:
    await bench.begun("15", "sim-1", "sim-2", "sim-3")
    bench.now_ms += 40 * DAY_MS
    await bench.sweeper().settle()
    await bench.top_up("w", "11", "refill")
    bench.now_ms += 1
    await bench.sweeper().settle()
    statuses = [(await bench.subscription(sim)).status for sim in ("sim-1", "sim-2", "sim-3")]
    assert statuses == ["active", "active", "unpaid"]


async def test_who_moved_to_another_wallet_costs_the_old_one_nothing_more(bench: Clocked) -> None:
    await bench.begun("12", "sim-1")
    await bench.wallet("other", "10")
    assignment = Assignment(bench.now_ms, "other", "other", "payg", "EUR")
    await bench.directory.move("t", "sim-1", assignment, now_ms=bench.now_ms)
    bench.now_ms += 65 * DAY_MS
    await bench.sweeper().settle()
    assert await bench.balance_nanos("w") == 7 * 10**9
    assert await Timers(bench.redis, bench.store).next_ms() is None


@pytest.mark.parametrize("is_looked_at_between", [False, True])
async def test_a_plan_that_was_assigned_for_later_begins_then_without_usage(
    bench: Clocked, is_looked_at_between: bool
) -> None:
    """Also for a SIM that had none, and where the plan before makes steps until then."""
    await bench.planned("100", "payg", "new")
    await bench.planned("100", "monthly", "old", from_ms=NOW_MS)
    subscriptions, timers = Subscriptions(bench.store, bench.catalogue()), Timers(bench.redis, bench.store)
    for sim in ("new", "old"):
        later = Assignment(NOW_MS + 75 * DAY_MS, "w", "w", "monthly" if sim == "new" else "payg", "EUR")
        found = await bench.directory.get("t", sim)
        assert found is not None
        await subscriptions.begin_assigned(found, timers, now_ms=NOW_MS)
        moved = await bench.directory.move("t", sim, later, now_ms=NOW_MS)
        await subscriptions.begin_assigned(moved, timers, now_ms=NOW_MS)
    for days in (40, 70, 76) if is_looked_at_between else (76,):
        bench.now_ms = NOW_MS + days * DAY_MS
        await bench.sweeper().settle()
    assert (await bench.subscription("new")).plan == "monthly"
    assert (await bench.subscription("old")).plan == "payg"
    assert await bench.balance_nanos("w") == (100 - 3 * 5 - 5) * 10**9, "November to January of one, then of the other"


async def test_a_step_the_catalogue_has_no_terms_for_is_put_off_and_keeps_nobody_waiting(
    bench: Clocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.begun("12", "sim-1")
    bench.now_ms += 40 * DAY_MS
    monkeypatch.delitem(PLANS, "monthly")
    await bench.sweeper().settle()
    monkeypatch.setitem(PLANS, "monthly", MONTHLY)
    assert await bench.balance_nanos("w") == 7 * 10**9
    bench.now_ms += PUT_OFF_MS
    await bench.sweeper().settle()
    assert await bench.balance_nanos("w") == 2 * 10**9


async def test_each_shard_is_swept_by_who_looks_after_it(bench: Clocked) -> None:
    await bench.begun("12", "sim-1")
    own = bench.store.shard_of("t", "w")
    bench.now_ms += 40 * DAY_MS
    others = [shard for shard in range(bench.store.shards) if shard != own]
    assert not any([await bench.sweeper(range(shard, shard + 1)).sweep_once() for shard in others])
    assert await bench.sweeper(range(own, own + 1)).sweep_once()
