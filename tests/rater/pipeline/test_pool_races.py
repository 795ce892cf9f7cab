"""A pool whose usage is in flight while others use it, leave it or take its place."""

from __future__ import annotations

import pytest

from rater.pipeline.batch import Door
from rater.pipeline.live import USED
from rater.subscriber import Assignment, Subscriber
from rater.subscriptions import Subscriptions
from tests.rater.pipeline.conftest import NOW_MS, message, usage
from tests.rater.pipeline.test_plans import PLANS, Planned, bench, pooled, records, told

__all__ = ["bench"]

ICCID = "8988000000000000001"
DAY_MS = 86_400_000


async def begin(bench: Planned, sim: str, at_ms: int) -> None:
    subscriptions = Subscriptions(bench.store, bench.catalogue())
    found = await bench.directory.get("t", sim)
    assert found is not None
    await subscriptions.begin(subscriptions.subject(found, at_ms))


async def used(bench: Planned, sim: str = "line") -> int:
    member = await bench.store.member("t", "w", sim)
    assert member is not None
    return sum(value for key, value in member.counters.items() if key.startswith(USED))


async def two_names(bench: Planned) -> None:
    """A SIM that a worker knows by one name and has to look up by the other."""
    assignment = Assignment(0, "w", "w", "payg", "EUR")
    await bench.directory.add([Subscriber("t", "sim-9", 1, (assignment,), iccid=ICCID)], now_ms=NOW_MS)


def by_iccid(event_id: str, volume_bytes: int = 1_000_000) -> bytes:
    return usage(event_id, volume_bytes=volume_bytes, subscriber=None, iccid=ICCID)


@pytest.mark.parametrize("sim", ["sim-1", "line"])
@pytest.mark.parametrize("first", [0, 1])
async def test_a_batch_rated_between_two_events_of_another_leaves_the_pool_right(
    bench: Planned, sim: str, first: int
) -> None:
    await pooled(bench, "10", "sim-1", "sim-2")
    await two_names(bench)
    pipeline = await bench.pipeline()
    await pipeline.process(bench.batch(usage("1", sim)))
    torn = pipeline.begin(bench.batch(usage("2", sim), by_iccid("3"), start=1))
    between = await pipeline.prepare(bench.batch(usage("4", sim), door=Door("file:other")))
    await pipeline.resolve(torn)
    works = [torn, between] if first == 0 else [between, torn]
    outputs = [pipeline.settle(await pipeline.charge(work)) for work in works]
    given = sum(one[2] for output in outputs for one in told(output))
    assert given == 3_000_000
    assert await used(bench) == 4_000_000


async def test_what_was_rated_before_there_was_a_pool_uses_it_though_a_later_one_knows_of_it(
    bench: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = PLANS["pool-5"].replace("pool-5", "pool-sms").replace("5 MB", "5 messages")
    monkeypatch.setitem(PLANS, "pool-sms", text)
    await bench.wallet("w", "10", "sim-1", "sim-2", "sim-3")
    pipeline = await bench.pipeline()
    await pipeline.process(bench.batch(message("0"), message("00", "sim-2"), message("000", "sim-3")))
    await two_names(bench)
    assignment = Assignment(NOW_MS - 5 * DAY_MS, "w", "w", "pool-sms", "EUR")
    await bench.directory.add([Subscriber("t", "line", 1, (assignment,))], now_ms=NOW_MS)
    await begin(bench, "line", NOW_MS - DAY_MS)
    torn = pipeline.begin(bench.batch(message("1"), message("2", iccid=ICCID, subscriber=None), start=5))
    await pipeline.process(bench.batch(message("3", "sim-3"), start=20))
    await pipeline.resolve(torn)
    outputs = pipeline.settle(await pipeline.charge(torn))
    assert [one["charged_nanos"] for one in records(outputs)] == [0, 0]


async def test_the_pool_of_a_line_that_left_pays_for_nothing_once_another_is_the_pool(bench: Planned) -> None:
    await pooled(bench, "10", "sim-1")
    assignment = Assignment(NOW_MS - 5 * DAY_MS, "w", "w", "pool-5", "EUR")
    await bench.directory.add([Subscriber("t", "other", 1, (assignment,))], now_ms=NOW_MS)
    pipeline = await bench.pipeline()
    await pipeline.process(bench.batch(usage("1")))
    await bench.wallet("elsewhere", "10")
    move = Assignment(NOW_MS - DAY_MS, "elsewhere", "elsewhere", "payg", "EUR")
    await bench.directory.move("t", "line", move, now_ms=NOW_MS)
    await begin(bench, "other", NOW_MS)
    outputs = await pipeline.process(bench.batch(usage("2"), message("3"), start=1))
    assert await used(bench) == 1_000_000
    assert await used(bench, "other") == 1_000_000
    assert len(records(outputs)) == 2


async def test_a_line_that_left_its_pool_and_came_back_shares_nothing_any_more(bench: Planned) -> None:
    """Another is the pool by now, whatever a worker believes that has the line's present state."""
    await pooled(bench, "20", "sim-1")
    assignment = Assignment(NOW_MS - 5 * DAY_MS, "w", "w", "pool-5", "EUR")
    await bench.directory.add([Subscriber("t", "other", 1, (assignment,))], now_ms=NOW_MS)
    pipeline = await bench.pipeline()
    await pipeline.process(bench.batch(usage("1"), usage("2", "line")))
    await bench.wallet("elsewhere", "10")
    for wallet, plan, from_ms in (("elsewhere", "payg", NOW_MS - DAY_MS), ("w", "pool-5", NOW_MS - DAY_MS + 1)):
        move = Assignment(from_ms, wallet, wallet, plan, "EUR")
        await bench.directory.move("t", "line", move, now_ms=NOW_MS)
        await begin(bench, "other", NOW_MS)
    await begin(bench, "line", NOW_MS)
    later = {"start_time": "2026-10-31T11:00:00Z", "end_time": "2026-10-31T11:00:00Z"}
    for number in range(3):
        name = str(number)
        await pipeline.process(bench.batch(usage("line" + name, "line", **later), start=number + 10))
        await pipeline.process(bench.batch(usage("sim" + name, **later), start=number + 20))
    assert (await used(bench), await used(bench, "other")) == (5_000_000, 3_000_000)


async def test_late_usage_of_a_pool_that_has_ended_lets_nobody_go_on(bench: Planned) -> None:
    """Its line has another plan by now, with an allowance for itself, and the wallet is empty."""
    await pooled(bench, "0", "sim-1")
    await bench.directory.move("t", "line", Assignment(NOW_MS - 1, "w", "w", "data-5", "EUR"), now_ms=NOW_MS)
    await begin(bench, "line", NOW_MS)
    outputs = await (await bench.pipeline()).process(bench.batch(usage("1", "line"), message("2")))
    assert [one[:2] for one in told(outputs)] == [(1_000_000, "data")]
    state = await bench.store.wallet("t", "w")
    assert state is not None
    assert state.holds == ("balance",)
