"""Usage under plans where it is easily stuck or wrongly paid: after a move, of another time, free, or a repeat."""

from __future__ import annotations

from typing import Any

import pytest

from rater.pipeline.choosing import Subject, after_refill
from rater.pipeline.stepper import Stepper
from rater.subscriber import Assignment
from rater.subscriptions import Subscriptions
from schemas.fates import Fate
from tests.rater.pipeline.conftest import NOW_MS, message, usage
from tests.rater.pipeline.test_plans import OCTOBER_MS, PLANS, Planned, bench, pooled, records, told

__all__ = ["bench"]

DAY_MS = 86_400_000
SMS = """
plan: sms-10
currency: EUR
zone: UTC
versions:
  - version: "1"
    effective_from: "2026-01-01T00:00"
    tariff: test-eur
    allowances: [{name: sms, quantity: 10 messages}, {name: talk, quantity: 10 min}]
"""
MONTHLY = """
plan: monthly-5
currency: EUR
zone: UTC
versions:
  - version: "1"
    effective_from: "2026-01-01T00:00"
    tariff: test-eur
    recurring_fee: "5.00"
    allowances: [{name: data, quantity: 5 MB}]
"""


@pytest.fixture(autouse=True)
def plans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PLANS, "sms-10", SMS)
    monkeypatch.setitem(PLANS, "monthly-5", MONTHLY)


async def begin(bench: Planned, sim: str, at_ms: int) -> None:
    subscriptions = Subscriptions(bench.store, bench.catalogue())
    found = await bench.directory.get("t", sim)
    assert found is not None
    await subscriptions.begin(subscriptions.subject(found, at_ms))


def called(number: str, event_id: str, sim: str = "sim-1") -> bytes:
    return usage(event_id, sim, None, service="voice", duration_ms=60_000, called_number=number,
                 end_time="2026-10-31T10:01:00Z")  # type: ignore[arg-type]  # fmt: skip


def texts(event_id: str, count: int, sim: str = "sim-1") -> bytes:
    return usage(event_id, sim, None, service="message", kind="sms", message_count=count)  # type: ignore[arg-type]


@pytest.mark.parametrize("plan", ["data-5", "fee-5"])
async def test_usage_from_before_a_move_is_charged_though_the_plan_never_began(bench: Planned, plan: str) -> None:
    """Who has left makes no more steps in the old wallet: such usage costs what the tariff says."""
    await bench.planned("20", plan)
    await bench.wallet("other", "20")
    move = Assignment(NOW_MS - 1000, "other", "other", "payg", "EUR")
    await bench.directory.move("t", "sim-1", move, now_ms=NOW_MS)
    outputs = await (await bench.pipeline()).process(bench.batch(usage("1"), message("2")))
    assert [one.fate for one in outputs.verdicts] == [Fate.RATED] * 2
    assert await bench.balance_nanos("w") == 18_900_000_000


async def test_usage_from_before_a_move_uses_what_was_granted_then(bench: Planned) -> None:
    await bench.planned("20", "data-5")
    await begin(bench, "sim-1", OCTOBER_MS)
    await bench.wallet("other", "20")
    move = Assignment(NOW_MS - 1000, "other", "other", "payg", "EUR")
    await bench.directory.move("t", "sim-1", move, now_ms=NOW_MS)
    outputs = await (await bench.pipeline()).process(bench.batch(usage("1"), message("2")))
    assert told(outputs) == [(1_000_000, "data", 1_000_000, 4_000_000, 0), (1, "", 0, 0, 100_000_000)]


async def test_a_pool_that_moves_away_takes_its_allowances_along(bench: Planned) -> None:
    await pooled(bench, "0.10", "sim-1")
    await bench.wallet("other", "20")
    pipeline = await bench.pipeline()
    await pipeline.process(bench.batch(usage("1"), message("2"), start=0))
    move = Assignment(NOW_MS, "other", "other", "pool-5", "EUR")
    await bench.directory.move("t", "line", move, now_ms=NOW_MS)
    state = await bench.store.wallet("t", "w")
    assert state is not None
    assert state.holds == ("balance",), "nothing covers its members any more"
    await bench.top_up("w", "10", "more")
    later = {"start_time": "2026-11-01T08:00:00Z", "end_time": "2026-11-01T08:00:00Z"}
    for worker in (pipeline, await bench.pipeline()):
        name = str(id(worker))
        outputs = await worker.process(bench.batch(usage(name, **later), usage(name + "x"), start=id(worker)))
        assert [one[1] for one in told(outputs)] == ["", ""]


async def test_an_emergency_call_is_free_in_a_wallet_with_a_pool(bench: Planned) -> None:
    await pooled(bench, "10", "sim-1")
    outputs = await (await bench.pipeline()).process(bench.batch(called("112", "1")))
    assert told(outputs) == [(60_000, "", 0, 0, 0)]


async def test_usage_from_before_there_was_a_pool_is_paid(bench: Planned) -> None:
    await pooled(bench, "10", "sim-1")
    early = {"start_time": "2026-09-05T08:00:00Z", "end_time": "2026-09-05T08:00:00Z"}
    outputs = await (await bench.pipeline()).process(bench.batch(usage("1", **early), message("2", "line", **early)))
    assert [one.fate for one in outputs.verdicts] == [Fate.RATED, Fate.PARKED]
    assert told(outputs) == [(1_000_000, "", 0, 0, 1_000_000_000)]


async def test_usage_from_before_a_plan_was_assigned_falls_under_the_one_before(bench: Planned) -> None:
    """Also where that one had no life of its own."""
    await bench.planned("20", "payg", from_ms=0)
    await bench.directory.move("t", "sim-1", Assignment(NOW_MS, "w", "w", "data-5", "EUR"), now_ms=NOW_MS)
    await begin(bench, "sim-1", NOW_MS)
    outputs = await (await bench.pipeline()).process(bench.batch(usage("1")))
    assert [(one["plan"], one["charged_nanos"]) for one in records(outputs)] == [("payg", 1_000_000_000)]


async def test_a_repeat_that_seems_to_use_up_an_allowance_leaves_it_to_who_comes_next(bench: Planned) -> None:
    """At a worker that did not see the first delivery, as after a crash."""
    await bench.planned("10", "sms-10")
    await (await bench.pipeline()).process(bench.batch(texts("1", 6)))
    other = await bench.pipeline()
    outputs = await other.process(bench.batch(texts("1", 6), texts("2", 3)))
    assert [one["charged_nanos"] for one in records(outputs)] == [0, 0]


async def test_a_batch_after_one_that_did_not_count_uses_the_allowance_too(bench: Planned) -> None:
    await bench.planned("10", "sms-10")
    await (await bench.pipeline()).process(bench.batch(texts("1", 6)))
    other = await bench.pipeline()
    repeat = await other.prepare(bench.batch(texts("1", 6)))
    fresh = await other.prepare(bench.batch(texts("2", 3), start=1))
    other.settle(await other.charge(repeat))
    outputs = other.settle(await other.charge(fresh))
    assert [one["charged_nanos"] for one in records(outputs)] == [0]


async def test_a_refill_that_is_spent_before_it_pays_the_fee_does_not_end_the_plan(
    bench: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the wallet and the call another SIM used the money; the next refill pays."""
    await bench.planned("0", "monthly-5", "sim-1", "sim-2")
    pipeline = await bench.pipeline()
    await pipeline.process(bench.batch(usage("1")))
    await bench.top_up("w", "6", "first")
    stepper, sim = Stepper(bench.store, bench.catalogue()), await bench.directory.get("t", "sim-1")
    assert sim is not None
    ref = bench.store.wallet_ref("t", "w")
    subject = Subject(sim, sim.assignments[-1], ref, bench.store.member_key(ref, "sim-1"), NOW_MS)
    apply = bench.store.apply

    async def spent_first(entries: Any, **options: Any) -> Any:
        monkeypatch.setattr(bench.store, "apply", apply)
        await pipeline.process(bench.batch(usage("2", "sim-2"), start=1))
        return await apply(entries, **options)

    monkeypatch.setattr(bench.store, "apply", spent_first)
    await stepper.round([subject], after_refill, now_ms=NOW_MS)
    await bench.top_up("w", "10", "second")
    for _ in range(5):
        if not (await stepper.round([subject], after_refill, now_ms=NOW_MS)).went:
            break
    else:
        pytest.fail("it goes on for ever")
    outputs = await (await bench.pipeline()).process(bench.batch(usage("3"), start=2))
    assert [one.fate for one in outputs.verdicts] == [Fate.RATED]
