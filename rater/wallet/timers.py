"""What is due by time: an index a shard, shared by all workers, of subscriptions whose next step has an instant.

An entry is written in the same call as the subscription it is of, so it is never behind it. Whoever works an entry off
makes the step through the wallet's call, which moves the entry on; two workers at once make the same step, once. An
entry without a subscriber says that its wallet was refilled: what waited for money there is due.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from rater.wallet.debit import WalletRef
from rater.wallet.keys import tag
from rater.wallet.store import WalletStore


class DueEntry(NamedTuple):
    """Something due in a shard; without a subscriber, all of the wallet that waits for money."""

    tenant: str
    wallet: str
    subscriber: str
    due_ms: int

    @property
    def name(self) -> str:
        """As the index spells it."""
        return f"{self.tenant}/{self.wallet}/{self.subscriber}"


class Timers:
    """Reads the indexes; `drop` is for what turns out to be no subscription's any more."""

    def __init__(self, redis: Any, store: WalletStore) -> None:
        self._redis = redis
        self._store = store

    async def due(self, shard: int, until_ms: int, count: int) -> list[DueEntry]:
        """The entries due by an instant, the earliest first."""
        found = await self._redis.zrangebyscore(_key(shard), "-inf", until_ms, start=0, num=count, withscores=True)
        return [_entry(name, score) for name, score in found]

    async def next_ms(self) -> int | None:
        """When the earliest entry of all shards is due."""
        first = [await self._redis.zrange(_key(shard), 0, 0, withscores=True) for shard in range(self._store.shards)]
        return min((int(entries[0][1]) for entries in first if entries), default=None)

    async def put(self, wallet: WalletRef, subscriber: str, due_ms: int) -> None:
        """Let a subscriber of a wallet be looked at by then, if it is not sooner."""
        await self._redis.zadd(_key(wallet.shard), {f"{wallet.tenant}/{wallet.name}/{subscriber}": due_ms}, lt=True)

    async def drop(self, shard: int, entry: DueEntry) -> None:
        """Take an entry out if it is still the one that was read."""
        await self._redis.eval(_DROP, 1, _key(shard), entry.name, entry.due_ms)

    async def put_off(self, shard: int, entry: DueEntry, due_ms: int) -> None:
        """Let an entry be due later, if it is still the one that was read."""
        await self._redis.eval(_PUT_OFF, 1, _key(shard), entry.name, entry.due_ms, due_ms)

    async def waiting(self, tenant: str, wallet: str) -> AsyncIterator[str]:
        """The subscribers of a wallet that wait for money."""
        key = f"{tag(self._store.shard_of(tenant, wallet))}:u:{tenant}/{wallet}"
        async for name in self._redis.sscan_iter(key):
            yield name.decode()


_IF_UNCHANGED = "if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or -1) ~= tonumber(ARGV[2]) then return 0 end "
_DROP = _IF_UNCHANGED + "return redis.call('ZREM', KEYS[1], ARGV[1])"
_PUT_OFF = _IF_UNCHANGED + "return redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])"


def _key(shard: int) -> str:
    return f"{tag(shard)}:t"


def _entry(name: bytes, score: float) -> DueEntry:
    tenant, wallet, subscriber = name.decode().split("/", 2)  # only a subscriber's name may have slashes
    return DueEntry(tenant, wallet, subscriber, int(score))
