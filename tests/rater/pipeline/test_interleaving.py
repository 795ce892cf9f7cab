"""Batches that overtake each other between being rated and being charged, and calls that fail half way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from rater.money import parse_nanos
from rater.pipeline.batch import Door, Work
from rater.pipeline.settle import Outputs
from rater.subscriber import Assignment, Subscriber
from schemas.fates import Fate
from tests.rater.pipeline.conftest import NOW_MS, Bench, usage

ICCID, MSISDN = "8988000000000000001", "+4915112345678"


async def two_names(bench: Bench, balance: str = "100.00", wallet: str = "w") -> None:
    """A SIM that events name by its ICCID or by its number."""
    await bench.wallet(wallet, balance)
    assignment = Assignment(0, wallet, wallet, "payg", "EUR")
    await bench.directory.add([Subscriber("t", "sim-1", 1, (assignment,), iccid=ICCID, msisdn=MSISDN)], now_ms=NOW_MS)


def by_iccid(event_id: str, **fields: Any) -> bytes:
    return usage(event_id, **({"subscriber": None, "iccid": ICCID, "volume_bytes": 30_000} | fields))


def by_number(event_id: str, **fields: Any) -> bytes:
    return usage(event_id, **({"subscriber": None, "msisdn": MSISDN, "volume_bytes": 30_000} | fields))


async def used(bench: Bench, wallet: str = "w", sim: str = "sim-1") -> int:
    """What the SIM's one counter came to."""
    member = await bench.store.member("t", wallet, sim)
    assert member is not None
    return sum(member.counters.values())


def charged(*outputs: Outputs) -> int:
    return sum(orjson.loads(value)["charged_nanos"] for one in outputs for _, value in one.messages.get("rated", []))


async def consistent(bench: Bench, events: int, *outputs: Outputs) -> None:
    """Events of 30 kB in steps of 100 kB at 0.10: whatever their order, they cost so much together."""
    assert sum(one.tally.of(Fate.RATED) for one in outputs) == events
    assert await used(bench) == 30_000 * events
    assert charged(*outputs) == -(-30_000 * events // 100_000) * parse_nanos("0.10")
    assert await bench.balance_nanos("w") == parse_nanos("100.00") - charged(*outputs)


async def test_a_sim_that_a_batch_gives_two_names_is_charged_though_the_new_name_comes_first(bench: Bench) -> None:
    await two_names(bench)
    pipeline = await bench.pipeline()
    known = await pipeline.process(bench.batch(by_iccid("1")))
    outputs = await pipeline.process(bench.batch(by_number("2"), by_iccid("3"), by_iccid("4"), start=1))
    await consistent(bench, 4, known, outputs)


async def test_batches_of_two_doors_are_charged_in_another_order_than_they_were_rated_in(bench: Bench) -> None:
    await two_names(bench)
    pipeline = await bench.pipeline()
    known = await pipeline.process(bench.batch(by_iccid("1")))
    slow = pipeline.begin(bench.batch(by_iccid("2"), by_iccid("3"), start=1))
    quick = await pipeline.process(bench.batch(by_iccid("4"), by_iccid("5"), door=Door("file:other")))
    await pipeline.resolve(slow)
    await consistent(bench, 5, known, quick, pipeline.settle(await pipeline.charge(slow)))


@pytest.mark.parametrize("first", [0, 1])
async def test_a_batch_rated_between_two_events_of_another_leaves_the_counters_right(bench: Bench, first: int) -> None:
    await two_names(bench)
    pipeline = await bench.pipeline()
    known = await pipeline.process(bench.batch(by_iccid("1")))
    torn = pipeline.begin(bench.batch(by_iccid("2"), by_number("3"), start=1))
    between = await pipeline.prepare(bench.batch(by_iccid("4"), door=Door("file:other")))
    await pipeline.resolve(torn)
    works = [torn, between] if first == 0 else [between, torn]
    outputs = [pipeline.settle(await pipeline.charge(work)) for work in works]
    await consistent(bench, 4, known, *outputs)


async def test_tasks_that_share_a_pipeline_charge_exactly(bench: Bench) -> None:
    await two_names(bench)
    pipeline = await bench.pipeline()
    batches = [
        bench.batch(*(by(f"{task}-{number}") for number, by in enumerate([by_iccid, by_number] * 3)),
                    door=Door(f"file:{task}"))
        for task in range(5)
    ]  # fmt: skip
    outputs = await asyncio.gather(*map(pipeline.process, batches))
    await consistent(bench, 30, *outputs)


async def test_a_batch_abandoned_after_it_was_rated_stops_nobody(bench: Bench) -> None:
    await two_names(bench)
    pipeline = await bench.pipeline()
    await pipeline.prepare(bench.batch(by_iccid("never charged")))
    outputs = [await pipeline.process(bench.batch(by_iccid(str(number)), start=number)) for number in range(1, 4)]
    await consistent(bench, 3, *outputs)


async def test_a_sim_looked_up_anew_while_a_batch_is_prepared_is_counted_once(bench: Bench) -> None:
    """Its events by the old name were rated before the look, those by a new name after it."""
    await two_names(bench)
    pipeline = await bench.pipeline()
    known = await pipeline.process(bench.batch(by_iccid("1")))
    await bench.directory.move("t", "sim-1", Assignment(1, "w", "other", "payg", "EUR"), now_ms=NOW_MS)
    before = pipeline.begin(bench.batch(by_iccid("2"), start=1))
    torn = pipeline.begin(bench.batch(by_number("3"), by_iccid("4"), by_iccid("5"), start=2))
    outputs = pipeline.settle(await pipeline.charge(before))
    await pipeline.resolve(torn)
    await consistent(bench, 5, known, outputs, pipeline.settle(await pipeline.charge(torn)))


class Away:
    """Redis, gone at the call of a number: before it or, `late`, before its answer."""

    def __init__(self, redis: Any, monkeypatch: pytest.MonkeyPatch, gone_at: int, *, late: bool) -> None:
        self._left = gone_at
        self._late = late
        for name in ("fcall", "fcall_ro"):
            monkeypatch.setattr(redis, name, self._wrapped(getattr(redis, name)))
        pipeline = redis.pipeline

        def piped(**options: Any) -> Any:
            made = pipeline(**options)
            made.execute = self._wrapped(made.execute)
            return made

        monkeypatch.setattr(redis, "pipeline", piped)

    def _wrapped(self, method: Any) -> Any:
        async def call(*arguments: Any, **options: Any) -> Any:
            self._left -= 1
            is_lost = self._left == 0
            if is_lost and not self._late:
                raise RedisConnectionError("gone before the call")
            answer = await method(*arguments, **options)
            if is_lost:
                raise RedisConnectionError("gone before the answer")
            return answer

        return call


async def patiently(stage: Callable[[Work], Awaitable[Any]], work: Work) -> None:
    """Once more after a failure."""
    try:
        await stage(work)
    except RedisConnectionError:
        await stage(work)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("gone_at", range(1, 13))
async def test_redis_may_go_at_any_call_of_a_batch(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, gone_at: int, late: bool
) -> None:
    """Also at one of several shards; and what comes after the batch is counted right."""
    await two_names(bench)
    others = [f"sim-{number}" for number in range(2, 8)]
    for sim in others:
        await bench.wallet(f"wallet-of-{sim}", "1.00", sim)
    pipeline = await bench.pipeline()
    first = await pipeline.process(bench.batch(by_iccid("1"), *(usage(f"1-{sim}", sim, 30_000) for sim in others)))
    torn = bench.batch(by_number("2"), *(usage(f"2-{sim}", sim, 30_000) for sim in others), by_iccid("3"),
                       by_iccid("1"), by_iccid("4"), start=10)  # fmt: skip
    work = pipeline.begin(torn)
    with monkeypatch.context() as away:
        Away(bench.redis, away, gone_at, late=late)
        await patiently(pipeline.resolve, work)
        await patiently(pipeline.charge, work)
    last = await pipeline.process(
        bench.batch(by_iccid("5"), by_iccid("6"), *(usage(f"3-{sim}", sim, 30_000) for sim in others), start=30)
    )
    outputs = [first, pipeline.settle(work), last]
    records = [orjson.loads(value) for one in outputs for _, value in one.messages["rated"]]
    for wallet in ("w", *(f"wallet-of-{sim}" for sim in others)):
        mine = [record for record in records if record["wallet"] == wallet]
        assert (
            await used(bench, wallet, mine[0]["subscriber"]) == 30_000 * len(mine) == (180_000, 90_000)[len(mine) < 6]
        )
        assert sum(record["charged_nanos"] for record in mine) == parse_nanos("0.10") * (1 + (len(mine) == 6))
        assert len({record["n"] for record in mine}) == len(mine)
    again = await (await bench.pipeline()).process(torn)
    assert again.messages == outputs[1].messages


async def charge_calls(bench: Bench) -> int:
    stats = await bench.redis.info("commandstats")
    return int(stats["cmdstat_fcall"]["calls"])


async def test_nothing_is_rated_upon_a_batch_that_was_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await two_names(bench)
    pipeline = await bench.pipeline()
    known = await pipeline.process(bench.batch(by_iccid("1")))
    with monkeypatch.context() as away:
        Away(bench.redis, away, 1, late=False)
        with pytest.raises(RedisConnectionError):
            await pipeline.process(bench.batch(by_iccid("never charged")))
    found_out = await pipeline.process(bench.batch(by_iccid("2"), start=1))
    before = await charge_calls(bench)
    outputs = await pipeline.process(bench.batch(by_iccid("3"), by_iccid("4"), start=2))
    assert await charge_calls(bench) == before + 1, "it follows from what was charged, so nothing is looked at twice"
    await consistent(bench, 4, known, found_out, outputs)


async def test_a_failure_is_told_when_no_call_is_under_way_any_more(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever repeats a batch changes its events, so no answer may come for them afterwards."""
    sims = [f"sim-{number}" for number in range(1, 6)]
    for sim in sims:
        await bench.wallet(f"wallet-of-{sim}", "1.00", sim)
    assert len({bench.store.shard_of("t", f"wallet-of-{sim}") for sim in sims}) > 1
    pipeline = await bench.pipeline()
    work = await pipeline.prepare(bench.batch(*(usage(sim, sim) for sim in sims)))
    under_way, left, fcall = 0, 1, bench.redis.fcall

    async def slow(*arguments: Any) -> Any:
        nonlocal under_way, left
        left -= 1
        if left == 0:
            raise RedisConnectionError("gone")
        under_way += 1
        await asyncio.sleep(0.02)
        answer = await fcall(*arguments)
        under_way -= 1
        return answer

    with monkeypatch.context() as away:
        away.setattr("rater.wallet.store.RedisCluster", type(bench.redis))  # which has a connection for each shard
        away.setattr(bench.redis, "fcall", slow)
        with pytest.raises(RedisConnectionError):
            await pipeline.charge(work)
        assert not under_way
    outputs = pipeline.settle(await pipeline.charge(work))
    assert outputs.tally.of(Fate.RATED) == len(sims)
