"""Accounts as tests make them."""

from __future__ import annotations

from typing import Any

import msgspec

from rater.accounts.book import Accounts, step_of
from rater.accounts.changes import Change
from rater.accounts.model import Account, Step
from rater.accounts.roles import OPERATOR, Actor
from rater.accounts.wallets import AccountWallets
from rater.directory import Directory
from rater.wallet.command import carry_out
from rater.wallet.store import WalletStore
from schemas.commands import WalletCommand
from tests.rater.wallet.building import NOW_MS


class Book:
    """The accounts of tenant "t", and what a test does with them."""

    def __init__(self, redis: Any, store: WalletStore) -> None:
        self.redis = redis
        self.store = store
        self.directory = Directory(redis, store)
        self.accounts = Accounts(redis, store, self.directory)
        self.wallets = AccountWallets(redis, store, self.accounts)

    async def make(
        self,
        name: str,
        parent: str = "",
        owner: str = "alice",
        actor: Actor = OPERATOR,
        make_id: str = "",
        **fields: Any,
    ) -> tuple[Account, bool]:
        kind: Any = "company" if parent else "organisation"
        wanted = Account("t", name, kind, owner, "EUR", "DE", Step("", "", "", 0), parent)
        wanted = msgspec.structs.replace(wanted, **fields)
        step = step_of(make_id or f"make-{name}", wanted, actor, NOW_MS)
        return await self.accounts.create(msgspec.structs.replace(wanted, last=step), actor)

    async def change(self, name: str, change: Change, change_id: str, actor: Actor = OPERATOR) -> tuple[Account, bool]:
        return await self.accounts.change("t", name, change, actor, change_id=change_id, now_ms=NOW_MS)

    async def get(self, name: str) -> Account:
        found = await self.accounts.get("t", name)
        assert found is not None
        return found

    async def wallet(self, name: str, balance: str = "0", currency: str = "EUR") -> None:
        command = WalletCommand("t", "test", f"c-{name}", name, "create", amount=balance, currency=currency)
        await carry_out(self.store, command, now_ms=NOW_MS)
