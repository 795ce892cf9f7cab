"""The wallets' keys. Every key of a shard carries its hash tag, so a call touches one slot of a cluster.

{s17}:meta                     epoch, generations of the verdict memory
{s17}:w:<tenant>/<wallet>      the wallet, packed
{s17}:b:<tenant>/<wallet>/<s>  one member: assignment version, holds, counters, packed
{s17}:p:<tenant>/<wallet>/<s>  its subscription, JSON
{s17}:q:<tenant>/<wallet>      the member that is its pool
{s17}:t                        what is due by time: "<tenant>/<wallet>/<s>", by Unix ms
{s17}:u:<tenant>/<wallet>      its members whose subscriptions wait for money
{s17}:m:<tenant>/<wallet>      its members' names, in order (for paging)
{s17}:v:<generation>           identity -> verdict
{s17}:x:<generation>           session counters
{s17}:k                        identity -> verdict of what is not usage; never expires
{s17}:o                        outbox, a stream
{s17}:f                        crossings whose members are still to follow
{s17}:lease                    who publishes the outbox
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from redis.asyncio import RedisCluster


def shard_of(tenant: str, wallet: str, shards: int) -> int:
    """The wallet's shard; the same in every process and for ever."""
    return zlib.crc32(f"{tenant}/{wallet}".encode()) % shards


def tag(shard: int) -> str:
    """The hash tag that all keys of the shard begin with."""
    return f"{{s{shard}}}"


def document_key(member_key: bytes) -> bytes:
    """The key of a member's subscription."""
    return member_key.replace(b":b:", b":p:", 1)


async def values_of(redis: Any, keys: Sequence[str] | Sequence[bytes]) -> list[bytes | None]:
    """The values of any number of keys, in one round trip; None where there is none."""
    if not keys:
        return []
    if not isinstance(redis, RedisCluster):
        return list(await redis.mget(keys))
    # Single GETs in a pipeline: a cluster refuses MGET over several slots.
    pipeline = redis.pipeline(transaction=False)
    for key in keys:
        pipeline.get(key)
    return list(await pipeline.execute())
