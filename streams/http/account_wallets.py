"""The wallets of an account: listed, opened, and claimed where one is there already."""

from __future__ import annotations

from typing import Any

from rater.geo.codes import is_currency
from rater.wallet.states import WalletState
from streams.http.accounts import claim, get_account, parts_of, reach_account, told
from streams.http.endpoint import Call, Endpoint, NoForm
from streams.http.forms_accounts import AccountWallet, AccountWalletOut, WalletNames
from streams.http.paging import PageQuery, cursor_of, place_of
from streams.http.problems import Problem
from streams.http.wallets import SOURCE, find, shown


async def wallets(call: Call[NoForm]) -> WalletNames:
    """The wallets of an account."""
    account = await get_account(call, call.path["account"])
    after, limit = place_of(call.query.cursor, str) or "", call.query.limit
    names = await parts_of(call).account_wallets.page(call.tenant, account.name, after, limit + 1)
    return WalletNames(names[:limit], cursor_of(names[limit - 1]) if len(names) > limit else "")


async def open_wallet(call: Call[AccountWallet]) -> AccountWalletOut:
    """Open a wallet for an account."""
    name, form, parts = call.path["account"], call.form, parts_of(call)
    if isinstance(form.currency, str) and not is_currency(form.currency):
        raise Problem("invalid", f'"{form.currency}" is no ISO 4217 code such as EUR', "currency")
    currency = form.currency if isinstance(form.currency, str) else ""  # the account's
    await reach_account(call, name)
    await claim(call)
    opening = parts.account_wallets.open(
        call.tenant, name, form.wallet, currency, call.actor, source=SOURCE, change_id=call.idempotency_key,
        now_ms=call.desk.now_ms,
    )  # fmt: skip
    return _owned(call, name, *await told(opening))


async def claim_wallet(call: Call[NoForm]) -> AccountWalletOut:
    """Say that a wallet which is there belongs to an account."""
    name, wallet = call.path["account"], call.path["wallet"]
    await reach_account(call, name)
    await find(call, wallet)
    await claim(call)
    return _owned(call, name, *await told(parts_of(call).account_wallets.claim(call.tenant, name, wallet, call.actor)))


def _owned(call: Call[Any], name: str, state: WalletState, known: bool) -> AccountWalletOut:
    call.desk.reach.learn(call.tenant, state.wallet, name)
    call.desk.engine.publisher.wake()
    return AccountWalletOut(name, shown(state), known)


_ONE = "/v1/accounts/{account}"
ENDPOINTS = (
    Endpoint(
        method="GET", path=f"{_ONE}/wallets", handler=wallets, scope="read", query=PageQuery, problems=(404,),
        summary="The wallets of an account, by name", answer=WalletNames,
    ),
    Endpoint(
        method="POST", path=f"{_ONE}/wallets", handler=open_wallet, scope="manage", keyed=True, status=201,
        summary="Open an empty wallet for an account", form=AccountWallet, answer=AccountWalletOut, problems=(404,),
    ),
    Endpoint(
        method="PUT", path=f"{_ONE}/wallets/{{wallet}}", handler=claim_wallet, scope="manage", keyed=True, roles=(),
        summary="Say that a wallet which is there belongs to an account", answer=AccountWalletOut, problems=(404,),
    ),
)  # fmt: skip
