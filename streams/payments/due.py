"""What is to be looked at again, by due time: one sorted set in Redis that all processes share.

An entry is claimed by pushing its time ahead, in one script, so one process has it; if that process dies, the entry
comes due again. An entry is taken away, or given a later time, only by who last set its time (`token`): what somebody
else put there meanwhile stays, because there is something new to look at.

So: `put` before what is not to be forgotten, `again` with no time after it. A crash in between leaves the entry.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from streams.patience import AWAY

log = logging.getLogger(__name__)

#: How long a claimed entry is left to who claimed it: longer than a provider's answer takes.
LEASE_MS = 120_000

#: A time that is never the one that was there, so that the token of before is not good any more.
_PUT = """
local before, at = redis.call('ZSCORE', KEYS[1], ARGV[1]), tonumber(ARGV[2])
if before and tonumber(before) == at then at = at + 1 end
redis.call('ZADD', KEYS[1], at, ARGV[1])
return string.format('%.0f', at)
"""
_CLAIM = """
local names = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, name in ipairs(names) do redis.call('ZADD', KEYS[1], ARGV[2], name) end
return names
"""
_SET = """
local before = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not before or tonumber(before) ~= tonumber(ARGV[2]) then return 0 end
if ARGV[3] == '' then return redis.call('ZREM', KEYS[1], ARGV[1]) end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
return 1
"""


class Due:
    """Entries under one key; times are Unix ms of the clock that is passed in."""

    def __init__(self, redis: Any, key: str) -> None:
        self._redis = redis
        self._key = key

    async def put(self, name: str, at_ms: int) -> int:
        """Let an entry come due; answers the token."""
        return int(await self._redis.eval(_PUT, 1, self._key, name, str(at_ms)))

    async def claim(self, now_ms: int, count: int) -> list[tuple[str, int]]:
        """Up to so many entries that are due, with their tokens; nobody else gets them for the time of a lease."""
        until_ms = now_ms + LEASE_MS
        names = await self._redis.eval(_CLAIM, 1, self._key, str(now_ms), str(until_ms), str(count))
        return [(name.decode(), until_ms) for name in names]

    async def again(self, name: str, token: int, at_ms: int | None) -> None:
        """Let it come due again at a time, or not any more (None), unless somebody put it anew."""
        await self._redis.eval(_SET, 1, self._key, name, str(token), "" if at_ms is None else str(at_ms))


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
