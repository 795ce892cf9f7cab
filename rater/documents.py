"""Documents in Redis: JSON under a key of their own, replaced only if they are still what was read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from rater.wallet.keys import values_of
from rater.wallet.store import WalletStore


class Named(Protocol):
    """A document says whose it is."""

    @property
    def tenant(self) -> str:
        """Its tenant."""


T = TypeVar("T", bound=Named)


class Documents(Generic[T]):
    """Documents of one kind, by tenant and name: `<sort>:<tenant>:<name>`."""

    def __init__(self, redis: Any, store: WalletStore, sort: str, kind: type[T]) -> None:
        self._redis = redis
        self._store = store
        self._sort = sort
        self._encode = msgspec.json.Encoder().encode
        self._decode: Callable[[bytes], T] = msgspec.json.Decoder(kind).decode

    async def get(self, tenant: str, name: str) -> T | None:
        """A document, or None; a name made up to look like another tenant's key finds nothing."""
        return self._of(await self._redis.get(self._key(tenant, name)), tenant)

    async def many(self, tenant: str, names: Sequence[str]) -> list[T]:
        """The documents of these names that are there, in their order."""
        stored = await values_of(self._redis, [self._key(tenant, name) for name in names])
        found = [self._of(one, tenant) for one in stored]
        return [document for document in found if document is not None]

    async def create(self, document: T, name: str) -> tuple[T, bool]:
        """Keep a document if there is none of its name; answers what stands, and whether that is new."""
        if await self._store.replace(self._key(document.tenant, name), b"", self._encode(document)):
            return document, True
        found = await self.get(document.tenant, name)
        assert found is not None, "documents are never removed"
        return found, False

    async def change(self, tenant: str, name: str, after: Callable[[T], T | Awaitable[T]]) -> T:
        """Replace a document by what `after` makes of it, again for as long as others are quicker.

        `after` answers the very document where nothing is to change. The document must be there.
        """
        key = self._key(tenant, name)
        while True:
            stored = await self._redis.get(key)
            found = self._of(stored, tenant)
            assert found is not None, "only what was read is changed"
            changed = after(found)
            if isinstance(changed, Awaitable):
                changed = await changed
            if changed is found or await self._store.replace(key, stored, self._encode(changed)):
                return changed

    def _of(self, stored: bytes | None, tenant: str) -> T | None:
        found = self._decode(stored) if stored is not None else None
        return found if found is not None and found.tenant == tenant else None

    def _key(self, tenant: str, name: str) -> str:
        return f"{self._sort}:{tenant}:{name}"
