"""Who a SIM is and who pays for it: subscribers by ICCID, IMSI, MSISDN or the platform's own id.

A subscriber's assignments to wallet and plan are effective-dated and chosen by the event's own time. Its version goes
up with each change, and the wallet's shard keeps the version it was told: a worker with an old view is told so by the
charge call, and looks again.

A move between wallets is four steps, each safe to repeat, in this order:

1. intent: the directory remembers where the subscriber is going; nothing changes yet;
2. leave: the old wallet's shard gets the new version and stops taking what was resolved before it; what is owed there
   is invoiced, if by invoice it is settled (rater/invoices/leaving.py);
3. the directory gets the new assignment (from here on workers find the new wallet);
4. join: the new wallet's shard learns of the subscriber.

Nobody sees the new wallet before the old one is closed (2 before 3), so a look for the id in the old shard is final. A
crash after any step is mended by the first worker that meets the subscriber (`repair`), from the directory alone.
An entry is replaced only if it is still what was read, so two commands at once do not overwrite each other.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import msgspec

from rater.errors import WalletError
from rater.identity import identity
from rater.invoices.leaving import closing
from rater.subscriber import IDENTIFIERS, Assignment, Key, Subscriber, lookup_key
from rater.wallet.entry import Entry, Kind, Stale
from rater.wallet.keys import document_key, values_of
from rater.wallet.store import WalletStore
from schemas.usage import Usage

#: Subscribers kept in memory: about 600 bytes each.
CACHE_MAX = 200_000
SOURCE = "directory"


_decode = msgspec.json.Decoder(Subscriber).decode
_encode = msgspec.json.Encoder().encode


class Directory:
    """Finds subscribers; changes them for the SIM commands."""

    def __init__(self, redis: Any, store: WalletStore) -> None:
        self._redis = redis
        self._store = store
        self._cache: OrderedDict[Key, Subscriber] = OrderedDict()
        self._names: dict[tuple[str, str], set[Key]] = {}

    async def resolve(self, usages: Sequence[Usage]) -> list[Subscriber | None]:
        """The subscriber of each event. Unknown ones are not cached: they may be added any moment."""
        keys = [lookup_key(usage) for usage in usages]
        # Held here, not read from the cache at the end: meanwhile others forget, and the cache drops its oldest.
        found = {key: self._cache.get(key) for key in keys}
        missing = [key for key, subscriber in found.items() if subscriber is None]
        if missing:
            found |= await self._fetch(missing)
        return [found[key] for key in keys]

    async def _fetch(self, keys: Sequence[Key]) -> dict[Key, Subscriber]:
        aliases = [key for key in keys if key[1] != "subscriber"]
        ids = {key: key[2] for key in keys if key[1] == "subscriber"}
        if aliases:
            names = await values_of(self._redis, [_alias_key(*key) for key in aliases])
            ids |= {key: name.decode() for key, name in zip(aliases, names, strict=True) if name is not None}
        entries = await values_of(self._redis, [_entry_key(key[0], name) for key, name in ids.items()])
        fetched = {}
        for key, entry in zip(ids, entries, strict=True):
            # A tenant's name is part of the key; a name made up to look like another tenant's key finds nothing.
            if entry is not None and (subscriber := _decode(entry)).tenant == key[0]:
                self._cache[key] = fetched[key] = subscriber
                self._names.setdefault((subscriber.tenant, subscriber.id), set()).add(key)
        while len(self._cache) > CACHE_MAX:
            _, oldest = self._cache.popitem(last=False)
            self.forget(oldest.tenant, oldest.id)
        return fetched

    def forget(self, tenant: str, subscriber: str) -> None:
        """Drop a subscriber from the cache under all its names."""
        for key in self._names.pop((tenant, subscriber), ()):
            self._cache.pop(key, None)

    async def get(self, tenant: str, subscriber: str) -> Subscriber | None:
        """A subscriber by its own id, past the cache."""
        entry = await self._redis.get(_entry_key(tenant, subscriber))
        return _decode(entry) if entry is not None else None

    async def pages(self, tenant: str = "", size: int = 500) -> AsyncIterator[list[Subscriber]]:
        """Every subscriber (of a tenant), in no order, some perhaps twice: of those there are when it begins all."""
        names: list[bytes] = []
        async for name in self._redis.scan_iter(_entry_key(_literally(tenant) or "*", "*"), count=size):
            names.append(name)
            if len(names) == size:
                yield await self._named(names, tenant)
                names = []
        if names:
            yield await self._named(names, tenant)

    async def _named(self, names: Sequence[bytes], tenant: str) -> list[Subscriber]:
        found = [_decode(entry) for entry in await values_of(self._redis, names) if entry is not None]
        return [subscriber for subscriber in found if tenant in ("", subscriber.tenant)]

    async def many(self, names: Iterable[tuple[str, str]]) -> list[Subscriber]:
        """Those of these (tenant, id) that are there, past the cache."""
        wanted = list(names)
        found = zip(wanted, await self.each(wanted), strict=True)
        return [one for name, one in found if one is not None and (one.tenant, one.id) == name]

    async def names_account(self, tenant: str, account: str) -> bool:
        """Whether any assignment names this account, or did."""
        return bool(await self._redis.sismember(_accounts_key(tenant), account))

    async def each(self, names: Sequence[tuple[str, str]]) -> list[Subscriber | None]:
        """What stands under each (tenant, id), past the cache; None where there is nothing."""
        entries = await values_of(self._redis, [_entry_key(*name) for name in names])
        return [_decode(entry) if entry is not None else None for entry in entries]

    async def at_least(self, subscriber: Subscriber, version: int) -> Subscriber:
        """The subscriber, read anew where the caller's view is from before a version."""
        if subscriber.version >= version:
            return subscriber
        self.forget(subscriber.tenant, subscriber.id)
        return await self.get(subscriber.tenant, subscriber.id) or subscriber

    async def add(self, subscribers: Sequence[Subscriber], *, now_ms: int) -> None:
        """Make subscribers known and members of their wallet. Safe to repeat; who is known already stays as it is.

        Raises:
            WalletError: a wallet does not exist, or an identifier belongs to another subscriber.
        """
        await self._claim(subscribers, only_check=True)
        pipeline = self._redis.pipeline(transaction=False)
        for tenant, account in {(each.tenant, a.account) for each in subscribers for a in each.assignments}:
            pipeline.sadd(_accounts_key(tenant), account)
        named = len(pipeline)
        for subscriber in subscribers:
            key = _entry_key(subscriber.tenant, subscriber.id)
            pipeline.set(key, _encode(subscriber), nx=True)
            pipeline.get(key)
        stored = [_decode(entry) for entry in (await pipeline.execute())[named + 1 :: 2]]
        await self._claim(stored)
        await self._join(stored, now_ms=now_ms)

    async def _claim(self, subscribers: Sequence[Subscriber], *, only_check: bool = False) -> None:
        """Let identifiers name their subscribers; who has one first keeps it."""
        aliases = [
            (kind, getattr(subscriber, kind), subscriber)
            for subscriber in subscribers
            for kind in IDENTIFIERS[1:]
            if getattr(subscriber, kind)
        ]
        pipeline = self._redis.pipeline(transaction=False)
        for kind, value, subscriber in aliases:
            key = _alias_key(subscriber.tenant, kind, value)
            if not only_check:
                pipeline.set(key, subscriber.id, nx=True)
            pipeline.get(key)
        replies = await pipeline.execute()
        holders = replies if only_check else replies[1::2]
        for (kind, value, subscriber), holder in zip(aliases, holders, strict=True):
            if holder is not None and holder.decode() != subscriber.id:
                raise WalletError(f"{kind}: {value} belongs to subscriber {holder.decode()}")

    async def move(self, tenant: str, subscriber: str, assignment: Assignment, *, now_ms: int) -> Subscriber:
        """Give a subscriber a new wallet or plan from `assignment.from_ms` on. Safe to repeat after a crash.

        Raises:
            WalletError: the subscriber or the wallet is unknown, the move would rewrite a later assignment, or another
                command changes the subscriber at this moment.
        """
        found = await self.get(tenant, subscriber)
        if found is None:
            raise WalletError(f"subscriber: {tenant} has no {subscriber}")
        if await self._store.wallet(tenant, assignment.wallet) is None:
            raise WalletError(f"wallet: {tenant} has no wallet {assignment.wallet}")
        found = await self.repair(found, now_ms=now_ms)
        last = found.assignments[-1]
        if last == assignment:
            return found
        if assignment.from_ms < last.from_ms:
            raise WalletError("from: an assignment that begins later exists; assignments are added at the end")
        if assignment.wallet != last.wallet and assignment.from_ms > now_ms:
            # The old wallet's shard lets go of a SIM at once: until a later day nobody would suspend it.
            raise WalletError("from: a move to another wallet begins now or earlier; run it again when it is due")
        await self._redis.sadd(_accounts_key(tenant), assignment.account)
        intent = msgspec.structs.replace(found, moving=assignment)
        if not await self._replace(found, intent):
            raise WalletError(f"subscriber: {subscriber} is being changed by another command; run this one again")
        return await self.repair(intent, now_ms=now_ms)

    async def repair(self, subscriber: Subscriber, *, now_ms: int) -> Subscriber:
        """Finish a move that was cut short and tell the shards what the directory says."""
        if subscriber.moving is not None:
            subscriber = await self._finish(subscriber, subscriber.moving, now_ms)
        last = subscriber.assignments[-1].wallet
        left = next((a.wallet for a in reversed(subscriber.assignments) if a.wallet != last), None)
        member = await self._store.member(subscriber.tenant, left, subscriber.id) if left is not None else None
        holds = ",".join(hold for hold in member.holds if hold != "parent") if member else ""
        await self._join([subscriber], now_ms=now_ms, holds=holds)
        self.forget(subscriber.tenant, subscriber.id)
        return subscriber

    async def _finish(self, intent: Subscriber, assignment: Assignment, now_ms: int) -> Subscriber:
        assignments = (*intent.assignments, assignment)
        moved = msgspec.structs.replace(intent, version=intent.version + 1, assignments=assignments, moving=None)
        left = intent.assignments[-1]
        if left.wallet != assignment.wallet:
            await self._store.apply([await self._leave(moved, left, now_ms)], now_ms=now_ms)
        if await self._replace(intent, moved):
            return moved
        # Somebody else finished it, and may have gone on since.
        present = await self.get(intent.tenant, intent.id)
        if present is None or present.version < moved.version:
            raise WalletError(f"subscriber: {intent.id} was changed past the directory")
        return present

    async def _leave(self, moved: Subscriber, left: Assignment, now_ms: int) -> Entry:
        wallet = self._store.wallet_ref(moved.tenant, left.wallet)
        (document,) = await self._store.documents([document_key(self._store.member_key(wallet, moved.id))])
        return closing(_membership(moved, left.wallet, Kind.LEAVE), left.account, document, now_ms)

    async def _replace(self, before: Subscriber, after: Subscriber) -> bool:
        return await self._store.replace(_entry_key(after.tenant, after.id), _encode(before), _encode(after))

    async def _join(self, subscribers: Sequence[Subscriber], *, now_ms: int, holds: str = "") -> None:
        entries = []
        for subscriber in subscribers:
            # Usage from before a move is still charged to the wallet of that time, so each of its shards is told.
            for wallet in {assignment.wallet: None for assignment in subscriber.assignments}:
                last = wallet == subscriber.assignments[-1].wallet
                kind = Kind.JOIN if last else Kind.LEAVE
                entries.append(_membership(subscriber, wallet, kind, holds if last else ""))
        answers = await self._store.apply(entries, now_ms=now_ms)
        for entry, answer in zip(entries, answers, strict=True):
            if isinstance(answer, Stale):
                raise WalletError(f"wallet: {entry.tenant} has no wallet {entry.wallet}")


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


def _literally(name: str) -> str:
    """A name in a pattern of Redis, where some signs mean more than themselves."""
    return re.sub(r"([*?\[\]\\^-])", r"\\\1", name)


def _entry_key(tenant: str, subscriber: str) -> str:
    return f"d:{tenant}:subscriber:{subscriber}"


def _accounts_key(tenant: str) -> str:
    return f"d:{tenant}:accounts"


def _alias_key(tenant: str, kind: str, value: str) -> str:
    return f"a:{tenant}:{kind}:{value}"
