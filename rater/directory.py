"""Who a SIM is and who pays for it: subscribers by ICCID, IMSI, MSISDN or the platform's own id.

A subscriber's assignments to wallet and plan are effective-dated and chosen by the event's own time. Its version goes
up with each change, and the wallet's shard keeps the version it was told: a worker with an old view is told so by the
charge call, and looks again.

A move between wallets is three steps, each safe to repeat, in this order:

1. leave: the old wallet's shard gets the new version and stops taking what was resolved before it;
2. the directory gets the new assignment (from here on workers find the new wallet);
3. join: the new wallet's shard learns of the subscriber.

A crash after 1 leaves workers waiting for 2 (they retry; the command is run again); a crash after 2 is mended by the
first worker that sees it (`repair`), from the directory alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import msgspec

from rater.errors import WalletError
from rater.identity import identity
from rater.wallet.entry import Entry, Kind
from rater.wallet.store import WalletStore
from schemas.usage import Usage

#: Subscribers kept in memory: about 600 bytes each.
CACHE_MAX = 200_000
#: Identifiers a usage event may name its subscriber by, in the order they are believed.
IDENTIFIERS = ("subscriber", "iccid", "imsi", "msisdn")
SOURCE = "directory"


class Assignment(msgspec.Struct, frozen=True):
    """From when on a wallet pays and a plan applies. `zone` overrides the plan's zone for billing cycles."""

    from_ms: int
    wallet: str
    account: str
    plan: str
    currency: str
    zone: str = ""


class Subscriber(msgspec.Struct, frozen=True):
    """A subscriber and its assignments, oldest first."""

    tenant: str
    id: str
    version: int
    assignments: tuple[Assignment, ...]
    iccid: str = ""
    imsi: str = ""
    msisdn: str = ""


_decode = msgspec.json.Decoder(Subscriber).decode
_encode = msgspec.json.Encoder().encode


class Directory:
    """Finds subscribers; changes them for the SIM commands."""

    def __init__(self, redis: Any, store: WalletStore) -> None:
        self._redis = redis
        self._store = store
        self._cache: OrderedDict[tuple[str, str, str], Subscriber] = OrderedDict()

    async def resolve(self, usages: Sequence[Usage]) -> list[Subscriber | None]:
        """The subscriber of each event. Unknown ones are not cached: they may be added any moment."""
        keys = [_lookup_key(usage) for usage in usages]
        missing = {key for key in keys if key not in self._cache}
        if missing:
            await self._fetch(list(missing))
        return [self._cache.get(key) for key in keys]

    async def _fetch(self, keys: Sequence[tuple[str, str, str]]) -> None:
        aliases = [key for key in keys if key[1] != "subscriber"]
        ids = {key: key[2] for key in keys if key[1] == "subscriber"}
        if aliases:
            found = await self._get([_alias_key(*key) for key in aliases])
            ids |= {key: name.decode() for key, name in zip(aliases, found, strict=True) if name is not None}
        entries = await self._get([_entry_key(key[0], name) for key, name in ids.items()])
        for key, entry in zip(ids, entries, strict=True):
            if entry is not None:
                self._cache[key] = _decode(entry)
        while len(self._cache) > CACHE_MAX:
            self._cache.popitem(last=False)

    async def _get(self, keys: Sequence[str]) -> list[bytes | None]:
        if not keys:
            return []
        # Single GETs in a pipeline: a cluster refuses MGET over several slots.
        pipeline = self._redis.pipeline(transaction=False)
        for key in keys:
            pipeline.get(key)
        values: list[bytes | None] = await pipeline.execute()
        return values

    def forget(self, tenant: str, subscriber: str) -> None:
        """Drop a subscriber from the cache under all its names."""
        stale = [k for k, found in self._cache.items() if found.tenant == tenant and found.id == subscriber]
        for key in stale:
            del self._cache[key]

    @staticmethod
    def assignment(subscriber: Subscriber, at_ms: int) -> Assignment | None:
        """The assignment in force at a time, None before the first."""
        for assignment in reversed(subscriber.assignments):
            if assignment.from_ms <= at_ms:
                return assignment
        return None

    async def get(self, tenant: str, subscriber: str) -> Subscriber | None:
        """A subscriber by its own id, past the cache."""
        entry = await self._redis.get(_entry_key(tenant, subscriber))
        return _decode(entry) if entry is not None else None

    async def add(self, subscribers: Sequence[Subscriber], *, now_ms: int) -> None:
        """Make subscribers known and members of the wallet of their last assignment. Safe to repeat.

        Raises:
            WalletError: a wallet does not exist, or an identifier belongs to another subscriber.
        """
        await self._write(subscribers)
        await self._join(subscribers, now_ms=now_ms)

    async def _write(self, subscribers: Sequence[Subscriber]) -> None:
        aliases = [
            (_alias_key(subscriber.tenant, kind, getattr(subscriber, kind)), subscriber.id)
            for subscriber in subscribers
            for kind in IDENTIFIERS[1:]
            if getattr(subscriber, kind)
        ]
        for (key, name), taken in zip(aliases, await self._get([key for key, _ in aliases]), strict=True):
            if taken is not None and taken.decode() != name:
                kind, value = key.rsplit(":", 2)[-2:]
                raise WalletError(f"{kind}: {value} belongs to subscriber {taken.decode()}")
        pipeline = self._redis.pipeline(transaction=False)
        for subscriber in subscribers:
            pipeline.set(_entry_key(subscriber.tenant, subscriber.id), _encode(subscriber))
        for key, name in aliases:
            pipeline.set(key, name)
        await pipeline.execute()

    async def _join(self, subscribers: Sequence[Subscriber], *, now_ms: int, holds: str = "") -> None:
        entries = []
        for subscriber in subscribers:
            # Usage from before a move is still charged to the wallet of that time, so each of its shards is told.
            for assignment in {a.wallet: a for a in subscriber.assignments}.values():
                last = assignment.wallet == subscriber.assignments[-1].wallet
                kind = Kind.JOIN if last else Kind.LEAVE
                entries.append(_membership(subscriber, assignment.wallet, kind, holds if last else ""))
        answers = await self._store.apply(entries, now_ms=now_ms)
        for entry, answer in zip(entries, answers, strict=True):
            if getattr(answer, "why", "") == "no_wallet":
                raise WalletError(f"wallet: {entry.tenant} has no wallet {entry.wallet}")

    async def move(self, tenant: str, subscriber: str, assignment: Assignment, *, now_ms: int) -> Subscriber:
        """Give a subscriber a new wallet or plan from `assignment.from_ms` on. Safe to repeat after a crash.

        Raises:
            WalletError: the subscriber or the wallet is unknown, or the move would rewrite a later assignment.
        """
        found = await self.get(tenant, subscriber)
        if found is None:
            raise WalletError(f"subscriber: {tenant} has no {subscriber}")
        if await self._store.wallet(tenant, assignment.wallet) is None:
            raise WalletError(f"wallet: {tenant} has no wallet {assignment.wallet}")
        last = found.assignments[-1]
        if last == assignment:
            await self.repair(found, now_ms=now_ms)
            return found
        if assignment.from_ms < last.from_ms:
            raise WalletError("from: an assignment that begins later exists; assignments are added at the end")
        moved = msgspec.structs.replace(found, version=found.version + 1, assignments=(*found.assignments, assignment))
        if last.wallet != assignment.wallet:
            await self._store.apply([_membership(moved, last.wallet, Kind.LEAVE)], now_ms=now_ms)
        await self._write([moved])
        await self.repair(moved, now_ms=now_ms)
        self.forget(tenant, subscriber)
        return moved

    async def repair(self, subscriber: Subscriber, *, now_ms: int) -> None:
        """Tell the shards what the directory says: finishes a move that was cut short."""
        holds = ""
        if len(subscriber.assignments) > 1:
            left = subscriber.assignments[-2].wallet
            member = await self._store.member(subscriber.tenant, left, subscriber.id)
            if member is not None:
                holds = ",".join(hold for hold in member.holds if hold != "parent")
        await self._join([subscriber], now_ms=now_ms, holds=holds)


def _membership(subscriber: Subscriber, wallet: str, kind: Kind, holds: str = "") -> Entry:
    cause = f"{kind.name.lower()}-{subscriber.id}-{wallet}-{subscriber.version}"
    return Entry(
        kind=kind,
        tenant=subscriber.tenant,
        wallet=wallet,
        identity=identity(subscriber.tenant, SOURCE, cause),
        fingerprint=bytes(8),
        cause=f"{SOURCE}/{cause}",
        subscriber=subscriber.id,
        subscriber_version=subscriber.version,
        hold=holds,
    )


def _lookup_key(usage: Usage) -> tuple[str, str, str]:
    for kind in IDENTIFIERS:
        value = getattr(usage, kind)
        if value:
            return usage.tenant, kind, value
    return usage.tenant, "subscriber", ""


def _entry_key(tenant: str, subscriber: str) -> str:
    return f"d:{tenant}:subscriber:{subscriber}"


def _alias_key(tenant: str, kind: str, value: str) -> str:
    return f"a:{tenant}:{kind}:{value}"
