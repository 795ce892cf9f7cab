"""Deliveries in Redis: put in, claimed under a lease, settled, looked through. See queue.lua for the keys.

What a crash leaves:

- after `enqueue`: the delivery waits, and any process claims it when it is due.
- after `claim`: its lease ends and it waits again; the receiver may have had it: at least once.
- after `settle`: it is done, or waits for its next attempt.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from redis.asyncio import RedisCluster

from rater.errors import UnsafeRedisError
from rater.settings import WebhookSettings
from rater.wallet.function import load_library
from rater.wallet.store import REPLICA_WAIT_MS
from streams.webhooks.delivery import Delivery, decode_delivery, encode_delivery

#: Raised whenever what stands in Redis could be read differently by the version before.
LIBRARY: Final = "rater_webhooks_1"
#: Endpoints are spread over so many slots.
SHARES: Final = 8
#: A lease is longer by so much than an attempt may take (`timeout_s`).
MARGIN_MS: Final = 15_000
#: Deliveries put in by one call.
_CALL_MAX: Final = 200


def share_of(name: str) -> int:
    """The share an endpoint (or a tenant's rules) lives in; the same in every process and for ever."""
    return zlib.crc32(name.encode()) % SHARES


def tag(share: int) -> str:
    """The hash tag that all keys of the share begin with."""
    return f"{{h{share}}}"


def source() -> str:
    """The library as it is loaded."""
    folder = Path(__file__).parent
    body = "\n".join((folder / f"{name}.lua").read_text() for name in ("queue", "counts"))
    return f"#!lua name={LIBRARY}\n" + body.replace("NAME_", f"{LIBRARY}_")


class Claimed(NamedTuple):
    """A delivery that is this process' to attempt until its lease ends, and the bytes it was read from."""

    share: int
    delivery: Delivery
    raw: bytes


class Queue:
    """Open it with `Queue.open`."""

    def __init__(self, redis: Any, settings: WebhookSettings, *, wait_for_replica: bool = False) -> None:
        self.redis = redis
        self._settings = settings
        self._wait_for_replica = wait_for_replica

    @classmethod
    async def open(cls, redis: Any, settings: WebhookSettings, *, wait_for_replica: bool = False) -> Queue:
        """Load the functions."""
        await load_library(redis, LIBRARY, source())
        return cls(redis, settings, wait_for_replica=wait_for_replica)

    async def enqueue(self, deliveries: Sequence[Delivery]) -> tuple[list[Delivery], list[Delivery]]:
        """Put deliveries in; answers those that are new, and those that found too much before them.

        The same (endpoint, id) is put in once, for as long as it stands in the log.
        """
        by_share: defaultdict[int, list[Delivery]] = defaultdict(list)
        for delivery in deliveries:
            by_share[share_of(delivery.endpoint)].append(delivery)
        new: list[Delivery] = []
        over: list[Delivery] = []
        for share, found in by_share.items():
            for start in range(0, len(found), _CALL_MAX):
                page = found[start : start + _CALL_MAX]
                for delivery, reply in zip(page, await self._enqueue_page(share, page), strict=True):
                    if reply:
                        (new if reply > 0 else over).append(delivery)
        return new, over

    async def _enqueue_page(self, share: int, page: Sequence[Delivery]) -> list[int]:
        arguments: list[Any] = [self._settings.endpoint_concurrency, self._settings.log_max, self._settings.backlog_max]
        for delivery in page:
            due = delivery.due_ms if delivery.state == "pending" else ""
            arguments += [delivery.endpoint, delivery.id, encode_delivery(delivery), delivery.place, due]
        replies: list[int] = await self.call("enqueue", share, *arguments)
        return replies

    async def claim(self, shares: Iterable[int], count: int, *, now_ms: int) -> list[Claimed]:
        """Up to `count` deliveries that are due, taken under a lease."""
        claimed: list[Claimed] = []
        lease_ms = int(self._settings.timeout_s * 1000) + MARGIN_MS
        for share in shares:
            room = count - len(claimed)
            if room <= 0:
                break
            flat = await self.call("claim", share, self._settings.endpoint_concurrency, now_ms, room, lease_ms)
            claimed += [Claimed(share, decode_delivery(raw), raw) for raw in flat[2::3] if raw]
        return claimed

    async def settle(self, raw: bytes, after: Delivery, *, now_ms: int, outcome: str = "") -> bool:
        """Write what came of an attempt ("good", "bad"), or of a replay (""); False if it is not as it was read."""
        reply = await self.call(
            "settle", share_of(after.endpoint), self._settings.endpoint_concurrency, self._settings.log_max,
            after.endpoint, after.id, raw, encode_delivery(after), after.due_ms if after.state == "pending" else "",
            outcome, now_ms,
        )  # fmt: skip
        return bool(reply)

    async def drop(self, endpoint: str) -> None:
        """Forget all of an endpoint."""
        await self.call("drop", share_of(endpoint), endpoint)

    async def get(self, endpoint: str, delivery: str) -> bytes | None:
        """A delivery as it stands."""
        found: bytes | None = await self.redis.hget(f"{tag(share_of(endpoint))}:d:{endpoint}", delivery)
        return found

    async def good_ms(self, endpoint: str) -> int:
        """When a delivery to the endpoint succeeded last, 0 for never."""
        return int(await self.redis.hget(f"{tag(share_of(endpoint))}:s:{endpoint}", "good_ms") or 0)

    async def log(self, endpoint: str, limit: int, before: str = "") -> list[Delivery]:
        """Deliveries, newest first, from before a place on."""
        key = f"{tag(share_of(endpoint))}:l:{endpoint}"
        start = f"({before}" if before else "+"
        return await self._read(endpoint, await self.redis.zrevrangebylex(key, start, "-", start=0, num=limit))

    async def since(self, endpoint: str, from_ms: int, page: int = 200) -> AsyncIterator[Delivery]:
        """Deliveries that were made at a time or later, oldest first."""
        key = f"{tag(share_of(endpoint))}:l:{endpoint}"
        start = b"[%013d" % max(from_ms, 0)
        while places := await self.redis.zrangebylex(key, start, "+", start=0, num=page):
            for delivery in await self._read(endpoint, places):
                yield delivery
            start = b"(" + places[-1]

    async def _read(self, endpoint: str, places: Sequence[bytes]) -> list[Delivery]:
        if not places:
            return []
        ids = [place[14:] for place in places]
        found = await self.redis.hmget(f"{tag(share_of(endpoint))}:d:{endpoint}", ids)
        return [decode_delivery(raw) for raw in found if raw is not None]

    async def standing(self) -> tuple[int, int | None]:
        """How many deliveries wait, and when the oldest of them is (or was) due."""
        waiting, oldest = 0, list[float]()
        for share in range(SHARES):
            waiting += int(await self.redis.get(f"{tag(share)}:n") or 0)
            for index in ("due", "full"):
                first = await self.redis.zrange(f"{tag(share)}:{index}", 0, 0, withscores=True)
                oldest += [score for _, score in first]
        return waiting, int(min(oldest)) if oldest else None

    async def call(self, name: str, share: int, *arguments: Any) -> Any:
        """One function of the library."""
        function_name = f"{LIBRARY}_{name}"
        if not self._wait_for_replica or isinstance(self.redis, RedisCluster):
            return await self.redis.fcall(function_name, 1, tag(share), *arguments)
        # As WalletStore._call does: what was put in must be safe before a topic is committed past it.
        pipeline = self.redis.pipeline(transaction=False)
        pipeline.fcall(function_name, 1, tag(share), *arguments)
        pipeline.set(f"{tag(share)}:waits", 1)
        pipeline.execute_command("WAITAOF", 0, 1, REPLICA_WAIT_MS)
        reply, _, (_, replicas) = await pipeline.execute()
        if not replicas:
            raise UnsafeRedisError(f"no replica wrote the call within {REPLICA_WAIT_MS} ms; repeat it")
        return reply
