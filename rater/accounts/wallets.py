"""Which account a wallet belongs to: the one that claimed it, for ever; else the account of its own name.

    accounts:<tenant>:wallet:<wallet>     the account that claimed it
    accounts:<tenant>:wallets:<account>   names that may be its wallets, in order

A claim is one atomic step, so a wallet has one account. The list is written before it: a crash between leaves a name in
the list that readers leave out, and the repeat finishes it. An open wallet is made first and claimed then: a crash
between leaves an empty wallet that is nobody's, until the repeat.
"""

from __future__ import annotations

from typing import Any

import msgspec

from rater.accounts.book import Accounts
from rater.accounts.model import Account
from rater.accounts.roles import MANAGERS, Actor, refusal
from rater.errors import AccountError
from rater.wallet.command import carry_out
from rater.wallet.keys import values_of
from rater.wallet.states import WalletState
from rater.wallet.store import WalletStore
from schemas.commands import WalletCommand


class AccountWallets:
    """Claims wallets, opens them for accounts, and says whose a wallet is."""

    def __init__(self, redis: Any, store: WalletStore, accounts: Accounts) -> None:
        self._redis = redis
        self._store = store
        self._accounts = accounts

    async def claimed_by(self, tenant: str, wallet: str) -> str:
        """The account that claimed a wallet; empty if none did."""
        name = await self._redis.get(_claim(tenant, wallet))
        return name.decode() if name else ""

    async def account_of(self, tenant: str, wallet: str) -> str:
        """The name of the account a wallet belongs to, be there one of that name or not."""
        return await self.claimed_by(tenant, wallet) or wallet

    async def claim(self, tenant: str, name: str, wallet: str, actor: Actor) -> tuple[WalletState, bool]:
        """Say that an existing wallet is this account's; answers it, and whether it was before.

        Raises:
            AccountError: it cannot be; says why.
        """
        account = await self._accounts.open_one(tenant, name)
        if not actor.is_operator:
            raise AccountError("not-allowed", "wallet", "only the operator may say whose a wallet is that is there")
        state = await self._store.wallet(tenant, wallet) if "/" not in wallet else None
        if state is None:
            raise AccountError("not-found", "wallet", f"{tenant} has no wallet {wallet}")
        _check_currency(account, state.currency)
        return state, await self._claim(account, wallet)

    async def open(
        self, tenant: str, name: str, wallet: str, currency: str, actor: Actor, *, source: str, change_id: str,
        now_ms: int,
    ) -> tuple[WalletState, bool]:  # fmt: skip
        """Open an empty wallet for an account; answers it, and whether it was opened before under this id.

        Raises:
            AccountError: it cannot be; says why, and who may.
            WalletError: there is such a wallet, or the id was used for something else.
        """
        account = await self._accounts.open_one(tenant, name)
        chain = await self._accounts.chain(tenant, name)
        if refused := refusal(chain, actor, MANAGERS, f"open a wallet for {name}"):
            raise AccountError("not-allowed", "account", refused)
        _check_currency(account, currency or account.currency)
        await self._check_name(account, wallet)
        content = {"tenant": tenant, "source": source, "id": change_id, "wallet": wallet, "kind": "create"}
        command = msgspec.convert(content | {"currency": account.currency, "amount": "0"}, WalletCommand)
        decision = await carry_out(self._store, command, now_ms=now_ms)
        await self._claim(account, wallet)
        state = await self._store.wallet(tenant, wallet)
        assert state is not None, "a wallet that was opened exists"
        return state, decision.known

    async def _claim(self, account: Account, wallet: str) -> bool:
        """Whether it was the account's before."""
        await self._check_name(account, wallet)
        await self._redis.zadd(_list(account.tenant, account.name), {wallet: 0})
        key, mine = _claim(account.tenant, wallet), account.name.encode()
        if await self._store.replace(key, b"", mine):
            return False
        holder = await self.claimed_by(account.tenant, wallet)
        if holder != account.name:
            raise AccountError("conflict", "wallet", f"{wallet} belongs to the account {holder}")
        return True

    async def _check_name(self, account: Account, wallet: str) -> None:
        if wallet != account.name and await self._accounts.get(account.tenant, wallet) is not None:
            raise AccountError("conflict", "wallet", f"the wallet {wallet} is that of the account of this name")

    async def page(self, tenant: str, name: str, after: str, limit: int) -> list[str]:
        """The wallets of an account, in order of their names."""
        found: list[str] = []
        if not after or after < name:  # the wallet of its own name need not be in the list
            found += await self._own(tenant, name)
        while True:
            start = f"({after}" if after else "-"
            listed = await self._redis.zrangebylex(_list(tenant, name), start, "+", start=0, num=limit)
            if not listed:
                break
            after = listed[-1].decode()
            names = [wallet.decode() for wallet in listed if wallet.decode() != name]
            holders = await values_of(self._redis, [_claim(tenant, wallet) for wallet in names])
            found += [wallet for wallet, holder in zip(names, holders, strict=True) if holder == name.encode()]
            if len(found) > limit:
                break
        return sorted(found, key=str.encode)[:limit]

    async def _own(self, tenant: str, name: str) -> list[str]:
        is_there = await self._store.wallet(tenant, name) is not None
        return [name] if is_there and await self.account_of(tenant, name) == name else []


def _check_currency(account: Account, currency: str) -> None:
    if currency != account.currency:
        raise AccountError("conflict", "currency", f"{account.name} is billed in {account.currency}, not {currency}")


def _claim(tenant: str, wallet: str) -> str:
    return f"accounts:{tenant}:wallet:{wallet}"


def _list(tenant: str, name: str) -> str:
    return f"accounts:{tenant}:wallets:{name}"
