"""The outbox of a shard: crossings and journal lines, in the order in which they happened.

One publisher at a time reads it (a lease with a time limit); the entries stay until it deletes them, so a publisher
that dies loses nothing.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from rater.money import parse_nanos
from rater.wallet.keys import tag
from rater.wallet.legs import forward, has_arrived
from rater.wallet.news import Onward
from rater.wallet.outbox_entry import Event, unpack_event
from rater.wallet.store import Told, WalletStore

#: Renews the lease if it is ours, takes it if it is free; the token says whose it is.
_LEASE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


#: Entries that are looked through at once; Redis answers nobody else meanwhile.
_PAGE = 1000


@dataclass(frozen=True)
class OutboxItem:
    """One entry: its id in the stream and what it says."""

    id: bytes
    event: Event


class OutboxPage(NamedTuple):
    """The oldest entries of a shard, and whether members of wallets that crossed are still to follow."""

    entries: list[OutboxItem]
    has_followers: bool


#: Where an entry stands in its stream: (milliseconds, number).
Place = tuple[int, int]
#: Before every entry.
START: Final[Place] = (0, 0)

#: Entries that are delivered, by shard.
Done = Mapping[int, Sequence[bytes]]
_NOTHING: Final[Done] = {}
_FROM_START: Final[Mapping[int, bytes]] = {}


class Outbox:
    """Reads and deletes outbox entries; one object a publisher."""

    def __init__(self, redis: Any, store: WalletStore) -> None:
        self._redis = redis
        self._store = store
        self._token = secrets.token_hex(8)

    async def lease(self, shard: int, seconds: float) -> bool:
        """Take or renew the right to publish a shard; False while another publisher has it."""
        milliseconds = str(int(seconds * 1000))
        return bool(await self._redis.eval(_LEASE, 1, f"{tag(shard)}:lease", self._token, milliseconds))

    async def release(self, shard: int) -> None:
        """Give the lease back."""
        await self._redis.eval(_RELEASE, 1, f"{tag(shard)}:lease", self._token)

    async def read(
        self, shards: Iterable[int], count: int, done: Done = _NOTHING, behind: Mapping[int, bytes] = _FROM_START
    ) -> dict[int, OutboxPage]:
        """The oldest entries of shards, so many each, or those behind an entry; before that, forget what is delivered.

        One round trip.
        """
        asked = list(shards)
        pipeline = self._redis.pipeline(transaction=False)
        dropped = _delete(pipeline, done)
        for shard in asked:
            pipeline.xrange(f"{tag(shard)}:o", b"(" + behind[shard] if shard in behind else b"-", count=count)
            pipeline.llen(f"{tag(shard)}:f")
        replies = (await pipeline.execute())[dropped:]
        return {
            shard: OutboxPage(
                [OutboxItem(entry_id, unpack_event(fields[b"e"])) for entry_id, fields in entries], bool(more)
            )
            for shard, entries, more in zip(asked, replies[::2], replies[1::2], strict=True)
        }

    async def delete(self, done: Done) -> None:
        """Forget entries that are delivered."""
        pipeline = self._redis.pipeline(transaction=False)
        if _delete(pipeline, done):
            await pipeline.execute()

    async def ends(self) -> dict[int, bytes]:
        """The newest entry of each shard that has any."""
        ends = [await self._redis.xrevrange(f"{tag(shard)}:o", count=1) for shard in range(self._store.shards)]
        return {shard: entries[0][0] for shard, entries in enumerate(ends) if entries}

    async def has_any_up_to(self, ends: Mapping[int, bytes]) -> bool:
        """Whether an entry waits that is no newer than these."""
        for shard, end in ends.items():
            if await self._redis.xrange(f"{tag(shard)}:o", max=end, count=1):
                return True
        return False

    async def fan_out(self, shard: int, members: int, *, now_ms: int) -> Told:
        """Let the next page of members follow a crossed wallet; tells what came to the outbox, empty without one."""
        return await self._store.fan_out(shard, members, now_ms=now_ms)

    async def forward(self, onward: Onward, *, now_ms: int) -> bool:
        """Carry out the second leg of a transfer, or bring the money back; False if that must wait. Safe to repeat."""
        return await forward(self._store, onward, now_ms=now_ms)

    async def in_transit(self) -> dict[str, int]:
        """Money that left one wallet and has not reached another, in nanos by currency.

        An entry that was carried out and not deleted yet is where it went, and so is not counted.
        """
        found: defaultdict[str, int] = defaultdict(int)
        for shard in range(self._store.shards):
            after = b"-"
            while page := await self._redis.xrange(f"{tag(shard)}:o", after, count=_PAGE):
                after = b"(" + page[-1][0]
                events = [unpack_event(fields[b"e"]) for _, fields in page]
                for onward in [event for event in events if isinstance(event, Onward)]:
                    if not await has_arrived(self._store, onward):
                        found[onward.command.currency] += parse_nanos(onward.command.amount)
        return dict(found)

    async def following(self) -> int:
        """Crossed wallets whose members are still to follow, in all shards."""
        return sum([await self._redis.llen(f"{tag(shard)}:f") for shard in range(self._store.shards)])

    async def waiting(self, done: Done = _NOTHING) -> dict[int, int]:
        """How much waits in the shards where something does: entries, and crossings whose members are to follow.

        Before that, forget what is delivered. One round trip.
        """
        pipeline = self._redis.pipeline(transaction=False)
        dropped = _delete(pipeline, done)
        for shard in range(self._store.shards):
            pipeline.xlen(f"{tag(shard)}:o")
            pipeline.llen(f"{tag(shard)}:f")
        counts = (await pipeline.execute())[dropped:]
        waits = {shard: sum(counts[2 * shard : 2 * shard + 2]) for shard in range(self._store.shards)}
        return {shard: count for shard, count in waits.items() if count}


def _delete(pipeline: Any, done: Done) -> int:
    """Answers how many replies that makes."""
    found = [(shard, ids) for shard, ids in done.items() if ids]
    for shard, ids in found:
        pipeline.xdel(f"{tag(shard)}:o", *ids)
    return len(found)


def place_of(entry_id: bytes) -> Place:
    """Where an entry stands, by its id."""
    milliseconds, _, number = entry_id.partition(b"-")
    return int(milliseconds), int(number)


def told_page(told: Told) -> tuple[Place, OutboxPage]:
    """What a call told: the newest entry before its own, and its own."""
    followers, before, *entries = told
    items = [
        OutboxItem(entry_id, unpack_event(packed)) for entry_id, packed in zip(entries[::2], entries[1::2], strict=True)
    ]
    return place_of(before) if before else START, OutboxPage(items, bool(followers))
