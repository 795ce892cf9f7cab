"""Steps by time and by refill where something else happens to the subscriber or its wallet at the same moment."""

from __future__ import annotations

from typing import Any

import pytest

from rater.plans.life import cancel
from rater.subscriber import Assignment
from rater.subscriptions import Subscriptions
from schemas.lifecycle import LifecycleEvent
from streams.timers import PUT_OFF_MS
from tests.rater.pipeline.conftest import NOW_MS, usage
from tests.rater.pipeline.test_plans import PLANS
from tests.streams.test_timers import DAY_MS, MONTHLY, Clocked, bench

__all__ = ["bench"]


@pytest.fixture(autouse=True)
def plans(monkeypatch: pytest.MonkeyPatch) -> None:
    def like_monthly(name: str, fee: str, term: str = "") -> None:
        text = MONTHLY.replace("monthly", name).replace("5.00", fee)
        monkeypatch.setitem(PLANS, name, text.replace("    recurring_fee", f"{term}    recurring_fee"))

    like_monthly("dear", "9.00")
    like_monthly("credit", "1.00", '    floor: "-10.00"\n')
    like_monthly("back", "9.00", "    leaving: {refund: days-after}\n")


async def assign(bench: Clocked, sim: str, plan: str, wallet: str = "w", at_ms: int | None = None) -> None:
    """What stands in the directory when a process dies before it begins the plan."""
    from_ms = bench.now_ms if at_ms is None else at_ms
    await bench.directory.move("t", sim, Assignment(from_ms, wallet, wallet, plan, "EUR"), now_ms=bench.now_ms)


async def test_a_refill_pays_the_plan_that_was_assigned_and_not_the_one_before(bench: Clocked) -> None:
    await bench.begun("0", "sim-1")
    bench.now_ms += DAY_MS
    await assign(bench, "sim-1", "dear")
    await bench.top_up("w", "20", "refill")
    bench.now_ms += 1
    await bench.sweeper().settle()
    assert await bench.balance_nanos("w") == 11 * 10**9
    assert (await bench.subscription("sim-1")).plan == "dear"


async def test_a_plan_that_was_assigned_begins_with_what_is_due_of_the_one_before(bench: Clocked) -> None:
    await bench.begun("30", "sim-1")
    bench.now_ms += DAY_MS
    await assign(bench, "sim-1", "dear", at_ms=NOW_MS + 30 * DAY_MS)
    bench.now_ms += 40 * DAY_MS
    await bench.sweeper().settle()
    assert (await bench.subscription("sim-1")).plan == "dear"
    assert await bench.balance_nanos("w") == (30 - 5 - 9) * 10**9


@pytest.mark.parametrize("wallet", ["w", "other"])
async def test_who_could_not_pay_goes_on_where_there_is_nothing_to_pay(bench: Clocked, wallet: str) -> None:
    """An unpaid plan is left for one without fees: nobody would ever lift the hold."""
    await bench.begun("3", "sim-1")
    await bench.wallet("other", "10")
    bench.now_ms += DAY_MS
    await assign(bench, "sim-1", "payg", wallet)
    subscriptions = Subscriptions(bench.store, bench.catalogue())
    found = await bench.directory.get("t", "sim-1")
    assert found is not None
    await subscriptions.begin(subscriptions.subject(found, bench.now_ms))
    member = await bench.store.member("t", wallet, "sim-1")
    assert member is not None
    assert member.holds == ()
    told = [(event.type, event.reason) for event in await bench.news() if isinstance(event, LifecycleEvent)]
    assert told == [("suspended", "payment"), ("resumed", "payment")]


async def test_who_could_not_pay_uses_a_wallet_where_there_is_nothing_to_pay(bench: Clocked) -> None:
    """Also where the process died before it began the plan there."""
    await bench.begun("3", "sim-1")
    await bench.wallet("other", "10")
    bench.now_ms += 1
    await assign(bench, "sim-1", "payg", "other")
    later = {"start_time": "2026-11-01T08:00:00Z", "end_time": "2026-11-01T08:00:00Z"}
    outputs = await (await bench.pipeline()).process(bench.batch(usage("1", **later)))
    assert [one.fate.name for one in outputs.verdicts] == ["RATED"]


async def test_a_floor_that_a_plan_lowers_pays_who_waits(bench: Clocked) -> None:
    await bench.begun("3", "sim-1")
    assert (await bench.subscription("sim-1")).status == "unpaid"
    await bench.planned("3", "credit", "sim-2", from_ms=NOW_MS)
    subscriptions = Subscriptions(bench.store, bench.catalogue())
    found = await bench.directory.get("t", "sim-2")
    assert found is not None
    await subscriptions.begin(subscriptions.subject(found, bench.now_ms))
    bench.now_ms += 1
    await bench.sweeper().settle()
    assert (await bench.subscription("sim-1")).status == "active"


async def test_what_one_is_given_back_pays_who_waits(bench: Clocked) -> None:
    await bench.planned("12", "back", "sim-1", from_ms=NOW_MS)
    subscriptions = Subscriptions(bench.store, bench.catalogue())
    first = await bench.directory.get("t", "sim-1")
    assert first is not None
    await subscriptions.begin(subscriptions.subject(first, bench.now_ms))
    await bench.planned("12", "monthly", "sim-2", from_ms=NOW_MS)
    second = await bench.directory.get("t", "sim-2")
    assert second is not None
    await subscriptions.begin(subscriptions.subject(second, bench.now_ms))
    assert (await bench.subscription("sim-2")).status == "unpaid"
    bench.now_ms += DAY_MS
    subject = subscriptions.subject(first, bench.now_ms)
    await subscriptions.make(subject, lambda sub, view: cancel(sub, bench.now_ms, view), "cancel-1")
    bench.now_ms += 1
    await bench.sweeper().settle()
    assert (await bench.subscription("sim-2")).status == "active"


async def test_a_second_refill_of_the_same_moment_is_not_lost(bench: Clocked, monkeypatch: pytest.MonkeyPatch) -> None:
    """It came when the first had been looked at, and the entry of both is one."""
    await bench.begun("0", "sim-1")
    await bench.top_up("w", "1", "first")
    sweeper = bench.sweeper()
    drop = sweeper._timers.drop

    async def refilled_first(*entry: Any) -> None:
        monkeypatch.setattr(sweeper._timers, "drop", drop)
        await bench.top_up("w", "9", "second")
        await drop(*entry)

    monkeypatch.setattr(sweeper._timers, "drop", refilled_first)
    await sweeper.settle()
    bench.now_ms += 1
    await sweeper.settle()
    assert (await bench.subscription("sim-1")).status == "active"


async def test_a_refill_that_finds_no_terms_is_tried_again(bench: Clocked, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.begun("0", "sim-1")
    with monkeypatch.context() as without:
        without.delitem(PLANS, "monthly")
        await bench.top_up("w", "9", "refill")
        await bench.sweeper().settle()
    bench.now_ms += PUT_OFF_MS
    await bench.sweeper().settle()
    assert (await bench.subscription("sim-1")).status == "active"


async def test_what_was_due_before_another_plan_was_assigned_is_done_first(bench: Clocked) -> None:
    """However late it is noticed: no sweeper ran, and the new plan comes by a command or with usage."""
    await bench.begun("100", "sim-1")
    bench.now_ms += 40 * DAY_MS
    await assign(bench, "sim-1", "dear")
    subscriptions = Subscriptions(bench.store, bench.catalogue())
    found = await bench.directory.get("t", "sim-1")
    assert found is not None
    await subscriptions.begin(subscriptions.subject(found, bench.now_ms))
    assert await bench.balance_nanos("w") == (100 - 5 - 5 - 9) * 10**9


async def test_a_plan_begins_though_the_one_before_has_no_terms_any_more(
    bench: Clocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.begun("100", "sim-1")
    bench.now_ms += 40 * DAY_MS
    await assign(bench, "sim-1", "dear")
    monkeypatch.delitem(PLANS, "monthly")
    await bench.sweeper().settle()
    bench.now_ms += PUT_OFF_MS
    await bench.sweeper().settle()
    assert await bench.balance_nanos("w") == (100 - 5 - 9) * 10**9
