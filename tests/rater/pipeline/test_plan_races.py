"""Usage under plans that is delivered again, crosses the end of a period, or meets a change on its way."""

from __future__ import annotations

import pytest

from rater.identity import identity
from rater.pipeline.batch import Batch
from rater.pipeline.choosing import Subject, after_refill
from rater.pipeline.stepper import Stepper
from rater.plans.life import buy
from rater.subscriber import Assignment, Subscriber
from rater.subscriptions import Subscriptions
from rater.wallet.entry import Decision, Entry, Kind
from schemas.fates import Fate, Reason
from tests.rater.pipeline.conftest import NOW_MS, message, usage
from tests.rater.pipeline.test_plans import PLANS, Planned, bench, fates, records, told

__all__ = ["bench"]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
FIRST = "    billing: {starts: first-usage}\n"
WHOLE = PLANS["data-5"].replace("data-5", "whole-5").replace(
    "    allowances", "    overage: refused\n    allowances")  # fmt: skip
MIXED = PLANS["pool-5"].replace("pool-5", "mixed").replace(
    "shared: true}]", "shared: true}, {name: sms, quantity: 5 messages}]")  # fmt: skip

EXTRA = PLANS["data-5"].replace("data-5", "extra").rstrip() + '\n    addons: [{name: more, price: "2.00"}]\n'

TEXTS = (
    PLANS["data-5"].replace("data-5", "texts").rstrip()
    + """
    addons: [{name: texts, price: "1.00", allowances: [{name: texts, quantity: 9 messages}]}]
"""
)
ICCID, MSISDN = "8988000000000000001", "+4915112345678"


@pytest.fixture(autouse=True)
def plans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PLANS, "whole-5", WHOLE)
    monkeypatch.setitem(PLANS, "mixed", MIXED)
    monkeypatch.setitem(PLANS, "extra", EXTRA)
    monkeypatch.setitem(PLANS, "texts", TEXTS)
    monkeypatch.setitem(PLANS, "fee-at-once", PLANS["fee-5"].replace("fee-5", "fee-at-once").replace(FIRST, ""))


async def subject(bench: Planned, sim: str, at_ms: int) -> Subject:
    subscriptions = Subscriptions(bench.store, bench.catalogue())
    found = await bench.directory.get("t", sim)
    assert found is not None
    return subscriptions.subject(found, at_ms)


async def begin(bench: Planned, sim: str, at_ms: int) -> None:
    subscriptions = Subscriptions(bench.store, bench.catalogue())
    await subscriptions.begin(await subject(bench, sim, at_ms))


@pytest.mark.parametrize("start", [0, 7], ids=["redelivered", "copied"])
async def test_usage_that_was_refused_is_not_the_first_when_it_comes_again(bench: Planned, start: int) -> None:
    """It could not pay the fee then. Now there is money, but it stays refused, and begins nothing."""
    await bench.planned("1", "fee-5")
    assert fates(await (await bench.pipeline()).process(bench.batch(usage("1")))) == [(Fate.REFUSED, Reason.SUSPENDED)]
    await bench.top_up("w", "9", "refill")
    stepper = Stepper(bench.store, bench.catalogue())
    await stepper.round([await subject(bench, "sim-1", NOW_MS)], after_refill, now_ms=NOW_MS)
    outputs = await (await bench.pipeline()).process(bench.batch(usage("1"), start=start))
    assert outputs.verdicts[0].fate in (Fate.REFUSED, Fate.DUPLICATE)
    assert await bench.balance_nanos("w") == 10_000_000_000


async def test_a_duplicate_is_not_the_first_usage_of_a_plan_that_was_assigned_meanwhile(bench: Planned) -> None:
    """The plan holds from before the usage on, which was charged by then."""
    await bench.planned("20", "payg", from_ms=0)
    await (await bench.pipeline()).process(bench.batch(usage("1")))
    move = Assignment(NOW_MS - 5 * DAY_MS, "w", "w", "fee-5", "EUR")
    await bench.directory.move("t", "sim-1", move, now_ms=NOW_MS)
    outputs = await (await bench.pipeline()).process(bench.batch(usage("1"), start=7))
    assert outputs.verdicts[0].fate is Fate.DUPLICATE
    assert await bench.balance_nanos("w") == 19_000_000_000


@pytest.mark.parametrize("plan", ["data-5", "whole-5"])
@pytest.mark.parametrize("swept", [False, True])
async def test_usage_over_the_end_of_a_period_uses_the_next_ones_allowance(
    bench: Planned, plan: str, *, swept: bool
) -> None:
    """Whether the period was begun by then or is begun for it: when it is noticed makes no difference."""
    await bench.planned("20", plan)
    await begin(bench, "sim-1", NOW_MS - DAY_MS)
    if swept:
        await begin(bench, "sim-1", NOW_MS + 1)
    batch = bench.batch(usage("1", start_time="2026-10-31T23:00:00Z", end_time="2026-11-01T01:00:00Z"))
    outputs = await (await bench.pipeline()).process(Batch(batch.events, NOW_MS + DAY_MS, format="usage"))
    assert [one[:2] for one in told(outputs)] == [(500_000, "data"), (500_000, "data")]


async def test_a_pools_own_allowances_keep_nobody_else_going(bench: Planned) -> None:
    """The shared one is used up and the wallet is empty: who has nothing else is suspended."""
    await bench.planned("0", "mixed", "line")
    assignment = Assignment(0, "w", "w", "payg", "EUR")
    await bench.directory.add([Subscriber("t", "sim-1", 1, (assignment,))], now_ms=NOW_MS)
    await begin(bench, "line", NOW_MS - DAY_MS)
    pipeline = await bench.pipeline()
    events = [usage("1", volume_bytes=5_000_000), message("2"), message("3", "line")]
    outputs = await pipeline.process(bench.batch(*events))
    assert [one.reason for one in outputs.verdicts] == [Reason.NONE, Reason.SUSPENDED, Reason.NONE]
    member = await bench.store.member("t", "w", "sim-1")
    assert member is not None
    assert member.holds == ("parent",)


@pytest.mark.parametrize("held", ["sim-1", ""])
async def test_usage_of_who_is_held_is_not_the_first(bench: Planned, held: str) -> None:
    """It is refused whatever the plan says, so the plan does not begin with it."""
    await bench.planned("10", "fee-5")
    hold = Entry(
        kind=Kind.HOLD, tenant="t", wallet="w", identity=identity("t", "test", "hold"), fingerprint=bytes(8),
        cause="test/hold", subscriber=held, hold="operator",
    )  # fmt: skip
    await begin(bench, "sim-1", NOW_MS - DAY_MS)
    await bench.store.apply([hold], now_ms=NOW_MS)
    over_midnight = {"start_time": "2026-10-31T23:00:00Z", "end_time": "2026-11-01T01:00:00Z"}
    outputs = await (await bench.pipeline()).process(bench.batch(usage("1"), usage("2", **over_midnight)))
    assert fates(outputs) == [(Fate.REFUSED, Reason.SUSPENDED)] * 2
    assert [one["amount_nanos"] for one in records(outputs, "refused")] == [1_000_000_000, 500_000_000, 500_000_000]
    assert await bench.balance_nanos("w") == 10_000_000_000


async def test_usage_that_the_tariff_blocks_is_not_the_first(bench: Planned) -> None:
    await bench.planned("10", "fee-5")
    await begin(bench, "sim-1", NOW_MS - DAY_MS)
    pipeline = await bench.pipeline()
    outputs = await pipeline.process(bench.batch(usage("1", country="KP")))
    assert fates(outputs) == [(Fate.REFUSED, Reason.REGION_BLOCKED)]
    assert await bench.balance_nanos("w") == 10_000_000_000
    assert fates(await pipeline.process(bench.batch(usage("2"), start=1))) == [(Fate.RATED, Reason.NONE)]
    assert await bench.balance_nanos("w") == 5_000_000_000


async def test_a_request_that_is_repeated_after_a_move_costs_nothing_more(bench: Planned) -> None:
    """Its answer was lost, and the SIM has another wallet by now: it is found made in the one before."""
    subscriptions = Subscriptions(bench.store, bench.catalogue())
    await bench.planned("10", "extra")
    await bench.wallet("elsewhere", "10")

    async def bought() -> Decision:
        who = await subject(bench, "sim-1", NOW_MS)
        return await subscriptions.make(who, lambda sub, view: buy(sub, "more", "order", NOW_MS, view), "request")

    first = await bought()
    move = Assignment(NOW_MS - 1, "elsewhere", "elsewhere", "extra", "EUR")
    await bench.directory.move("t", "sim-1", move, now_ms=NOW_MS)
    again = await bought()
    assert (again.known, again.charged_nanos) == (True, first.charged_nanos)
    assert [await bench.balance_nanos(wallet) for wallet in ("w", "elsewhere")] == [8_000_000_000, 10_000_000_000]


async def test_late_first_usage_leaves_what_was_granted_since_then_to_use(bench: Planned) -> None:
    """The refill came after it and began the period: with nothing left in the wallet the SIM goes on by that."""
    await bench.planned("0", "fee-at-once")
    await begin(bench, "sim-1", NOW_MS - DAY_MS)
    await bench.top_up("w", "5", "refill")
    stepper = Stepper(bench.store, bench.catalogue())
    await stepper.round([await subject(bench, "sim-1", NOW_MS - HOUR_MS)], after_refill, now_ms=NOW_MS)
    outputs = await (await bench.pipeline()).process(bench.batch(usage("1")))
    assert fates(outputs) == [(Fate.REFUSED, Reason.INSUFFICIENT_BALANCE)], "the allowance was granted after it"
    member = await bench.store.member("t", "w", "sim-1")
    assert member is not None
    assert member.holds == ()


async def test_what_was_rated_before_an_add_on_uses_it_though_a_later_one_knows_of_it(bench: Planned) -> None:
    """It moves no counters, so nothing else tells that it was rated under other terms than those beside it."""
    await bench.wallet("w", "10")
    assignment = Assignment(NOW_MS - DAY_MS, "w", "w", "texts", "EUR")
    sim = Subscriber("t", "sim-1", 1, (assignment,), iccid=ICCID, msisdn=MSISDN)
    await bench.directory.add([sim], now_ms=NOW_MS)
    await begin(bench, "sim-1", NOW_MS - DAY_MS)
    pipeline = await bench.pipeline()

    def by(name: str, value: str, event_id: str) -> bytes:
        return message(event_id, subscriber=None, **{name: value})

    await pipeline.process(bench.batch(by("iccid", ICCID, "1")))
    torn = pipeline.begin(bench.batch(by("msisdn", MSISDN, "2"), by("iccid", ICCID, "3"), start=1))
    who = await subject(bench, "sim-1", NOW_MS - 14 * HOUR_MS)  # when the messages were sent
    subscriptions = Subscriptions(bench.store, bench.catalogue())
    await subscriptions.make(who, lambda sub, view: buy(sub, "texts", "order", who.at_ms, view), "request")
    await pipeline.process(bench.batch(by("iccid", ICCID, "4"), start=9))
    await pipeline.resolve(torn)
    outputs = pipeline.settle(await pipeline.charge(torn))
    assert [one["charged_nanos"] for one in records(outputs)] == [0, 0]
