"""Accounts: made, changed, closed and looked at; who may act for them; their wallets.

What a person may is decided where an account is changed (rater/accounts), from what stands there at that moment.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

import msgspec

from rater.accounts.book import step_of
from rater.accounts.changes import Change, Details, GiveRole, PaymentDetails, TakeRole, Transfer
from rater.accounts.closing import close as close_account
from rater.accounts.model import Account, Step
from rater.accounts.roles import ROLES, refusal, role_in
from rater.errors import AccountError, WalletError
from rater.geo.codes import is_currency
from rater.payments.auto_refill import auto_refills
from rater.wallet.store import WalletState
from streams.http.endpoint import Call, Endpoint, NoForm
from streams.http.forms_accounts import (
    AccountChange,
    AccountOut,
    AccountsOut,
    AccountWallet,
    AccountWalletOut,
    NewAccount,
    OwnerForm,
    PaymentDetailsForm,
    RoleForm,
    RolesOut,
    WalletNames,
    account_out,
)
from streams.http.paging import PageQuery, cursor_of, place_of
from streams.http.problems import Problem, of_account, of_wallet
from streams.http.wallets import SOURCE, find, shown
from streams.parts import Parts

T = TypeVar("T")


class AccountsQuery(PageQuery, frozen=True, forbid_unknown_fields=True):
    """Which accounts."""

    #: An organisation: itself and its companies only.
    organisation: str = ""


async def create(call: Call[NewAccount]) -> AccountOut:
    """Make an account."""
    form = call.form
    if form.parent:
        await _reach(call, form.parent, "parent")
    wanted = Account(
        call.tenant, form.account, form.kind, form.owner, form.currency, form.country, Step("", "", "", 0), form.parent,
        form.display_name, form.zone,
    )  # fmt: skip
    step = step_of(_change_id(call), wanted, call.actor, call.desk.now_ms)
    await _claim(call)
    creation = _parts(call).accounts.create(msgspec.structs.replace(wanted, last=step), call.actor)
    made, known = await _told(creation)
    return account_out(made, repeated=known)


async def page(call: Call[NoForm]) -> AccountsOut:
    """The accounts that the key reaches, and the person may see."""
    accounts, limit = _parts(call).accounts, call.query.limit
    organisation, after = call.query.organisation or call.key.account, place_of(call.query.cursor, str) or ""
    if organisation:
        own = await _get(call, organisation)
        if own.kind == "company":
            return AccountsOut([account_out(own)] if not after else [], "")
    found: list[Account] = []
    while len(found) <= limit and (more := await accounts.page(call.tenant, organisation, after, limit + 1)):
        found += [account for account in more if await _may_read(call, account)]
        after = more[-1].name
    names = [account_out(account) for account in found[:limit]]
    return AccountsOut(names, cursor_of(names[-1].account) if len(found) > limit else "")


async def show(call: Call[NoForm]) -> AccountOut:
    """One account."""
    return account_out(await _get(call, call.path["account"]))


async def change(call: Call[AccountChange]) -> AccountOut:
    """Change what an account says of itself."""
    return await _change(call, Details(call.form.display_name, call.form.zone, call.form.country))


async def close(call: Call[NoForm]) -> AccountOut:
    """Close an account."""
    name = call.path["account"]
    await _reach(call, name)
    await _claim(call)
    parts = _parts(call)
    closing = close_account(
        parts.accounts, parts.account_wallets, parts.store, auto_refills(parts.redis, parts.store), call.tenant, name,
        call.actor, change_id=_change_id(call), now_ms=call.desk.now_ms,
    )  # fmt: skip
    closed, known = await _told(closing)
    return account_out(closed, repeated=known)


async def payment_details(call: Call[PaymentDetailsForm]) -> AccountOut:
    """Say whether payment details are there; who would be billed does not say so by hand."""
    await _reach(call, call.path["account"])
    if not call.actor.is_operator:
        raise Problem("not-allowed", "only the operator may say whether payment details are there", "account")
    return await _change(call, PaymentDetails(call.form.present))


async def roles(call: Call[NoForm]) -> RolesOut:
    """Who may act for an account."""
    account = await _get(call, call.path["account"])
    above = await _parts(call).accounts.get(call.tenant, account.parent) if account.parent else None
    people = {user: role for user in (account.owner, *account.roles) if (role := role_in(account, user))}
    return RolesOut(account.name, people, {above.owner: "owner", **above.roles} if above else {})


async def give_role(call: Call[RoleForm]) -> AccountOut:
    """Make a person manager or reader."""
    return await _change(call, GiveRole(call.path["user"], call.form.role))


async def take_role(call: Call[NoForm]) -> AccountOut:
    """Take a person's role."""
    return await _change(call, TakeRole(call.path["user"]))


async def transfer(call: Call[OwnerForm]) -> AccountOut:
    """Give an account another owner."""
    return await _change(call, Transfer(call.form.owner))


async def wallets(call: Call[NoForm]) -> WalletNames:
    """The wallets of an account."""
    account = await _get(call, call.path["account"])
    after, limit = place_of(call.query.cursor, str) or "", call.query.limit
    names = await _parts(call).account_wallets.page(call.tenant, account.name, after, limit + 1)
    return WalletNames(names[:limit], cursor_of(names[limit - 1]) if len(names) > limit else "")


async def open_wallet(call: Call[AccountWallet]) -> AccountWalletOut:
    """Open a wallet for an account."""
    name, form, parts = call.path["account"], call.form, _parts(call)
    currency = form.currency if isinstance(form.currency, str) else ""
    if currency and not is_currency(currency):
        raise Problem("invalid", f"{currency} is no ISO 4217 code such as EUR", "currency")
    await _reach(call, name)
    await _claim(call)
    opening = parts.account_wallets.open(
        call.tenant, name, form.wallet, currency, call.actor, source=SOURCE, change_id=call.idempotency_key,
        now_ms=call.desk.now_ms,
    )  # fmt: skip
    return _owned(call, name, *await _told(opening))


async def claim_wallet(call: Call[NoForm]) -> AccountWalletOut:
    """Say that a wallet which is there belongs to an account."""
    name, wallet = call.path["account"], call.path["wallet"]
    await _reach(call, name)
    await find(call, wallet)
    await _claim(call)
    return _owned(call, name, *await _told(_parts(call).account_wallets.claim(call.tenant, name, wallet, call.actor)))


def _owned(call: Call[Any], name: str, state: WalletState, known: bool) -> AccountWalletOut:
    call.desk.reach.learn(call.tenant, state.wallet, name)
    call.desk.engine.publisher.wake()
    return AccountWalletOut(name, shown(state), known)


async def _change(call: Call[Any], wanted: Change) -> AccountOut:
    name = call.path["account"]
    await _reach(call, name)
    await _claim(call)
    changing = _parts(call).accounts.change(
        call.tenant, name, wanted, call.actor, change_id=_change_id(call), now_ms=call.desk.now_ms
    )
    changed, known = await _told(changing)
    call.desk.reach.forget(call.tenant, name)
    return account_out(changed, repeated=known)


async def _reach(call: Call[Any], name: str, field: str = "") -> None:
    """Refuse an account that the key does not reach, as if it did not exist; roles are looked at by the command."""
    if not await call.desk.reach.covers(call.key, call.tenant, name):
        raise Problem("not-found", f"{call.tenant} has no account {name}", field)


async def _get(call: Call[Any], name: str) -> Account:
    """An account that the key reaches and the person may read."""
    await _reach(call, name)
    chain = await _parts(call).accounts.chain(call.tenant, name)
    if not chain:
        raise Problem("not-found", f"{call.tenant} has no account {name}")
    if call.actor.user and (refused := refusal(chain, call.actor, ROLES, f"read {name}")):
        raise Problem("not-allowed", refused)
    return chain[0]


async def _may_read(call: Call[Any], account: Account) -> bool:
    if not call.actor.user or role_in(account, call.actor.user):
        return True
    above = await call.desk.reach.chain(call.tenant, account.parent) if account.parent else ()
    return any(role_in(organisation, call.actor.user) for organisation in above)


async def _claim(call: Call[Any]) -> None:
    await call.desk.claims.claim(call.tenant, call.idempotency_key, call.subject, call.form)


async def _told(command: Awaitable[T]) -> T:
    try:
        return await command
    except AccountError as error:
        raise of_account(error) from error
    except WalletError as error:
        raise of_wallet(error) from error


def _change_id(call: Call[Any]) -> str:
    return f"{SOURCE}/{call.idempotency_key}"


def _parts(call: Call[Any]) -> Parts:
    return call.desk.engine.parts


_ONE = "/v1/accounts/{account}"
ENDPOINTS = (
    Endpoint(
        method="POST", path="/v1/accounts", handler=create, scope="manage", keyed=True, status=201, problems=(404,),
        summary="Make an organisation, or a company of one", form=NewAccount, answer=AccountOut,
    ),
    Endpoint(
        method="GET", path="/v1/accounts", handler=page, scope="read", query=AccountsQuery, answer=AccountsOut,
        summary="The accounts within reach, by name", problems=(404,),
    ),
    Endpoint(
        method="GET", path=_ONE, handler=show, scope="read", summary="An account as it stands", answer=AccountOut,
        problems=(404,),
    ),
    Endpoint(
        method="PATCH", path=_ONE, handler=change, scope="manage", keyed=True, problems=(404,),
        summary="Change an account's zone, country or displayed name", form=AccountChange, answer=AccountOut,
    ),
    Endpoint(
        method="DELETE", path=_ONE, handler=close, scope="manage", keyed=True, problems=(404,),
        summary="Close an account; it must have no open company, no money and no SIM", answer=AccountOut,
    ),
    Endpoint(
        method="GET", path=f"{_ONE}/roles", handler=roles, scope="read", problems=(404,),
        summary="Who may act for an account", answer=RolesOut,
    ),
    Endpoint(
        method="PUT", path=f"{_ONE}/roles/{{user}}", handler=give_role, scope="manage", keyed=True, problems=(404,),
        summary="Make a person manager or reader", form=RoleForm, answer=AccountOut,
    ),
    Endpoint(
        method="DELETE", path=f"{_ONE}/roles/{{user}}", handler=take_role, scope="manage", keyed=True, problems=(404,),
        summary="Take a person's role", answer=AccountOut,
    ),
    Endpoint(
        method="PUT", path=f"{_ONE}/owner", handler=transfer, scope="manage", keyed=True, problems=(404,),
        summary="Give an account another owner; the old one becomes a manager", form=OwnerForm, answer=AccountOut,
    ),
    Endpoint(
        method="PUT", path=f"{_ONE}/payment-details", handler=payment_details, scope="manage", keyed=True, roles=(),
        summary="Say whether payment details are there", form=PaymentDetailsForm, answer=AccountOut, problems=(404,),
    ),
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
