"""Usage under a plan: its fee comes first, its allowances before money, and all of it once."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rater.catalogue import Catalogue
from rater.directory import Directory
from rater.pipeline.batch import Batch
from rater.pipeline.catalogues import Catalogues
from rater.pipeline.pipeline import Pipeline
from rater.pipeline.settle import Outputs
from rater.subscriber import Assignment, Subscriber
from rater.subscriptions import Subscriptions
from rater.wallet.store import WalletStore
from schemas.fates import Fate, Reason
from tests.rater.pipeline.conftest import NOW_MS, PLAN, TARIFF, Bench, message, usage

PLANS = {
    "data-5": """
plan: data-5
currency: EUR
zone: UTC
versions:
  - version: "1"
    effective_from: "2026-01-01T00:00"
    tariff: test-eur
    allowances: [{name: data, quantity: 5 MB}]
""",
    "pool-5": """
plan: pool-5
currency: EUR
zone: UTC
versions:
  - version: "1"
    effective_from: "2026-01-01T00:00"
    tariff: test-eur
    allowances: [{name: data, quantity: 5 MB, shared: true}]
""",
    "fee-5": """
plan: fee-5
currency: EUR
zone: UTC
versions:
  - version: "1"
    effective_from: "2026-01-01T00:00"
    tariff: test-eur
    recurring_fee: "5.00"
    billing: {starts: first-usage}
    allowances: [{name: data, quantity: 5 MB}]
""",
    "free-3": """
plan: free-3
currency: EUR
zone: UTC
versions:
  - version: "1"
    effective_from: "2026-01-01T00:00"
    tariff: test-eur
    overage: refused
    allowances: [{name: messages, quantity: 3 messages}]
""",
}
OCTOBER_MS = 1_790_812_800_000


class Planned(Bench):
    """A bench whose catalogue has plans."""

    def catalogue(self) -> Catalogue:
        files = {f"plans/{name}.yaml": text for name, text in PLANS.items()}
        return Catalogue({"tariffs/test.yaml": TARIFF.format(price="1.00"), "plans/payg.yaml": PLAN} | files)

    async def pipeline(self, *_: Any, **options: Any) -> Pipeline:
        catalogues = Catalogues(self.redis, self.catalogue())
        await catalogues.keep()
        return Pipeline(self.store, Directory(self.redis, self.store), catalogues, **options)

    async def planned(self, balance: str, plan: str, *sims: str, from_ms: int = OCTOBER_MS) -> None:
        await self.wallet("w", balance)
        assignment = Assignment(from_ms, "w", "w", plan, "EUR")
        await self.directory.add([Subscriber("t", sim, 1, (assignment,)) for sim in sims or ("sim-1",)], now_ms=NOW_MS)


@pytest.fixture
async def bench(redis: Any) -> Planned:
    return Planned(redis, await WalletStore.open(redis, shards=4))


def records(outputs: Outputs, topic: str = "rated") -> list[dict[str, Any]]:
    return [orjson.loads(value) for _, value in outputs.messages.get(topic, [])]


def told(outputs: Outputs) -> list[tuple[int, str, int, int, int]]:
    """Quantity, allowance, parts used of it, parts left, nanos charged."""
    return [
        (one["quantity"], one.get("allowance", ""), one.get("allowance_used", 0), one.get("allowance_left", 0),
         one["charged_nanos"])
        for one in records(outputs)
    ]  # fmt: skip


async def test_an_allowance_is_used_before_money_and_split_where_it_ends(bench: Planned) -> None:
    await bench.planned("10", "data-5")
    pipeline = await bench.pipeline()
    outputs = await pipeline.process(
        bench.batch(usage("1", volume_bytes=3_000_000), usage("2", volume_bytes=4_000_000))
    )
    assert told(outputs) == [
        (3_000_000, "data", 3_000_000, 2_000_000, 0),
        (2_000_000, "data", 2_000_000, 0, 0),
        (2_000_000, "", 0, 0, 2_000_000_000),
    ]
    assert [(one.get("part", 0), one.get("parts", 1)) for one in records(outputs)] == [(0, 1), (0, 2), (1, 2)]
    assert await bench.balance_nanos("w") == 8_000_000_000


async def test_what_no_allowance_is_for_is_paid(bench: Planned) -> None:
    await bench.planned("10", "data-5")
    outputs = await (await bench.pipeline()).process(bench.batch(message("1")))
    assert told(outputs) == [(1, "", 0, 0, 100_000_000)]


async def test_a_fee_is_charged_before_the_first_usage_and_not_again(bench: Planned) -> None:
    await bench.planned("5.50", "fee-5")
    pipeline = await bench.pipeline()
    outputs = await pipeline.process(bench.batch(usage("1"), usage("2", sim="sim-1")))
    assert outputs.tally.of(Fate.RATED) == 2
    assert await bench.balance_nanos("w") == 500_000_000
    await pipeline.process(bench.batch(usage("3"), start=5))
    await (await bench.pipeline()).process(bench.batch(usage("4"), start=6))
    assert await bench.balance_nanos("w") == 500_000_000


async def test_usage_of_the_next_month_renews_first(bench: Planned) -> None:
    await bench.planned("12", "fee-5")
    pipeline = await bench.pipeline()
    later = {"start_time": "2026-11-01T08:00:00Z", "end_time": "2026-11-01T08:00:00Z"}
    outputs = await pipeline.process(
        bench.batch(usage("1", volume_bytes=4_000_000), usage("2", volume_bytes=4_000_000, **later))
    )
    assert told(outputs) == [(4_000_000, "data", 4_000_000, 1_000_000, 0)] * 2
    assert await bench.balance_nanos("w") == 2_000_000_000
    late = await pipeline.process(bench.batch(usage("3", volume_bytes=3_000_000), start=9))
    assert [one[:2] for one in told(late)] == [(1_000_000, "data"), (2_000_000, "")], "late usage has its own period's"


async def test_a_fee_that_cannot_be_paid_holds_the_sim(bench: Planned) -> None:
    await bench.planned("4.99", "fee-5")
    outputs = await (await bench.pipeline()).process(bench.batch(usage("1")))
    assert [(one.fate, one.reason) for one in outputs.verdicts] == [(Fate.REFUSED, Reason.SUSPENDED)]
    member = await bench.store.member("t", "w", "sim-1")
    assert member is not None
    assert member.holds == ("payment",)
    assert await bench.balance_nanos("w") == 4_990_000_000


async def test_an_empty_wallet_does_not_stop_what_an_allowance_covers(bench: Planned) -> None:
    await bench.planned("5", "fee-5")
    pipeline = await bench.pipeline()
    outputs = await pipeline.process(
        bench.batch(usage("1"), message("2"), usage("3", volume_bytes=4_000_000), usage("4"))
    )
    assert [(one.fate, one.reason) for one in outputs.verdicts] == [
        (Fate.RATED, Reason.NONE),
        (Fate.REFUSED, Reason.INSUFFICIENT_BALANCE),
        (Fate.RATED, Reason.NONE),
        (Fate.REFUSED, Reason.SUSPENDED),
    ]
    member = await bench.store.member("t", "w", "sim-1")
    assert member is not None
    assert member.holds == ("parent",), "with the last of its allowance it is suspended"


async def test_a_redelivery_has_the_same_bytes_though_the_allowance_is_used_up(bench: Planned) -> None:
    await bench.planned("10", "data-5")
    events = [usage("1", volume_bytes=3_000_000), usage("2", volume_bytes=4_000_000), usage("3"), message("4")]
    first = await (await bench.pipeline()).process(bench.batch(*events))
    again = await (await bench.pipeline()).process(bench.batch(*events))
    assert first.messages == again.messages
    assert again.tally.redelivered == 4
    assert await bench.balance_nanos("w") == 6_900_000_000


async def test_two_workers_on_one_sim_use_each_byte_of_its_allowance_once(bench: Planned) -> None:
    await bench.planned("10", "data-5")
    one, other = await bench.pipeline(), await bench.pipeline()
    for number in range(6):
        worker = one if number % 2 else other
        await worker.process(bench.batch(usage(str(number)), start=number))
    assert await bench.balance_nanos("w") == 9_000_000_000


async def test_who_was_loaded_without_a_date_begins_with_the_first_usage(bench: Planned) -> None:
    await bench.planned("20", "fee-5", from_ms=0)
    await (await bench.pipeline()).process(bench.batch(usage("1")))
    assert await bench.balance_nanos("w") == 15_000_000_000


def fates(outputs: Outputs) -> list[tuple[Fate, Reason]]:
    return [(verdict.fate, verdict.reason) for verdict in outputs.verdicts]


def messages(event_id: str, count: int = 1, **fields: Any) -> bytes:
    return usage(event_id, volume_bytes=None, service="message", kind="sms", message_count=count, **fields)  # type: ignore[arg-type]


USED_UP = Fate.REFUSED, Reason.ALLOWANCE_USED_UP
TAKEN = Fate.RATED, Reason.NONE


async def test_a_plan_may_refuse_what_its_allowance_does_not_cover_and_takes_nothing_then(bench: Planned) -> None:
    """Three messages are free. A fourth is refused though there is money; so is one event that is more than is left."""
    await bench.planned("10", "free-3")
    pipeline = await bench.pipeline()
    events = [messages("1", 2), messages("2", 2), messages("3"), messages("4")]
    outputs = await pipeline.process(bench.batch(*events))
    assert fates(outputs) == [TAKEN, USED_UP, TAKEN, USED_UP]
    assert await bench.balance_nanos("w") == 10_000_000_000
    refused = records(outputs, "refused")
    assert [(one["reason"], one["amount_nanos"], one["charged_nanos"]) for one in refused] == [
        ("allowance_used_up", 200_000_000, 0), ("allowance_used_up", 100_000_000, 0),
    ]  # fmt: skip
    again = await (await bench.pipeline()).process(bench.batch(messages("4"), start=9))
    assert again.verdicts[0].fate is Fate.DUPLICATE


async def test_a_worker_that_is_behind_refuses_nothing_by_what_it_believes(bench: Planned) -> None:
    """One that takes the allowance for used up is told that a new period has granted it again, and the other way."""
    await bench.planned("10", "free-3")
    one, other = await bench.pipeline(), await bench.pipeline()
    await one.process(bench.batch(messages("1", 3)))
    assert fates(await other.process(bench.batch(messages("2"), start=1))) == [USED_UP]
    december = {"start_time": "2026-12-01T10:00:00Z", "end_time": "2026-12-01T10:00:00Z"}
    batch = bench.batch(messages("3", **december), start=2)
    later = Batch(batch.events, NOW_MS + 31 * 86_400_000)
    assert fates(await other.process(later)) == [TAKEN]
    batch = bench.batch(messages("4", 2, **december), messages("5", **december), start=3)
    assert fates(await one.process(Batch(batch.events, later.now_ms))) == [TAKEN, USED_UP]


async def pooled(bench: Planned, balance: str, *sims: str) -> None:
    """A wallet whose pool has 5 MB for the SIMs, which are on pay as you go."""
    await bench.planned(balance, "pool-5", "line")
    assignment = Assignment(0, "w", "w", "payg", "EUR")
    await bench.directory.add([Subscriber("t", sim, 1, (assignment,)) for sim in sims], now_ms=NOW_MS)
    subscriptions = Subscriptions(bench.store, bench.catalogue())
    line = await bench.directory.get("t", "line")
    assert line is not None
    await subscriptions.begin(subscriptions.subject(line, NOW_MS - 86_400_000))


async def test_a_shared_allowance_is_one_for_all_sims_of_the_wallet(bench: Planned) -> None:
    await pooled(bench, "10", "sim-1", "sim-2")
    pipeline = await bench.pipeline()
    outputs = await pipeline.process(
        bench.batch(*(usage(str(number), f"sim-{number % 2 + 1}", 2_000_000) for number in range(4)))
    )
    assert told(outputs) == [
        (2_000_000, "data", 2_000_000, 3_000_000, 0),
        (2_000_000, "data", 2_000_000, 1_000_000, 0),
        (1_000_000, "data", 1_000_000, 0, 0),
        (1_000_000, "", 0, 0, 1_000_000_000),
        (2_000_000, "", 0, 0, 2_000_000_000),
    ]


async def test_two_workers_use_a_pool_to_the_last_byte_and_learn_of_it_late(bench: Planned) -> None:
    """One of them knows the SIM from before there was a pool."""
    await bench.wallet("w", "10", "sim-1", "sim-2")
    one, other = await bench.pipeline(), await bench.pipeline()
    await one.process(bench.batch(message("m"), message("n", "sim-2"), start=100))
    await pooled(bench, "10")
    for number in range(7):
        worker = (one, other)[number % 2]
        await worker.process(bench.batch(usage(str(number), f"sim-{number % 3 % 2 + 1}"), start=number))
    assert await bench.balance_nanos("w") == 10_000_000_000 - 2 * 100_000_000 - 2 * 1_000_000_000


async def test_an_empty_wallet_holds_nobody_while_its_pool_has_something(bench: Planned) -> None:
    await pooled(bench, "0.10", "sim-1", "sim-2")
    pipeline = await bench.pipeline()
    outputs = await pipeline.process(
        bench.batch(
            message("1"), usage("2", "sim-2", 3_000_000), message("3", "sim-2"), usage("4"), usage("5"), usage("6")
        )
    )
    assert [one.reason for one in outputs.verdicts] == [
        Reason.NONE, Reason.NONE, Reason.INSUFFICIENT_BALANCE, Reason.NONE, Reason.NONE, Reason.SUSPENDED
    ]  # fmt: skip
    state = await bench.store.wallet("t", "w")
    assert state is not None
    assert state.holds == ("balance",)


async def test_a_pools_own_line_uses_it_like_any_other(bench: Planned) -> None:
    await pooled(bench, "10", "sim-1")
    pipeline = await bench.pipeline()
    events = [
        usage("1", "line", 2_000_000),
        usage("2"),
        message("3", "line"),
        usage("4", "line", 3_000_000),
        usage("5"),
    ]
    outputs = await pipeline.process(bench.batch(*events))
    assert [one[:4] for one in told(outputs)] == [
        (2_000_000, "data", 2_000_000, 3_000_000),
        (1_000_000, "data", 1_000_000, 2_000_000),
        (1, "", 0, 0),
        (2_000_000, "data", 2_000_000, 0),
        (1_000_000, "", 0, 0),
        (1_000_000, "", 0, 0),
    ]
    again = await (await bench.pipeline()).process(bench.batch(*events))
    assert again.messages == outputs.messages


async def test_usage_a_moment_older_than_the_subscription_is_its_first(bench: Planned) -> None:
    """A SIM that was put on a plan "for ever" began when it was added; its usage may have been under way."""
    await bench.planned("20", "fee-5", from_ms=0)
    subscriptions = Subscriptions(bench.store, bench.catalogue())
    sim = await bench.directory.get("t", "sim-1")
    assert sim is not None
    await subscriptions.begin(subscriptions.subject(sim, NOW_MS))
    await (await bench.pipeline()).process(bench.batch(usage("1")))
    assert await bench.balance_nanos("w") == 14_000_000_000, "the fee, and a MB that is older than what was granted"
