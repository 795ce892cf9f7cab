"""Which accounts a key reaches: its own, and the companies below it.

Asked for with every request, so what cannot change is remembered in the process: whose company an account is, and which
account claimed a wallet. Both are so for ever (rater/accounts), so that memory is never out of date. Two things can be
late, by `CACHE_S` at most: that a wallet which nobody had claimed is another account's now, and a person's role.
Whatever is remembered is remembered under its tenant: no key is ever shown another one's.

Keys of a whole tenant that act for no person, and keys that ask for their own account, cost no look at all.
"""

from __future__ import annotations

import time
from typing import Generic, TypeVar

from rater.accounts.book import Accounts
from rater.accounts.model import Account
from rater.accounts.wallets import AccountWallets
from streams.http.keys import CACHE_S, ApiKey

T = TypeVar("T")

#: Entries of each memory, about 200 bytes each.
REMEMBERED_MAX = 100_000


class Reach:
    """One per process."""

    def __init__(self, accounts: Accounts, wallets: AccountWallets) -> None:
        self._accounts = accounts
        self._wallets = wallets
        self._organisations = _Memory[str]()
        self._claims = _Memory[str]()
        self._unclaimed = _Memory[str](CACHE_S)
        self._chains = _Memory[tuple[Account, ...]](CACHE_S)

    async def covers(self, key: ApiKey, tenant: str, account: str) -> bool:
        """Whether a key reaches an account. What is not there is asked for each time: it may be made any moment."""
        if key.covers(account):
            return True
        organisation = self._organisations.get(tenant, account)
        if organisation is None:
            found = await self._accounts.get(tenant, account)
            if found is None:
                return False
            organisation = found.parent
            self._organisations.put(tenant, account, organisation)
        return bool(organisation) and key.covers(account, organisation)

    async def account_of(self, tenant: str, wallet: str) -> str:
        """The account a wallet belongs to."""
        known = self._claims.get(tenant, wallet) or self._unclaimed.get(tenant, wallet)
        if known is not None:
            return known
        claimed = await self._wallets.claimed_by(tenant, wallet)
        (self._claims if claimed else self._unclaimed).put(tenant, wallet, claimed or wallet)
        return claimed or wallet

    def learn(self, tenant: str, wallet: str, account: str) -> None:
        """An account claimed a wallet, here and now."""
        self._claims.put(tenant, wallet, account)

    def forget(self, tenant: str, account: str) -> None:
        """An account was changed, here and now; companies of it that are remembered with it are late by `CACHE_S`."""
        self._chains.forget(tenant, account)

    async def chain(self, tenant: str, account: str) -> tuple[Account, ...]:
        """An account and its organisation, for the roles that people have there."""
        chain = self._chains.get(tenant, account)
        if chain is None:
            chain = await self._accounts.chain(tenant, account)
            if chain:
                self._chains.put(tenant, account, chain)
        return chain


class _Memory(Generic[T]):
    """What was found, by tenant and name, for so long."""

    def __init__(self, seconds: float = float("inf")) -> None:
        self._seconds = seconds
        self._known: dict[tuple[str, str], tuple[float, T]] = {}

    def get(self, tenant: str, name: str) -> T | None:
        until, value = self._known.get((tenant, name), (0.0, None))
        return value if time.monotonic() < until else None

    def forget(self, tenant: str, name: str) -> None:
        self._known.pop((tenant, name), None)

    def put(self, tenant: str, name: str, value: T) -> None:
        if len(self._known) >= REMEMBERED_MAX:
            self._known.clear()
        self._known[tenant, name] = time.monotonic() + self._seconds, value
