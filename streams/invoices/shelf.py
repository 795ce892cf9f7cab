"""The invoices in Redis: a document each (rater/documents.py), and the lists that find them.

    invoice:<tenant>:<id>                  the invoice, or the mark of a period in which nothing was owed
    invoices:<tenant>:closings:<wallet>    "<epoch>.<n>/<id>": the wallet's closings, in the order of its changes
    invoices:<tenant>:covering:<wallet>    ids of those that may cover something of what the wallet owes
    invoices:<tenant>:all                  "<issued>/<id>": the tenant's invoices in order of time
    invoices:<tenant>:account:<account>    the same of the wallets of an account
    invoices:bare                          "<tenant>/<id>": those that have no lines yet

An invoice stands in the lists before it is written, so a crash leaves names without an invoice; readers leave them out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from rater.documents import Documents
from rater.invoices.model import Invoice, Place
from rater.wallet.store import WalletStore

_BARE = "invoices:bare"
#: Names read at a time.
_PAGE = 100


class Shelf:
    """Keeps and finds invoices; safe to share between tasks."""

    def __init__(self, redis: Any, store: WalletStore) -> None:
        self._redis = redis
        self._documents = Documents(redis, store, "invoice", Invoice)
        #: An invoice or a mark; None if there is none of this id.
        self.get = self._documents.get
        #: Replaces an invoice.
        self.change = self._documents.change

    async def create(self, invoice: Invoice) -> Invoice:
        """Keep an invoice if there is none of its id; answers what stands."""
        tenant, wallet, name = invoice.tenant, invoice.wallet, invoice.id
        await self._redis.zadd(_closings(tenant, wallet), {_entry(invoice.place, name): 0})
        if invoice.status != "empty":
            await self._redis.sadd(_covering(tenant, wallet), name)
            for listed in (_all(tenant), _all(tenant, invoice.account)):
                await self._redis.zadd(listed, {f"{invoice.issued_ms:015d}/{name}": 0})
            await self._redis.sadd(_BARE, f"{tenant}/{name}")
        stands, _ = await self._documents.create(invoice, name)
        return stands

    async def before(self, tenant: str, wallet: str, place: Place) -> Invoice | None:
        """The wallet's last closing before a place."""
        async for invoice in self._closings(tenant, wallet, f"({_entry(place, '')}"):
            return invoice
        return None

    async def covering(self, tenant: str, wallet: str) -> list[Invoice]:
        """The invoices of a wallet that may cover something: the open ones, and those paid since the last closing."""
        names = sorted(name.decode() for name in await self._redis.smembers(_covering(tenant, wallet)))
        return await self._documents.many(tenant, names)

    async def uncover(self, invoice: Invoice) -> None:
        """An invoice that covers nothing at any closing to come."""
        await self._redis.srem(_covering(invoice.tenant, invoice.wallet), invoice.id)

    async def of_wallet(self, tenant: str, wallet: str, limit: int, before: str) -> tuple[list[Invoice], str]:
        """Invoices of a wallet, the newest first, and where the next page begins (empty: nowhere)."""
        found: list[Invoice] = []
        async for invoice in self._closings(tenant, wallet, f"({before}" if before else "+"):
            if invoice.status == "empty":
                continue
            if len(found) == limit:
                return found, _entry(found[-1].place, found[-1].id)
            found.append(invoice)
        return found, ""

    async def of_account(self, tenant: str, account: str, limit: int, before: str) -> tuple[list[Invoice], str]:
        """The same of an account; of the whole tenant if it is empty."""
        found: list[Invoice] = []
        async for invoice in self._listed(_all(tenant, account), tenant, f"({before}" if before else "+"):
            if len(found) == limit:
                return found, f"{found[-1].issued_ms:015d}/{found[-1].id}"
            found.append(invoice)
        return found, ""

    async def bare(self) -> list[tuple[str, str]]:
        """(tenant, id) of invoices without lines."""
        found: list[tuple[str, str]] = []
        async for entry in self._redis.sscan_iter(_BARE):
            tenant, _, name = entry.decode().partition("/")
            found.append((tenant, name))
            if len(found) == _PAGE:
                break
        return found

    async def clothed(self, tenant: str, invoice_id: str) -> None:
        """An invoice that has its lines, or will never have any."""
        await self._redis.srem(_BARE, f"{tenant}/{invoice_id}")

    def _closings(self, tenant: str, wallet: str, start: str) -> AsyncIterator[Invoice]:
        return self._listed(_closings(tenant, wallet), tenant, start)

    async def _listed(self, key: str, tenant: str, start: str) -> AsyncIterator[Invoice]:
        while entries := await self._redis.zrevrangebylex(key, start, "-", start=0, num=_PAGE):
            names = [entry.decode().partition("/")[2] for entry in entries]
            for invoice in await self._documents.many(tenant, names):
                yield invoice
            start = f"({entries[-1].decode()}"


def _entry(place: Place, invoice_id: str) -> str:
    return f"{place.epoch:010d}.{place.n:016d}/{invoice_id}"


def _closings(tenant: str, wallet: str) -> str:
    return f"invoices:{tenant}:closings:{wallet}"


def _covering(tenant: str, wallet: str) -> str:
    return f"invoices:{tenant}:covering:{wallet}"


def _all(tenant: str, account: str = "") -> str:
    return f"invoices:{tenant}:account:{account}" if account else f"invoices:{tenant}:all"
