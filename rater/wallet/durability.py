"""What Redis must be set to, so that an acknowledged debit survives. Checked when the wallets are opened.

`process`  survives a kill -9 of Redis and of the engine. The append-only file is written before the reply
           (`appendfsync no`: the kernel has it, and flushes it within about 30 s; only a power cut can lose that).
`machine`  survives a power cut: `appendfsync always`, an fsync before the reply.
`replica`  survives the loss of the machine: as `process`, and each call waits (WAITAOF) until one replica has it.

`everysec` is refused, though it is Redis' default: when an fsync is slow Redis postpones the write itself and has
already answered, so that a kill -9 loses acknowledged debits.
"""

from __future__ import annotations

from typing import Any, Literal

from redis.asyncio import RedisCluster
from redis.exceptions import ResponseError

from rater.errors import UnsafeRedisError
from rater.wallet.function import nodes

Durability = Literal["process", "machine", "replica"]

_ALLOWED: dict[Durability, dict[str, tuple[str, ...]]] = {
    "process": {"appendonly": ("yes",), "appendfsync": ("no", "always"), "maxmemory-policy": ("noeviction",)},
    "machine": {"appendonly": ("yes",), "appendfsync": ("always",), "maxmemory-policy": ("noeviction",)},
    "replica": {"appendonly": ("yes",), "appendfsync": ("no", "always"), "maxmemory-policy": ("noeviction",)},
}

_WHY = {
    "appendonly": "without the append-only file a restart loses every debit since the last snapshot",
    "appendfsync": "Redis may answer before the debit is written, and a crash then loses it",
    "maxmemory-policy": "Redis may throw wallets and remembered ids away when memory is full",
}


async def check_durability(redis: Any, durability: Durability) -> None:
    """Refuse a Redis (in a cluster: any of its primaries) that could lose what it acknowledged.

    Raises:
        UnsafeRedisError: names the setting, its value, what it risks and the command that mends it.
    """
    if durability == "replica" and isinstance(redis, RedisCluster):
        raise UnsafeRedisError('durability "replica" needs one primary, not a cluster: use "machine"')
    await redis.initialize()
    for node in nodes(redis):
        for setting, allowed in _ALLOWED[durability].items():
            found = await _read(redis, setting, node)
            if found not in allowed:
                raise UnsafeRedisError(
                    f'{setting} is "{found}": {_WHY[setting]}. Durability "{durability}" needs "{allowed[0]}": '
                    f"CONFIG SET {setting} {allowed[0]}, and the same in redis.conf"
                )


async def _read(redis: Any, setting: str, node: dict[str, Any]) -> str:
    try:
        reply = await redis.config_get(setting, **node)
    except ResponseError as error:
        raise UnsafeRedisError(f"Redis does not let the engine read {setting}: allow CONFIG GET ({error})") from error
    value = reply.get(setting, reply.get(setting.encode(), ""))
    return value.decode() if isinstance(value, bytes) else str(value)
