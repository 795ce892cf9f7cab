"""The memory of ids: generations, what may be dropped when, and what is never forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from rater.wallet.entry import Decision, Kind, Stale
from rater.wallet.store import WalletStore
from tests.rater.wallet.building import NOW_MS, Wallets, amount, charged, create, entry, join, usage

HOUR_MS = 3_600_000
NEVER, AT_ONCE = 0, 2**52


async def rotate(wallets: Wallets, hours: int, safe_ms: int = NEVER) -> None:
    shard = wallets.store.shard_of("t", "w")
    await wallets.store.rotate(shard, now_ms=NOW_MS + hours * HOUR_MS, window_ms=24 * HOUR_MS, safe_ms=safe_ms)


async def dropped_before_ms(wallets: Wallets) -> int:
    await wallets.store.refresh()
    return wallets.store.slow_lane_before_ms(wallets.store.shard_of("t", "w"))


async def generations(wallets: Wallets) -> int:
    return len(await wallets.redis.keys("*:v:*"))


async def test_ids_of_the_generations_before_are_known_until_they_may_be_dropped(wallets: Wallets) -> None:
    await wallets.opened("10")
    await rotate(wallets, 0)
    for day in range(4):
        await wallets.decide(usage("1", f"day-{day}", uses=(("session:s:used", 1),)))
        await rotate(wallets, 24 * (day + 1))
    assert await generations(wallets) == 4, "nothing is dropped that is not safe elsewhere"
    again = await wallets.decide(*(usage("1", f"day-{day}") for day in range(4)))
    assert [answer.known for answer in again] == [True] * 4
    (next_one,) = await wallets.decide(usage("1", uses=(("session:s:used", 1),)))
    assert next_one.counters == (4,), "session counters are found in older generations too"


async def test_a_generation_is_dropped_only_when_it_is_safe_and_not_one_of_the_last_two(wallets: Wallets) -> None:
    await wallets.opened("10")
    shard = wallets.store.shard_of("t", "w")
    await rotate(wallets, 0)
    await wallets.decide(usage("1", "first"))
    await rotate(wallets, 23)
    assert await wallets.redis.hget(f"{{s{shard}}}:meta", "generation") is None, "the window is not over"
    await rotate(wallets, 24, AT_ONCE)
    assert await dropped_before_ms(wallets) == 0
    await rotate(wallets, 48, NOW_MS + 23 * HOUR_MS)
    assert await dropped_before_ms(wallets) == 0, "a door is not that far yet"
    await rotate(wallets, 48, NOW_MS + 24 * HOUR_MS)
    assert await dropped_before_ms(wallets) == NOW_MS + 24 * HOUR_MS
    assert await generations(wallets) == 0


async def test_a_worker_that_believes_in_a_dropped_generation_is_told(wallets: Wallets, redis: Any) -> None:
    await wallets.opened("10")
    other = Wallets(redis, await WalletStore.open(redis, shards=4))
    await rotate(wallets, 0)
    await wallets.decide(usage("1", "old"), entry(Kind.CREDIT, "1", "top-up"))
    await rotate(wallets, 24)
    await rotate(wallets, 48, AT_ONCE)
    dropped = NOW_MS + 24 * HOUR_MS
    told, behind = await other.apply(usage("1", "old"), usage("1", "older"))
    assert told == Stale("memory", dropped_before_ms=dropped)
    assert isinstance(behind, Stale)
    assert other.store.slow_lane_before_ms(other.store.shard_of("t", "w")) == dropped
    (answer,) = await other.apply(usage("1", "new"))
    assert isinstance(answer, Decision)
    assert await wallets.balance() == amount("9")


async def test_ids_of_top_ups_and_fees_never_expire(wallets: Wallets) -> None:
    await wallets.opened("10")
    await wallets.decide(entry(Kind.CREDIT, "1", "top-up"), entry(Kind.DEBIT, "2", "fee"))
    for day in range(5):
        await rotate(wallets, 24 * day, AT_ONCE)
    again = await wallets.decide(entry(Kind.CREDIT, "1", "top-up"), entry(Kind.DEBIT, "2", "fee"))
    assert [answer.known for answer in again] == [True, True]
    assert charged(again) == [0, amount("2")]
    assert await wallets.balance() == amount("9")


async def test_a_lookup_finds_what_was_decided_and_changes_nothing(wallets: Wallets) -> None:
    await wallets.opened("10")
    (decided,) = await wallets.decide(usage("1", "a"))
    shard = wallets.store.shard_of("t", "w")
    found, missing = await wallets.store.lookup(shard, [usage("1", "a").identity, usage("1", "b").identity])
    assert found is not None
    assert (found.known, found.charged_nanos, found.n) == (True, decided.charged_nanos, decided.n)
    assert missing is None
    assert await wallets.store.lookup(shard, []) == []


async def test_an_id_costs_at_most_two_hundred_bytes_of_memory(wallets: Wallets) -> None:
    """docs/wallets.md states the price; this keeps it true."""
    await wallets.opened("1000000")
    for batch in range(10):
        await wallets.decide(*(usage("0.01", f"{batch}-{event}") for event in range(2000)))
    key = f"{{s{wallets.store.shard_of('t', 'w')}}}:v:0"
    used = await wallets.redis.memory_usage(key, samples=0)
    assert used / 20_000 < 200


async def test_a_worker_that_dropped_a_generation_is_told_like_any_other(wallets: Wallets) -> None:
    """It may have a batch under way for which it looked elsewhere before."""
    await wallets.opened("10")
    await rotate(wallets, 0)
    await wallets.decide(usage("1", "old"))
    await rotate(wallets, 24)
    await rotate(wallets, 48, AT_ONCE)
    assert await wallets.apply(usage("1", "old")) == [Stale("memory", dropped_before_ms=NOW_MS + 24 * HOUR_MS)]
    assert await wallets.balance() == amount("9")


async def test_all_calls_of_a_batch_are_told(wallets: Wallets, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first learns is nothing the caller has looked up for the second."""
    await wallets.opened("10")
    shard_of = wallets.store.shard_of
    other_wallet = next(name for name in map("w{}".format, range(99)) if shard_of("t", name) == shard_of("t", "w"))
    await wallets.decide(create("10", wallet=other_wallet), join(wallet=other_wallet))
    await rotate(wallets, 0)
    await wallets.decide(usage("1", "a"), usage("1", "b", wallet=other_wallet))
    await rotate(wallets, 24)
    await rotate(wallets, 48, AT_ONCE)
    monkeypatch.setattr("rater.wallet.store.CALL_ENTRIES_MAX", 1)
    answers = await wallets.apply(usage("1", "a"), usage("1", "b", wallet=other_wallet))
    assert [isinstance(answer, Stale) for answer in answers] == [True, True]
    assert await wallets.balance(other_wallet) == amount("9")
