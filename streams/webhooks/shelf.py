"""Small documents of a tenant in Redis (webhook endpoints, rules), found by account and by id.

h:<sort>:tenants                  who has any, so that a follower passes over all others
h:<sort>:accounts:<tenant>        accounts with a book, in order; "" is the tenant itself
h:<sort>:book:<tenant>/<account>  the book: all of that account, as JSON, replaced by compare-and-set
h:<sort>:at:<tenant>/<id>         in which account's book an id stands; with a zero byte before it once it was removed

Adding is index, then pointer, then book: a crash between leaves an index without a book or a pointer without an item,
and both are read as "there is none". Removing is pointer, then book: after a crash between nobody finds it by its id,
and the repeated removal finishes. A book names its tenant and account, so that a name made up to look like the key of
another finds nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from rater.errors import WalletError
from rater.wallet.keys import values_of
from rater.wallet.store import WalletStore

#: Tries of a compare-and-set before it is given up; each one lost means that another writer went on.
TRIES = 50
_REMOVED = b"\0"


class Item(Protocol):
    """What stands in a book."""

    @property
    def id(self) -> str: ...  # noqa: D102

    @property
    def tenant(self) -> str: ...  # noqa: D102

    @property
    def account(self) -> str: ...  # noqa: D102


T = TypeVar("T", bound=Item)

#: Whose book: tenant and account.
Owner = tuple[str, str]


class Book(msgspec.Struct, Generic[T], frozen=True):
    """All of one account, oldest first."""

    tenant: str
    account: str
    items: tuple[T, ...] = ()


class Shelf(Generic[T]):
    """The books of one sort."""

    def __init__(self, redis: Any, store: WalletStore, sort: str, kind: type[T]) -> None:
        self._redis = redis
        self._store = store
        self._prefix = f"h:{sort}:"
        self._decode: Callable[[bytes], Book[T]] = msgspec.json.Decoder(Book[kind]).decode  # type: ignore[valid-type]

    async def tenants(self) -> set[str]:
        """Who has, or had, any."""
        return {name.decode() for name in await self._redis.smembers(f"{self._prefix}tenants")}

    async def books(self, owners: Iterable[Owner]) -> dict[Owner, tuple[T, ...]]:
        """What stands in the books of these owners, in one round trip."""
        wanted = list(owners)
        found = await values_of(self._redis, [self._book_key(*owner) for owner in wanted])
        return {owner: self._items(owner, entry) for owner, entry in zip(wanted, found, strict=True)}

    async def get(self, tenant: str, item: str) -> T | None:
        """One item by its id, None if there is none."""
        account = await self._redis.get(self._pointer(tenant, item))
        if account is None or account.startswith(_REMOVED):
            return None
        return await self.get_of(tenant, account.decode(), item)

    async def get_of(self, tenant: str, account: str, item: str) -> T | None:
        """One item of a known account."""
        owner = tenant, account
        return _of((await self.books([owner]))[owner], item)

    async def removed_from(self, tenant: str, item: str) -> str | None:
        """Whose an item was that has been removed; None if it has not."""
        account: bytes | None = await self._redis.get(self._pointer(tenant, item))
        return account[1:].decode() if account is not None and account.startswith(_REMOVED) else None

    async def list(self, tenant: str, after: tuple[str, str] | None = None, account: str = "") -> AsyncIterator[T]:
        """Items in order of (account, id), from behind a place on; of one account, or of all."""
        if account:
            accounts = [account.encode()]
        else:
            start = f"[{after[0]}" if after else "-"
            accounts = await self._redis.zrangebylex(f"{self._prefix}accounts:{tenant}", start, "+")
        for name in accounts:
            owner = tenant, name.decode()
            for item in sorted((await self.books([owner]))[owner], key=lambda item: item.id):
                if after is None or (owner[1], item.id) > after:
                    yield item

    async def add(self, item: T, *, most: int) -> T:
        """Put an item in its account's book; one that stands there already is answered as it stands.

        Raises:
            WalletError: the account has `most` already.
        """
        await self._redis.sadd(f"{self._prefix}tenants", item.tenant)
        await self._redis.zadd(f"{self._prefix}accounts:{item.tenant}", {item.account: 0})
        await self._redis.set(self._pointer(item.tenant, item.id), item.account)

        def put(items: tuple[T, ...]) -> tuple[T, ...]:
            if _of(items, item.id) is not None:
                return items
            if len(items) >= most:
                raise WalletError(f"account: it has {most} already, which is the most")
            return (*items, item)

        added = _of(await self._change((item.tenant, item.account), put), item.id)
        assert added is not None, "what was put in stands there"
        return added

    async def alter(self, item: T, change: Callable[[T], T]) -> T | None:
        """Replace an item by what it is changed to from its present state; None if it is gone."""
        items = await self._change(
            (item.tenant, item.account),
            lambda items: tuple(change(other) if other.id == item.id else other for other in items),
        )
        return _of(items, item.id)

    async def remove(self, tenant: str, account: str, item: str) -> None:
        """Take an item out of its account's book. Safe to repeat."""
        await self._redis.set(self._pointer(tenant, item), _REMOVED + account.encode())
        await self._change((tenant, account), lambda items: tuple(other for other in items if other.id != item))

    async def _change(self, owner: Owner, change: Callable[[tuple[T, ...]], tuple[T, ...]]) -> tuple[T, ...]:
        key = self._book_key(*owner)
        for _ in range(TRIES):
            entry = await self._redis.get(key) or b""
            before = self._items(owner, entry)
            after = change(before)
            if after == before:
                return before
            book = msgspec.json.encode(Book(*owner, after))
            if await self._store.replace(key, entry, book):
                return after
            await asyncio.sleep(random.uniform(0, 0.02))  # noqa: S311 - spreads writers, guards nothing
        raise WalletError(f"account: {owner[1] or owner[0]} is being changed by others; try again")

    def _items(self, owner: Owner, entry: bytes | None) -> tuple[T, ...]:
        if not entry:
            return ()
        book = self._decode(entry)
        return book.items if (book.tenant, book.account) == owner else ()

    def _book_key(self, tenant: str, account: str) -> str:
        return f"{self._prefix}book:{tenant}/{account}"

    def _pointer(self, tenant: str, item: str) -> str:
        return f"{self._prefix}at:{tenant}/{item}"


def _of(items: Iterable[T], wanted: str) -> T | None:
    return next((item for item in items if item.id == wanted), None)
