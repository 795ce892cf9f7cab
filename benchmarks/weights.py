"""What a wallet, a SIM and a remembered id weigh in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.figures import Part
from rater.wallet.keys import tag
from streams.load import Fleet
from streams.parts import Parts

#: Keys weighed, and fields of a hash looked at: a hash of millions is not gone through while Redis answers nobody.
KEYS = 500
FIELDS = 2000


async def weigh(part: Part, parts: Parts, fleet: Fleet) -> None:
    """Note the weights, on wallets that were charged: those drawn most."""
    store, numbers = parts.store, range(min(fleet.wallets, KEYS))
    used = [number - fleet.is_dry(number) for number in numbers]
    wallets = {number: store.wallet_ref(fleet.tenant, fleet.wallet(number)) for number in used}
    members = [store.member_key(wallet, fleet.iccid(number)) for number, wallet in wallets.items()]
    part.add("a wallet", "bytes", await _bytes(parts.redis, [wallet.key for wallet in wallets.values()]), note="mean")
    part.add("a SIM with two counters", "bytes", await _bytes(parts.redis, members), note="mean")
    part.add("a remembered id and its verdict", "bytes", await _an_id(parts, "v:0"), note="of usage")
    part.add("a remembered id and its verdict", "bytes", await _an_id(parts, "k"), note="of commands, kept for ever")


async def used_bytes(parts: Parts) -> int:
    """What Redis' data take, all in all."""
    memory = await parts.redis.info("memory")
    return int(memory["used_memory_dataset"])


async def _an_id(parts: Parts, kind: str) -> float:
    keys = [f"{tag(shard)}:{kind}" for shard in range(parts.store.shards)]
    held = sum([await parts.redis.hlen(key) for key in keys])
    return await _bytes(parts.redis, keys) * len(keys) / held


async def _bytes(redis: Any, keys: Sequence[str] | Sequence[bytes]) -> float:
    sizes = [await redis.memory_usage(key, samples=FIELDS) for key in keys]
    return sum(size or 0 for size in sizes) / len(keys)
