"""What is to be looked at again, by due time: one sorted set in Redis that all processes share.

An entry is claimed by pushing its time ahead, in one script, so one process has it; if that process dies, the entry
comes due again. An entry is taken away, or given a later time, only with the token of who touched it last: what
somebody else put there meanwhile stays, because there is something new to look at.

So: `put` before what is not to be forgotten, `again` with no time after it. A crash in between leaves the entry.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from streams.patience import AWAY

log = logging.getLogger(__name__)

#: How long a claimed entry is left to who claimed it: longer than a provider's answer takes.
LEASE_MS = 120_000

#: Entries in one round.
PAGE = 20
#: How often is looked for what is due. The clock may be moved, so nobody sleeps until a time.
POLL_S = 1.0

#: KEYS: the sorted set, and a hash of each entry's token (with the last one given out under the empty name).
_PUT = """
local token = redis.call('HINCRBY', KEYS[2], '', 1)
redis.call('HSET', KEYS[2], ARGV[1], token)
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
return token
"""
_CLAIM = """
local names, claimed = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3]), {}
for i, name in ipairs(names) do
  local token = redis.call('HINCRBY', KEYS[2], '', 1)
  redis.call('HSET', KEYS[2], name, token)
  redis.call('ZADD', KEYS[1], ARGV[2], name)
  claimed[i] = {name, token}
end
return claimed
"""
_AGAIN = """
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
if ARGV[3] ~= '' then return redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1]) end
redis.call('HDEL', KEYS[2], ARGV[1])
return redis.call('ZREM', KEYS[1], ARGV[1])
"""


class Due:
    """Entries under one name; times are Unix ms of the clock that is passed in."""

    def __init__(self, redis: Any, name: str) -> None:
        self._redis = redis
        #: In one slot of a cluster.
        self._keys = f"{{due:{name}}}", f"{{due:{name}}}:tokens"

    async def put(self, name: str, at_ms: int) -> int:
        """Let an entry come due; answers the token."""
        return int(await self._redis.eval(_PUT, 2, *self._keys, name, str(at_ms)))

    async def claim(self, now_ms: int, count: int) -> list[tuple[str, int]]:
        """Up to so many entries that are due, with their tokens; nobody else gets them for the time of a lease."""
        arguments = str(now_ms), str(now_ms + LEASE_MS), str(count)
        claimed = await self._redis.eval(_CLAIM, 2, *self._keys, *arguments)
        return [(name.decode(), int(token)) for name, token in claimed]

    async def again(self, name: str, token: int, at_ms: int | None) -> None:
        """Let it come due again at a time, or not any more (None), unless somebody touched it since."""
        at = "" if at_ms is None else str(at_ms)
        await self._redis.eval(_AGAIN, 2, *self._keys, name, str(token), at)

    async def count(self) -> int:
        """How many entries there are, due or not."""
        return int(await self._redis.zcard(self._keys[0]))


async def watch(look_once: Callable[[], Awaitable[int]], woken: asyncio.Event) -> None:
    """Look at what is due, for ever: when woken, and every so often."""
    while True:
        woken.clear()
        if await look_once() < PAGE:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await woken.wait()


async def each(claimed: Sequence[tuple[str, int]], look: Callable[[str, int], Awaitable[None]], what: str) -> None:
    """Look at claimed entries beside each other. One that fails is logged and comes due again; the others go on.

    Raises:
        RedisError: Redis is away; once all have ended.
    """
    outcomes = await asyncio.gather(*(look(name, token) for name, token in claimed), return_exceptions=True)
    away = [outcome for outcome in outcomes if isinstance(outcome, AWAY["redis"])]
    for (name, _), outcome in zip(claimed, outcomes, strict=True):
        if isinstance(outcome, BaseException) and outcome not in away:
            if not isinstance(outcome, Exception):
                raise outcome
            log.error("%s %s is tried again later", what, name, exc_info=outcome)
    if away:
        raise away[0]
