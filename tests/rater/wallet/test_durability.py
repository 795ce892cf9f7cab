"""What was acknowledged survives; a server that could lose it is refused by name."""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import RedisError

from rater.errors import UnsafeRedisError
from rater.wallet.durability import Durability, check_durability
from rater.wallet.entry import Decision
from rater.wallet.store import WalletStore
from tests.rater.wallet.building import NOW_MS, Wallets, amount, usage
from tests.rater.wallet.server import Server, free_port, running


@pytest.mark.parametrize(
    ("durability", "setting", "value"),
    [
        ("process", "appendonly", "no"),
        ("process", "appendfsync", "everysec"),
        ("process", "maxmemory-policy", "allkeys-lru"),
        ("machine", "appendfsync", "no"),
        ("machine", "appendfsync", "everysec"),
        ("replica", "appendonly", "no"),
    ],
)
async def test_an_unsafe_setting_is_refused_with_what_to_type(
    redis: Any, durability: Durability, setting: str, value: str
) -> None:
    safe = {"appendonly": "yes", "appendfsync": "always" if durability == "machine" else "no"}
    before = {name: (await redis.config_get(name))[name] for name in (setting, "appendfsync")}
    for name, wanted in (safe | {setting: value}).items():
        await redis.config_set(name, wanted)
    try:
        with pytest.raises(UnsafeRedisError) as refused:
            await WalletStore.open(redis, durability=durability)
        assert f'{setting} is "{value}"' in str(refused.value)
        command = str(refused.value).split(": ")[-1].split(",")[0]
        assert command.startswith(f"CONFIG SET {setting} ")
        await redis.execute_command(*command.split())
        await check_durability(redis, durability)
    finally:
        for name, wanted in before.items():
            await redis.config_set(name, wanted)


@pytest.mark.parametrize("appendfsync", ["no", "always"])
async def test_no_acknowledged_debit_is_lost_when_redis_is_killed_under_load(tmp_path: Path, appendfsync: str) -> None:
    """Killed at a random moment, five times; every answered verdict is found again, and no charge without its verdict.

    The kernel holds what was written but not synced, so this shows the death of the process, not of the machine.
    """
    with running(tmp_path / "redis", appendfsync=appendfsync) as server:
        wallets = await reopened(server)
        await wallets.opened("1000000")
        acknowledged: dict[str, int] = {}
        for life in range(5):
            load = asyncio.gather(*(charge(server, f"{life}-{writer}", acknowledged) for writer in range(4)))
            await asyncio.sleep(0.1 + random.random() * 0.2)
            server.kill()
            await load
            server.start()
        assert len(acknowledged) > 100
        wallets = await reopened(server)
        ids = list(acknowledged)
        again = await wallets.decide(*(usage("0.01", event_id) for event_id in ids))
        assert all(answer.known for answer in again)
        assert [answer.n for answer in again] == [acknowledged[event_id] for event_id in ids]
        state = await wallets.state()
        remembered = await wallets.redis.hlen(f"{{s{wallets.store.shard_of('t', 'w')}}}:v:0")
        assert amount("1000000") - state.balance_nanos == remembered * amount("0.01"), "a debit and its verdict are one"
        await wallets.redis.aclose()


async def reopened(server: Server) -> Wallets:
    redis = server.client()
    return Wallets(redis, await WalletStore.open(redis, shards=4))


async def charge(server: Server, writer: str, acknowledged: dict[str, int]) -> None:
    """Charge until the server dies, noting what was answered."""
    redis = server.client()
    with contextlib.suppress(RedisError, OSError):
        wallets = Wallets(redis, await WalletStore.open(redis, shards=4))
        for batch in range(1_000_000):
            ids = [f"{writer}-{batch}-{event}" for event in range(20)]
            answers = await wallets.apply(*(usage("0.01", event_id) for event_id in ids), now_ms=NOW_MS)
            for event_id, answer in zip(ids, answers, strict=True):
                assert isinstance(answer, Decision)
                acknowledged[event_id] = answer.n
    await redis.aclose()


async def test_with_replica_durability_a_call_waits_for_the_replicas_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    with (
        running(tmp_path / "primary", port) as primary,
        running(tmp_path / "replica", appendfsync="always", replicaof=f"127.0.0.1 {port}") as replica,
    ):
        redis = primary.client()
        await caught_up(redis)
        wallets = Wallets(redis, await WalletStore.open(redis, shards=4, durability="replica"))
        await wallets.opened("10")
        await wallets.decide(usage("1", "a"))
        monkeypatch.setattr("rater.wallet.store.REPLICA_WAIT_MS", 50)
        replica.kill()
        with pytest.raises(UnsafeRedisError, match="no replica"):
            await wallets.decide(usage("1", "b"))
        monkeypatch.undo()
        replica.start()
        await caught_up(redis)
        (again,) = await wallets.decide(usage("1", "b"))
        assert again.known, "repeated, not charged again"
        assert await wallets.balance() == amount("8")
        await redis.aclose()


async def test_a_repeated_call_waits_for_what_the_first_one_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that starts again finds the verdict at once, but it may stand on the primary alone."""
    port = free_port()
    with (
        running(tmp_path / "primary", port) as primary,
        running(tmp_path / "replica", appendfsync="always", replicaof=f"127.0.0.1 {port}") as replica,
    ):
        redis = primary.client()
        await caught_up(redis)
        await Wallets(redis, await WalletStore.open(redis, shards=4, durability="replica")).opened("10")
        monkeypatch.setattr("rater.wallet.store.REPLICA_WAIT_MS", 50)
        with replica.hanging():
            for _ in range(2):
                client = primary.client()
                worker = Wallets(client, await WalletStore.open(client, shards=4, durability="replica"))
                with pytest.raises(UnsafeRedisError, match="no replica"):
                    await worker.decide(usage("1", "a"))
                await client.aclose()
        await redis.aclose()


async def caught_up(redis: Any) -> None:
    """Return once the replica has written what the primary wrote."""
    await redis.set("written", 1)
    while (await redis.execute_command("WAITAOF", 0, 1, 100))[1] == 0:
        await redis.set("written", 1)
