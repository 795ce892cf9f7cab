"""Over any history of usage, refills, time and workers money and allowances add up, and nothing happens twice."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import orjson
import redis.asyncio as redis_async
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.directory import Directory
from rater.money import parse_nanos
from rater.pipeline.batch import Batch, RawEvent
from rater.pipeline.live import USED
from rater.pipeline.pipeline import Pipeline
from rater.plans.life import read_subscription
from rater.wallet.outbox import Outbox
from rater.wallet.store import WalletStore
from rater.wallet.timers import Timers
from schemas.lifecycle import WalletEntry
from streams.timers import Sweeper
from tests.rater.pipeline.conftest import NOW_MS, message, usage
from tests.rater.pipeline.test_plans import Planned, pooled

DAY_MS = 86_400_000
SIMS = ["sim-1", "sim-2"]
DAYS = ["2026-10-05", "2026-10-31", "2026-11-01", "2026-11-20", "2026-12-02"]

bytes_used = st.sampled_from([1, 400_000, 2_500_000, 5_000_000, 9_000_000])
events = st.tuples(st.sampled_from(SIMS), st.sampled_from(DAYS), bytes_used | st.none())
Event = tuple[str, str, int | None]
#: A batch for one of two workers; a batch again for either; money; time.
steps = st.one_of(
    st.tuples(st.just("batch"), st.integers(0, 1), st.lists(events, min_size=1, max_size=6)),
    st.tuples(st.just("again"), st.integers(0, 1), st.integers(0, 9)),
    st.tuples(st.just("refill"), st.just(0), st.sampled_from(["0.30", "3", "12"])),
    st.tuples(st.just("sweep"), st.just(0), st.integers(0, 40)),
)
histories = st.lists(steps, min_size=1, max_size=9)


class History:
    """An engine with two workers and a sweeper, and what it said."""

    def __init__(self, bench: Planned, workers: list[Pipeline], *, is_pooled: bool) -> None:
        self.bench = bench
        self.is_pooled = is_pooled
        self.workers = workers
        self.now_ms = NOW_MS - 27 * DAY_MS
        self.batches: list[tuple[Batch, dict[str, Any]]] = []
        self.records: dict[tuple[str, int], dict[str, Any]] = {}
        self.refilled_nanos = 0
        self.count = 0
        every = range(bench.store.shards)
        directory, catalogue = Directory(bench.redis, bench.store), bench.catalogue()
        self.timers = Timers(bench.redis, bench.store)
        self.sweeper = Sweeper(
            self.timers, bench.store, directory, catalogue, lambda: self.now_ms, lambda: every
        )  # fmt: skip

    async def batch(self, worker: int, batch_events: list[Event]) -> None:
        raw = []
        for sim, day, volume in batch_events:
            self.count += 1
            times = {"start_time": f"{day}T10:00:00Z", "end_time": f"{day}T10:30:00Z"}
            event = message(str(self.count), sim, **times) if volume is None else usage(
                str(self.count), sim, volume, **times
            )  # fmt: skip
            raw.append(RawEvent(event, self.bench.door, self.count))
        self.now_ms = (
            max(self.now_ms, NOW_MS + 32 * DAY_MS) if any("12-" in e[1] for e in batch_events) else self.now_ms
        )
        batch = Batch(raw, max(self.now_ms, NOW_MS + 31 * DAY_MS), format="usage")
        outputs = await self.workers[worker].process(batch)
        self.batches.append((batch, dict(outputs.messages)))
        for _, value in outputs.messages.get("rated", []):
            record = orjson.loads(value)
            self.records[record["id"], record.get("part", 0)] = record

    async def again(self, worker: int, which: int) -> None:
        if self.batches:
            batch, messages = self.batches[which % len(self.batches)]
            outputs = await self.workers[worker].process(batch)
            assert dict(outputs.messages) == messages, "the same delivery has the same records"

    async def refill(self, _: int, money: str) -> None:
        self.count += 1
        await self.bench.top_up("w", money, f"refill-{self.count}")
        self.refilled_nanos += parse_nanos(money)
        await self.sweeper.settle()

    async def sweep(self, _: int, days: int) -> None:
        self.now_ms += days * DAY_MS
        await self.sweeper.settle()


async def play(socket: Path, balance: str, plan: str, history: list[tuple[str, int, Any]]) -> None:
    redis = redis_async.Redis(unix_socket_path=str(socket))
    await redis.flushall()
    bench = Planned(redis, await WalletStore.open(redis, shards=2))
    if plan == "pool-5":
        await pooled(bench, balance, *SIMS)
    else:
        await bench.planned(balance, plan, *SIMS)
    played = History(bench, [await bench.pipeline(), await bench.pipeline()], is_pooled=plan == "pool-5")
    for name, worker, what in history:
        await getattr(played, name)(worker, what)
    await check(played, parse_nanos(balance))
    await redis.aclose()


async def check(played: History, opened_nanos: int) -> None:
    bench, outbox = played.bench, Outbox(played.bench.redis, played.bench.store)
    journal = [
        item.event
        for page in (await outbox.read(range(bench.store.shards), 10_000)).values()
        for item in page.entries
        if isinstance(item.event, WalletEntry)
    ]
    fees = [entry for entry in journal if entry.kind == "plan"]
    assert max(Counter(entry.id for entry in fees).values(), default=1) == 1, "a step is made once"
    charged = sum(record["charged_nanos"] for record in played.records.values())
    left = opened_nanos + played.refilled_nanos - charged - sum(entry.amount_nanos for entry in fees)
    assert await bench.balance_nanos("w") == left >= 0
    used: defaultdict[str, int] = defaultdict(int)
    for record in played.records.values():
        used["line" if played.is_pooled else record["subscriber"]] += record.get("allowance_used", 0)
    for sim in ("line",) if played.is_pooled else SIMS:
        await check_grants(played, sim, used[sim])


async def check_grants(played: History, sim: str, used: int) -> None:
    bench = played.bench
    ref = bench.store.wallet_ref("t", "w")
    member = await bench.store.member("t", "w", sim)
    assert member is not None
    (document,) = await bench.store.documents([bench.store.member_key(ref, sim).replace(b":b:", b":p:", 1)])
    if document is None:
        assert used == 0
        return
    subscription = read_subscription(document)
    counted = {key.removeprefix(USED): value for key, value in member.counters.items() if key.startswith(USED)}
    for grant in subscription.grants:
        assert 0 <= counted.pop(grant.id, 0) <= grant.granted_parts
    assert not counted, "what is not granted any more is not counted any more"
    assert used >= sum(member.counters.get(USED + grant.id, 0) for grant in subscription.grants)


@settings(max_examples=60)
@given(st.sampled_from(["0", "4.99", "5", "20"]), st.sampled_from(["data-5", "fee-5", "pool-5"]), histories)
def test_money_and_allowances_add_up(
    redis_socket: Path, balance: str, plan: str, history: list[tuple[str, int, Any]]
) -> None:
    asyncio.run(play(redis_socket, balance, plan, history))
