"""`rater account`: organisations, companies, their people and wallets. Whoever may run it acts as the operator."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import click
import msgspec
import orjson

from rater.accounts.book import step_of
from rater.accounts.changes import Change, Details, GiveRole, TakeRole, Transfer
from rater.accounts.closing import close as close_account
from rater.accounts.model import Account, GivenRole, Step
from rater.accounts.roles import OPERATOR, Actor, role_in
from rater.cli.context import with_parts
from rater.errors import AccountError
from rater.payments.auto_refill import auto_refills
from rater.settings import Settings

#: `source` of what is typed here.
SOURCE = "command-line"
_PAGE = 1000

tenant_option = click.option("--tenant", required=True, help="Whose account it is.")
id_option = click.option("--id", "change_id", help="Idempotency key; made up if left out.")
as_option = click.option("--as", "user", default="", help="Act for this person, by their role, not as the operator.")


@click.group()
def account() -> None:
    """Organisations and their companies: who owns them, who may act for them, their wallets."""


def _actor(user: str) -> Actor:
    return Actor(user) if user else OPERATOR


def _run(settings: Settings, act: Callable[[Any], Awaitable[tuple[Account, bool]]]) -> None:
    """Carry out a change and show the account after it."""
    changed, known = with_parts(settings, act)
    if known:
        click.echo("done before, nothing changed")
    click.echo(_describe(changed))


def _describe(found: Account) -> str:
    of = f" of {found.parent}" if found.parent else ""
    closed = "  closed" if found.closed else ""
    return (
        f"{found.tenant}/{found.name}  {found.kind}{of}, owner {found.owner}, "
        f"{found.currency} {found.country} {found.zone}{closed}"
    )


@account.command()
@tenant_option
@click.argument("name")
@click.option("--organisation", "parent", default="", help="Makes a company of it; left out: an organisation.")
@click.option("--owner", required=True, help="The person who owns it.")
@click.option("--currency", required=True, help="ISO 4217, such as EUR; for ever.")
@click.option("--country", required=True, help="Of its VAT, ISO 3166, such as DE.")
@click.option("--zone", default="UTC", show_default=True, help="Of its billing periods, IANA.")
@click.option("--display-name", default="", help="As people read it.")
@as_option
@click.pass_obj
def create(
    settings: Settings, tenant: str, name: str, parent: str, owner: str, currency: str, country: str, zone: str,
    display_name: str, user: str,
) -> None:  # fmt: skip
    """Make account NAME. Safe to repeat."""

    async def act(parts: Any) -> tuple[Account, bool]:
        kind = "company" if parent else "organisation"
        wanted = Account(tenant, name, kind, owner, currency, country, Step("", "", "", 0), parent, display_name, zone)  # type: ignore[arg-type]
        step = step_of(f"{SOURCE}/create", wanted, _actor(user), parts.clock_ms())
        made: tuple[Account, bool] = await parts.accounts.create(
            msgspec.structs.replace(wanted, last=step), _actor(user)
        )
        return made

    _run(settings, act)


def _change(settings: Settings, tenant: str, name: str, change_id: str | None, user: str, change: Change) -> None:
    async def act(parts: Any) -> tuple[Account, bool]:
        made: tuple[Account, bool] = await parts.accounts.change(
            tenant, name, change, _actor(user), change_id=_id(change_id), now_ms=parts.clock_ms()
        )
        return made

    _run(settings, act)


def _id(given: str | None) -> str:
    return f"{SOURCE}/{given or uuid.uuid4()}"


@account.command()
@tenant_option
@click.argument("name")
@click.option("--zone", help="Holds for periods that begin later.")
@click.option("--country")
@click.option("--display-name")
@id_option
@as_option
@click.pass_obj
def change(
    settings: Settings, tenant: str, name: str, zone: str | None, country: str | None, display_name: str | None,
    change_id: str | None, user: str,
) -> None:  # fmt: skip
    """Change what account NAME says of itself."""
    _change(settings, tenant, name, change_id, user, Details(display_name, zone, country))


@account.command("give-role")
@tenant_option
@click.argument("name")
@click.argument("person")
@click.argument("role", type=click.Choice(["manager", "reader"]))
@id_option
@as_option
@click.pass_obj
def give_role(
    settings: Settings, tenant: str, name: str, person: str, role: GivenRole, change_id: str | None, user: str
) -> None:
    """Make PERSON manager or reader of account NAME."""
    _change(settings, tenant, name, change_id, user, GiveRole(person, role))


@account.command("take-role")
@tenant_option
@click.argument("name")
@click.argument("person")
@id_option
@as_option
@click.pass_obj
def take_role(settings: Settings, tenant: str, name: str, person: str, change_id: str | None, user: str) -> None:
    """Take the role of PERSON in account NAME."""
    _change(settings, tenant, name, change_id, user, TakeRole(person))


@account.command()
@tenant_option
@click.argument("name")
@click.argument("owner")
@id_option
@as_option
@click.pass_obj
def transfer(settings: Settings, tenant: str, name: str, owner: str, change_id: str | None, user: str) -> None:
    """Make OWNER the owner of account NAME; the old one becomes a manager."""
    _change(settings, tenant, name, change_id, user, Transfer(owner))


@account.command()
@tenant_option
@click.argument("name")
@id_option
@as_option
@click.pass_obj
def close(settings: Settings, tenant: str, name: str, change_id: str | None, user: str) -> None:
    """Close account NAME; it must have no open company, no money, no SIM and no auto-refill."""

    async def act(parts: Any) -> tuple[Account, bool]:
        return await close_account(
            parts.accounts, parts.account_wallets, parts.store, auto_refills(parts.redis, parts.store), tenant, name,
            _actor(user), change_id=_id(change_id), now_ms=parts.clock_ms(),
        )  # fmt: skip

    _run(settings, act)


@account.command("open-wallet")
@tenant_option
@click.argument("name")
@click.argument("wallet")
@as_option
@click.pass_obj
def open_wallet(settings: Settings, tenant: str, name: str, wallet: str, user: str) -> None:
    """Open WALLET, empty, for account NAME, in its currency. Safe to repeat."""

    async def act(parts: Any) -> Any:
        return await parts.account_wallets.open(
            tenant, name, wallet, "", _actor(user), source=SOURCE, change_id=f"create-{wallet}", now_ms=parts.clock_ms()
        )

    state, known = with_parts(settings, act)
    click.echo(f"{tenant}/{wallet} in {state.currency} is {name}'s{', as it was' if known else ''}")


@account.command("claim-wallet")
@tenant_option
@click.argument("name")
@click.argument("wallet")
@click.pass_obj
def claim_wallet(settings: Settings, tenant: str, name: str, wallet: str) -> None:
    """Say that WALLET, which is there, belongs to account NAME, for ever. Safe to repeat."""
    _, known = with_parts(settings, lambda parts: parts.account_wallets.claim(tenant, name, wallet, OPERATOR))
    click.echo(f"{tenant}/{wallet} is {name}'s{', as it was' if known else ''}")


@account.command()
@tenant_option
@click.argument("name")
@click.pass_obj
def show(settings: Settings, tenant: str, name: str) -> None:
    """Show account NAME: its people, its wallets, its changes; one JSON object."""

    async def act(parts: Any) -> dict[str, Any]:
        found = await parts.accounts.get(tenant, name)
        if found is None:
            raise AccountError("not-found", "account", f"{tenant} has no account {name}")
        people = {user: role_in(found, user) for user in (found.owner, *found.roles)}
        wallets = await parts.account_wallets.page(tenant, name, "", _PAGE)
        steps = await parts.accounts.steps(tenant, name)
        shown = {
            field: value for field, value in msgspec.structs.asdict(found).items() if field not in _SHOWN_ELSEWHERE
        }
        changes = [{"version": step.version, "what": step.what, "by": step.by, "at_ms": step.at_ms} for step in steps]
        return shown | {"people": people, "wallets": wallets, "changes": changes}

    click.echo(orjson.dumps(with_parts(settings, act), option=orjson.OPT_INDENT_2))


_SHOWN_ELSEWHERE = ("owner", "roles", "last")


@account.command("list")
@tenant_option
@click.option("--organisation", default="", help="Only this one and its companies.")
@click.pass_obj
def list_accounts(settings: Settings, tenant: str, organisation: str) -> None:
    """List accounts, a line each, by name."""

    async def act(parts: Any) -> list[Account]:
        found: list[Account] = []
        while page := await parts.accounts.page(tenant, organisation, found[-1].name if found else "", _PAGE):
            found += page
        return found

    for found in with_parts(settings, act):
        click.echo(_describe(found))
