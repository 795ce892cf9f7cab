"""The same wallets in a Redis Cluster: every call stays in one slot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import RedisCluster

from rater.directory import Directory
from rater.errors import UnsafeRedisError
from rater.subscriber import Assignment, Subscriber
from rater.wallet.entry import Stale
from rater.wallet.store import WalletStore
from schemas.usage import Usage
from tests.rater.wallet.building import NOW_MS, Wallets, amount, create, join, usage
from tests.rater.wallet.server import free_port, running


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[RedisCluster]:
    """A cluster of two primaries, half of the slots each."""
    first, second = free_port(), free_port()
    bus = {"cluster-enabled": "yes", "bind": "127.0.0.1", "cluster-node-timeout": "2000"}
    with (
        running(tmp_path / "a", first, **bus, **{"cluster-port": str(free_port())}) as a,
        running(tmp_path / "b", second, **bus, **{"cluster-port": str(bus_port := free_port())}) as b,
    ):
        one: Any = a.client()
        two: Any = b.client()
        await one.execute_command("CLUSTER ADDSLOTSRANGE", 0, 8191)
        await two.execute_command("CLUSTER ADDSLOTSRANGE", 8192, 16383)
        await two.execute_command("CLUSTER SET-CONFIG-EPOCH", 2)
        await one.execute_command("CLUSTER MEET", "127.0.0.1", second, bus_port)
        for node in (one, two):
            while not await joined(node):
                await asyncio.sleep(0.05)
        client = RedisCluster(host="127.0.0.1", port=first)
        yield client
        await client.aclose()
        await one.aclose()
        await two.aclose()


async def joined(node: Any) -> bool:
    info = await node.execute_command("CLUSTER INFO")
    return bool(info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "2")


async def test_wallets_of_all_shards_work_in_a_cluster(cluster: RedisCluster) -> None:
    store = await WalletStore.open(cluster, shards=8)
    wallets = Wallets(cluster, store)
    names = [f"w{number}" for number in range(40)]
    assert {store.shard_of("t", name) for name in names} == set(range(8))
    await wallets.decide(*(create("1", wallet=name) for name in names), *(join(wallet=name) for name in names))
    answers = await wallets.decide(*(usage("2", name, wallet=name) for name in names))
    assert [answer.charged_nanos for answer in answers] == [amount("1")] * 40
    assert [await wallets.balance(name) for name in names] == [0] * 40
    crossings = await wallets.crossings()
    assert sorted(crossings) == sorted([("suspended", ""), ("suspended", "sim-1")] * 40)
    found = await store.lookup(store.shard_of("t", "w0"), [usage("2", "w0").identity, usage("2", "nothing").identity])
    assert found[0] is not None
    assert (found[0].charged_nanos, found[1]) == (amount("1"), None)
    for shard in range(8):
        await store.rotate(shard, now_ms=NOW_MS, window_ms=1, safe_ms=0)
        assert await wallets.outbox.lease(shard, 1.0)
        assert not await wallets.outbox.fan_out(shard, 10, now_ms=NOW_MS)


async def test_sims_are_found_and_moved_across_the_nodes_of_a_cluster(cluster: RedisCluster) -> None:
    store = await WalletStore.open(cluster, shards=8)
    wallets, directory = Wallets(cluster, store), Directory(cluster, store)
    await wallets.decide(create("1", wallet="w0"), create("1", wallet="w1"))
    here, there = (Assignment(0, wallet, "acme", "payg", "EUR") for wallet in ("w0", "w1"))
    await directory.add([Subscriber("t", f"s{n}", 1, (here,), iccid=str(n)) for n in range(20)], now_ms=NOW_MS)
    await directory.move("t", "s7", there, now_ms=NOW_MS)
    (found,) = await directory.resolve([Usage("t", "feed", "1", "data", 0, 0, iccid="7")])
    assert found is not None
    assert found.assignments[-1] == there
    await wallets.decide(usage("1", wallet="w1", subscriber="s7", subscriber_version=2))
    (stale,) = await wallets.apply(usage("1", wallet="w0", subscriber="s7"))
    assert stale == Stale("assignment", subscriber_version=2)


async def test_replica_durability_is_refused_in_a_cluster(cluster: RedisCluster) -> None:
    with pytest.raises(UnsafeRedisError, match="cluster"):
        await WalletStore.open(cluster, durability="replica")


async def test_one_unsafe_node_of_a_cluster_is_enough_to_refuse_it(cluster: RedisCluster) -> None:
    await WalletStore.open(cluster)
    node = cluster.get_primaries()[1]
    await cluster.config_set("appendfsync", "everysec", target_nodes=node)
    with pytest.raises(UnsafeRedisError, match="appendfsync"):
        await WalletStore.open(cluster)
