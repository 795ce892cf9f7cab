"""Accounts: made, changed, closed and looked at; who may act for them. Their wallets: streams/http/account_wallets.py.

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
from rater.payments.auto_refill import auto_refills
from streams.http.endpoint import Call, Endpoint, NoForm
from streams.http.forms_accounts import (
    AccountChange,
    AccountOut,
    AccountsOut,
    NewAccount,
    OwnerForm,
    PaymentDetailsForm,
    RoleForm,
    RolesOut,
    account_out,
)
from streams.http.paging import PageQuery, cursor_of, place_of
from streams.http.problems import Problem, of_account, of_wallet
from streams.http.wallets import SOURCE
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
        await reach_account(call, form.parent, "parent")
    wanted = Account(
        call.tenant, form.account, form.kind, form.owner, form.currency, form.country, Step("", "", "", 0), form.parent,
        form.display_name, form.zone,
    )  # fmt: skip
    step = step_of(change_id_of(call), wanted, call.actor, call.desk.now_ms)
    await claim(call)
    creation = parts_of(call).accounts.create(msgspec.structs.replace(wanted, last=step), call.actor)
    made, known = await told(creation)
    return account_out(made, repeated=known)


async def page(call: Call[NoForm]) -> AccountsOut:
    """The accounts that the key reaches, and the person may see."""
    accounts, limit = parts_of(call).accounts, call.query.limit
    organisation, after = call.query.organisation or call.key.account, place_of(call.query.cursor, str) or ""
    if organisation:
        own = await get_account(call, organisation)
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
    return account_out(await get_account(call, call.path["account"]))


async def change(call: Call[AccountChange]) -> AccountOut:
    """Change what an account says of itself."""
    return await _change(call, Details(call.form.display_name, call.form.zone, call.form.country))


async def close(call: Call[NoForm]) -> AccountOut:
    """Close an account."""
    name = call.path["account"]
    await reach_account(call, name)
    await claim(call)
    parts = parts_of(call)
    closing = close_account(
        parts.accounts, parts.account_wallets, parts.store, auto_refills(parts.redis, parts.store), call.tenant, name,
        call.actor, change_id=change_id_of(call), now_ms=call.desk.now_ms,
    )  # fmt: skip
    closed, known = await told(closing)
    return account_out(closed, repeated=known)


async def payment_details(call: Call[PaymentDetailsForm]) -> AccountOut:
    """Say whether payment details are there; who would be billed does not say so by hand."""
    await reach_account(call, call.path["account"])
    if not call.actor.is_operator:
        raise Problem("not-allowed", "only the operator may say whether payment details are there", "account")
    return await _change(call, PaymentDetails(call.form.present))


async def roles(call: Call[NoForm]) -> RolesOut:
    """Who may act for an account."""
    account = await get_account(call, call.path["account"])
    above = await parts_of(call).accounts.get(call.tenant, account.parent) if account.parent else None
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


async def _change(call: Call[Any], wanted: Change) -> AccountOut:
    name = call.path["account"]
    await reach_account(call, name)
    await claim(call)
    changing = parts_of(call).accounts.change(
        call.tenant, name, wanted, call.actor, change_id=change_id_of(call), now_ms=call.desk.now_ms
    )
    changed, known = await told(changing)
    call.desk.reach.forget(call.tenant, name)
    return account_out(changed, repeated=known)


async def reach_account(call: Call[Any], name: str, field: str = "") -> None:
    """Refuse an account that the key does not reach, as if it did not exist; roles are looked at by the command."""
    if not await call.desk.reach.covers(call.key, call.tenant, name):
        raise Problem("not-found", f"{call.tenant} has no account {name}", field)


async def get_account(call: Call[Any], name: str) -> Account:
    """An account that the key reaches and the person may read."""
    await reach_account(call, name)
    chain = await parts_of(call).accounts.chain(call.tenant, name)
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


async def claim(call: Call[Any]) -> None:
    """Note what the call's Idempotency-Key is for; another call with it is refused."""
    await call.desk.claims.claim(call.tenant, call.idempotency_key, call.subject, call.form)


async def told(command: Awaitable[T]) -> T:
    """What a command answers, its refusal as a problem."""
    try:
        return await command
    except AccountError as error:
        raise of_account(error) from error
    except WalletError as error:
        raise of_wallet(error) from error


def change_id_of(call: Call[Any]) -> str:
    """The id a change is made under once."""
    return f"{SOURCE}/{call.idempotency_key}"


def parts_of(call: Call[Any]) -> Parts:
    """Where accounts are kept."""
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
)  # fmt: skip
