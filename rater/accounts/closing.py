"""Closing an account: nothing of it is changed any more. Refused while somebody still depends on it.

What stands in the way is looked at before the account is closed, not in the same step: a SIM that is given to one of
its wallets in between goes on being charged there, as usage asks the wallet and not the account.
"""

from __future__ import annotations

from rater.accounts.book import Accounts
from rater.accounts.changes import Close
from rater.accounts.model import Account
from rater.accounts.roles import Actor
from rater.accounts.wallets import AccountWallets
from rater.documents import Documents
from rater.errors import AccountError
from rater.money import format_nanos
from rater.payments.auto_refill import WalletAutoRefill
from rater.wallet.store import WalletStore

_PAGE = 1000


async def close(
    accounts: Accounts, wallets: AccountWallets, store: WalletStore, refills: Documents[WalletAutoRefill], tenant: str,
    name: str, actor: Actor, *, change_id: str, now_ms: int,
) -> tuple[Account, bool]:  # fmt: skip
    """Close an account that has no open company, no money and no SIM, and is not refilled by itself.

    Answers whether it was closed so before.

    Raises:
        AccountError: what stands in the way, or who may.
    """
    account = await accounts.get(tenant, name)
    if account is not None and not account.closed:
        await _check_companies(accounts, account)
        await _check_wallets(wallets, store, refills, account)
    return await accounts.change(tenant, name, Close(), actor, change_id=change_id, now_ms=now_ms)


async def _check_companies(accounts: Accounts, account: Account) -> None:
    after = ""
    while account.kind == "organisation":
        family = await accounts.page(account.tenant, account.name, after, _PAGE)
        for found in family:
            if found.parent and not found.closed:
                raise AccountError("conflict", "account", f"{account.name} has an open company, {found.name}")
        if not family:
            break
        after = family[-1].name


async def _check_wallets(
    wallets: AccountWallets, store: WalletStore, refills: Documents[WalletAutoRefill], account: Account
) -> None:
    after = ""
    while names := await wallets.page(account.tenant, account.name, after, _PAGE):
        for wallet in names:
            await _check_wallet(store, account, wallet)
        # A card would be charged for an account that is closed, days after: when a cap or a back-off is over.
        for found in await refills.many(account.tenant, names):
            if found.may_ask:
                what = f"wallet {found.wallet} of {account.name} is refilled by itself; disable its auto-refill first"
                raise AccountError("conflict", "account", what)
        after = names[-1]


async def _check_wallet(store: WalletStore, account: Account, wallet: str) -> None:
    state = await store.wallet(account.tenant, wallet)
    if state is not None and state.balance_nanos:
        left = f"{format_nanos(state.balance_nanos)} {state.currency}"
        raise AccountError("conflict", "account", f"wallet {wallet} of {account.name} stands at {left}, not 0")
    async for sim in store.members(account.tenant, wallet, 1):
        raise AccountError("conflict", "account", f"wallet {wallet} of {account.name} pays for SIM {sim}")
