"""`rater sim`: add, move and look at SIMs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import msgspec
import orjson

from rater.catalogue import Catalogue
from rater.cli.context import with_parts
from rater.errors import PlanError, WalletError
from rater.settings import Settings
from rater.subscriber import Assignment, Subscriber
from rater.subscriptions import Subscriptions
from rater.wallet.keys import document_key

tenant_option = click.option("--tenant", required=True, help="Whose SIM it is.")
from_option = click.option("--from", "from_text", default="", help="From when on, RFC 3339 with zone; now if left out.")
#: A SIM that is added pays from the beginning of time, unless said otherwise: its usage may be older than its entry.
for_ever_option = click.option("--from", "from_text", default="1970-01-01T00:00:00Z", help="From when on; for ever.")


@click.group()
def sim() -> None:
    """Add, move and look at SIMs."""


def _instant_ms(text: str, now_ms: int) -> int:
    if not text:
        return now_ms
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise WalletError(f'from: "{text}" is no time such as 2026-11-01T00:00:00Z') from error
    if instant.tzinfo is None:
        raise WalletError(f'from: "{text}" needs its zone: {text}Z is UTC')
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


async def _zone(parts: Any, tenant: str, account: str) -> str:
    """The clock of an account's periods; empty where none of that name was made, for the plan's."""
    found = await parts.accounts.get(tenant, account)
    return found.zone if found else ""


def _catalogue_with(parts: Any, plan: str, currency: str) -> Catalogue:
    """The catalogue, if a SIM whose wallet is in a currency can have the plan."""
    catalogue = Catalogue.load(Path(parts.settings.engine.catalogue))
    try:
        catalogue.check_assignable(plan, currency, parts.clock_ms())
    except PlanError as error:
        raise WalletError(f"{error.field}: {error}") from error
    return catalogue


async def _begin(parts: Any, catalogue: Catalogue, subscriber: Subscriber) -> None:
    """Let the assigned plan begin, now or when it is time."""
    await Subscriptions(parts.store, catalogue).begin_assigned(subscriber, parts.timers, now_ms=parts.clock_ms())


@sim.command()
@tenant_option
@click.argument("name")
@click.option("--wallet", required=True, help="Which wallet pays.")
@click.option("--plan", required=True, help="By which terms.")
@click.option("--account", default="", help="Whose invoice; the wallet's account if left out.")
@click.option("--iccid", default="")
@click.option("--imsi", default="")
@click.option("--msisdn", default="")
@for_ever_option
@click.pass_obj
def add(
    settings: Settings, tenant: str, name: str, wallet: str, plan: str, account: str, iccid: str, imsi: str,
    msisdn: str, from_text: str,
) -> None:  # fmt: skip
    """Make SIM NAME known; usage may call it by NAME, ICCID, IMSI or MSISDN."""

    async def act(parts: Any) -> None:
        state = await parts.store.wallet(tenant, wallet)
        if state is None:
            raise WalletError(f"wallet: {tenant} has no wallet {wallet}")
        if await parts.directory.get(tenant, name) is not None:
            raise WalletError(f"sim: {name} is known; `rater sim move` gives it another wallet or plan")
        catalogue = _catalogue_with(parts, plan, state.currency)
        from_ms = _instant_ms(from_text, parts.clock_ms())
        payer = account or await parts.account_wallets.account_of(tenant, wallet)
        zone = await _zone(parts, tenant, payer)
        assignment = Assignment(from_ms, wallet, payer, plan, state.currency, zone)
        subscriber = Subscriber(tenant, name, 1, (assignment,), iccid, imsi, msisdn)
        await parts.directory.add([subscriber], now_ms=parts.clock_ms())
        await _begin(parts, catalogue, subscriber)

    with_parts(settings, act)
    click.echo(f"{tenant}/{name} pays from {wallet} by {plan}")


@sim.command()
@tenant_option
@click.argument("name")
@click.option("--wallet", help="The new wallet; the present one if left out.")
@click.option("--plan", help="The new plan; the present one if left out.")
@click.option("--account", help="The new account; the present one if left out.")
@from_option
@click.pass_obj
def move(
    settings: Settings, tenant: str, name: str, wallet: str | None, plan: str | None, account: str | None,
    from_text: str,
) -> None:  # fmt: skip
    """Give SIM NAME another wallet or plan; usage before --from stays with the old one. Safe to repeat."""

    async def act(parts: Any) -> Subscriber:
        found = await parts.directory.get(tenant, name)
        if found is None:
            raise WalletError(f"sim: {tenant} has no SIM {name}")
        last = found.assignments[-1]
        state = await parts.store.wallet(tenant, wallet or last.wallet)
        if state is None:
            raise WalletError(f"wallet: {tenant} has no wallet {wallet}")
        catalogue = _catalogue_with(parts, plan or last.plan, state.currency)
        from_ms = _instant_ms(from_text, parts.clock_ms())
        present = last.account
        if present == last.wallet:  # whoever claimed that wallet since
            present = await parts.account_wallets.account_of(tenant, last.wallet)
        payer, zone = account or present, last.zone
        if payer != present:
            zone = await _zone(parts, tenant, payer)
        assignment = Assignment(from_ms, wallet or last.wallet, payer, plan or last.plan, state.currency, zone)
        await Subscriptions(parts.store, catalogue).check_move(found, assignment)
        moved: Subscriber = await parts.directory.move(tenant, name, assignment, now_ms=parts.clock_ms())
        await _begin(parts, catalogue, moved)
        return moved

    moved = with_parts(settings, act)
    click.echo(f"{tenant}/{name} pays from {moved.assignments[-1].wallet} by {moved.assignments[-1].plan}")


@sim.command()
@tenant_option
@click.argument("name")
@click.pass_obj
def show(settings: Settings, tenant: str, name: str) -> None:
    """Show SIM NAME: identifiers, assignments, holds, counters, subscription; one JSON object."""

    async def act(parts: Any) -> dict[str, Any]:
        found = await parts.directory.get(tenant, name)
        if found is None:
            raise WalletError(f"sim: {tenant} has no SIM {name}")
        wallet = parts.store.wallet_ref(tenant, found.assignments[-1].wallet)
        member = await parts.store.member(tenant, wallet.name, name)
        (document,) = await parts.store.documents([document_key(parts.store.member_key(wallet, name))])
        return {
            "tenant": tenant, "sim": name, "version": found.version, "iccid": found.iccid, "imsi": found.imsi,
            "msisdn": found.msisdn, "assignments": found.assignments,
            "holds": member.holds if member else None, "counters": member.counters if member else None,
            "subscription": orjson.loads(document) if document else None,
        }  # fmt: skip

    click.echo(orjson.dumps(msgspec.to_builtins(with_parts(settings, act)), option=orjson.OPT_INDENT_2))
