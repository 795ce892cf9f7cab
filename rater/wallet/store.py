"""The wallets in Redis: entries in, answers out, one atomic call a batch and shard."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from redis.asyncio import RedisCluster

from rater.errors import UnsafeRedisError, WalletError
from rater.wallet import function
from rater.wallet.command_call import pack_commands
from rater.wallet.debit import Debit
from rater.wallet.durability import Durability, check_durability
from rater.wallet.entry import Answer, Decision, Entry, Stale
from rater.wallet.keys import tag
from rater.wallet.pages import by_wallet, in_turn, pages_of, put_head
from rater.wallet.reader import WalletReader
from rater.wallet.usage_call import pack_charge
from rater.wallet.verdict import unpack_answer, unpack_head, unpack_verdict

#: Says how many shards there are; fixed with the first wallet.
META = "rater:meta"
#: Entries in one call at most: Redis answers nobody else for about 4 ms per 1,000.
CALL_ENTRIES_MAX = 4000
#: How long a call waits for a replica's append-only file before it fails (and is repeated: verdicts are remembered).
REPLICA_WAIT_MS = 2000
#: Stale answers that wait for a repair, not for their turn: later events of the wallet do not wait for them.
_REPAIRED_BY_HAND = ("no_wallet", "currency")

#: What a call tells of its shard's outbox, where it wrote there: whether members of wallets are still to follow, the id
#: of the newest entry before, then id and entry by turns. `rater.wallet.outbox.told_page` reads it.
Told = Sequence[Any]
#: The same by shard, in the order of the calls.
News = Mapping[int, Sequence[Told]]


class WalletStore(WalletReader):
    """Open it with `WalletStore.open`; safe to share between tasks."""

    def __init__(self, redis: Any, shards: int, durability: Durability) -> None:
        super().__init__(redis, shards)
        self._durability = durability
        self._dropped_before_ms = [0] * shards

    @classmethod
    async def open(cls, redis: Any, *, shards: int = 8, durability: Durability = "process") -> WalletStore:
        """Check that Redis is safe, load the function, fix or check the number of shards.

        Raises:
            UnsafeRedisError: Redis could lose what it acknowledged.
            WalletError: the wallets were made with another number of shards.
        """
        await check_durability(redis, durability)
        await function.load(redis)
        await redis.hsetnx(META, "shards", shards)
        made = int(await redis.hget(META, "shards"))
        if made != shards:
            raise WalletError(f"shards is {shards}, but these wallets were made with {made}; it cannot be changed")
        store = cls(redis, shards, durability)
        await store.refresh()
        return store

    async def refresh(self) -> None:
        """Read which generations of the verdict memory are gone; others may have dropped some."""
        for shard in range(self.shards):
            dropped = await self._redis.hget(f"{tag(shard)}:meta", "dropped_before_ms")
            self._dropped_before_ms[shard] = int(dropped or 0)

    def slow_lane_before_ms(self, shard: int) -> int:
        """Ids decided before this time may be forgotten here; what could be as old is looked up in ClickHouse."""
        return self._dropped_before_ms[shard]

    @property
    def dropped_before_ms(self) -> tuple[int, ...]:
        """The same of every shard."""
        return tuple(self._dropped_before_ms)

    async def charge(self, events: Sequence[Debit], *, now_ms: int, epoch: int = 0) -> News:
        """Decide usage: sets `head` or `answer` of each event. Those of one wallet are decided in order.

        An epoch of 0 is any.
        """
        # One view for all calls: what it says was looked up elsewhere by the caller, what is learnt on the way was not.
        dropped = list(self._dropped_before_ms)
        shards = by_wallet(events)
        pages = {shard: pages_of(list(groups.values()), CALL_ENTRIES_MAX) for shard, groups in shards.items()}
        behind: set[bytes] = set()
        news: defaultdict[int, list[Told]] = defaultdict(list)
        while pages:
            calls = []
            for shard, rest in list(pages.items()):
                page = next(rest, None)
                if page is None:
                    del pages[shard]
                elif sent := in_turn(page, behind):
                    calls.append((shard, sent, pack_charge(sent, now_ms, epoch, dropped[shard])))
            replies = await self._calls("charge", [(tag(shard), packed) for shard, _, packed in calls])
            for (shard, sent, _), (told, *answers) in zip(calls, replies, strict=True):
                self._take_replies(shard, sent, answers, behind)
                if told:
                    news[shard].append(told)
        return news

    def _take_replies(
        self, shard: int, groups: Sequence[list[Debit]], replies: Sequence[Any], behind: set[bytes]
    ) -> None:
        if (isinstance(replies[0], list) and len(replies[0]) < len(groups[0])) or len(replies) < len(groups):
            replies = [list(replies[0]) * len(group) for group in groups]  # one answer for all: the epoch
        for group, reply in zip(groups, replies, strict=True):
            if isinstance(reply, bytes):
                put_head(group, unpack_head(reply))
                continue
            for event, packed in zip(group, reply, strict=True):
                event.answer = answer = unpack_answer(packed)
                if isinstance(answer, Stale) and answer.why not in _REPAIRED_BY_HAND:
                    behind.add(event.wallet.key)
                    if answer.why == "memory":
                        self._dropped_before_ms[shard] = answer.dropped_before_ms

    async def apply(self, entries: Sequence[Entry], *, now_ms: int, epoch: int = 0) -> list[Answer]:
        """Carry out commands, answers in their order. Those of one wallet are decided in order; epoch 0 is any."""
        by_shard: defaultdict[int, list[int]] = defaultdict(list)
        for index, entry in enumerate(entries):
            by_shard[self.shard_of(entry.tenant, entry.wallet)].append(index)
        answers: list[Answer | None] = [None] * len(entries)
        await asyncio.gather(
            *(self._apply_shard(shard, entries, chosen, answers, now_ms, epoch) for shard, chosen in by_shard.items())
        )
        return [answer for answer in answers if answer is not None]

    async def _apply_shard(
        self, shard: int, entries: Sequence[Entry], chosen: Sequence[int], answers: list[Answer | None],
        now_ms: int, epoch: int,
    ) -> None:  # fmt: skip
        behind: set[tuple[str, str]] = set()
        for start in range(0, len(chosen), CALL_ENTRIES_MAX):
            page = []
            for index in chosen[start : start + CALL_ENTRIES_MAX]:
                if (entries[index].tenant, entries[index].wallet) in behind:
                    answers[index] = Stale("behind")
                else:
                    page.append(index)
            replies = await self._call("apply", tag(shard), pack_commands([entries[i] for i in page], now_ms, epoch))
            if len(replies) < len(page):  # one answer for all: the epoch
                replies = replies * len(page)
            for index, reply in zip(page, replies, strict=True):
                answer = answers[index] = unpack_answer(reply)
                if isinstance(answer, Stale):
                    behind.add((entries[index].tenant, entries[index].wallet))

    async def _calls(self, name: str, calls: Sequence[tuple[str, bytes]]) -> list[Any]:
        """The same function for several shards, in one round trip where one server has them all."""
        if len(calls) < 2 or self._durability == "replica" or isinstance(self._redis, RedisCluster):
            # All come back before one's failure is told: whoever repeats it changes events that are under way else.
            ended = await asyncio.gather(
                *(self._call(name, key, packed) for key, packed in calls), return_exceptions=True
            )
            for reply in ended:
                if isinstance(reply, BaseException):
                    raise reply
            return list(ended)
        pipeline = self._redis.pipeline(transaction=False)
        for key, packed in calls:
            pipeline.fcall(f"{function.LIBRARY}_{name}", 1, key, packed)
        replies: list[Any] = await pipeline.execute()
        return replies

    async def _call(self, name: str, key: str, *arguments: Any) -> Any:
        function_name = f"{function.LIBRARY}_{name}"
        if self._durability != "replica":
            return await self._redis.fcall(function_name, 1, key, *arguments)
        # WAITAOF waits for what was written on its own connection, so both go over one. A call that is repeated writes
        # nothing, and what it wrote the first time may not be safe yet: so something is written in any case.
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.fcall(function_name, 1, key, *arguments)
        pipeline.hincrby(META, "waits", 1)
        pipeline.execute_command("WAITAOF", 0, 1, REPLICA_WAIT_MS)
        reply, _, (_, replicas) = await pipeline.execute()
        if not replicas:
            raise UnsafeRedisError(f"no replica wrote the call within {REPLICA_WAIT_MS} ms; repeat it")
        return reply

    async def lookup(self, shard: int, identities: Sequence[bytes]) -> list[Decision | None]:
        """The remembered decisions of these ids in a shard; changes nothing."""
        name = f"{function.LIBRARY}_lookup"
        found: list[Decision | None] = []
        for start in range(0, len(identities), CALL_ENTRIES_MAX):
            page = identities[start : start + CALL_ENTRIES_MAX]
            dropped, *replies = await self._redis.fcall_ro(name, 1, tag(shard), *page)
            self._dropped_before_ms[shard] = int(dropped)
            found += [unpack_verdict(reply, known=True) if reply else None for reply in replies]
        return found

    async def rotate(self, shard: int, *, now_ms: int, window_ms: int, safe_ms: int) -> None:
        """Begin a new generation of remembered ids when the current is `window_ms` old; drop those that may go.

        `safe_ms`: every door has acknowledged what was decided before, and it can be read in ClickHouse.

        This store is told of it like any other, by the next call: a batch that looked elsewhere before must look again.
        """
        await self._call("rotate", tag(shard), now_ms, window_ms, safe_ms)

    async def fan_out(self, shard: int, members: int, *, now_ms: int) -> Told:
        """Bring up to `members` members of a crossed wallet after it; tells what it wrote, empty if none crossed."""
        told: Told = await self._call("fan_out", tag(shard), members, now_ms)
        return told

    async def replace(self, key: str, before: bytes, after: bytes) -> bool:
        """Write a directory entry if it is still the one that was read."""
        return bool(await self._call("replace", key, before, after))
