"""`rater wallet`: create, top up, hold and look at wallets."""

from __future__ import annotations

import importlib
import uuid
from typing import Any

import click
import orjson

from rater.cli.context import with_parts
from rater.errors import WalletError
from rater.money import MoneyError, format_nanos
from rater.settings import Settings
from rater.wallet.command import carry_out
from rater.wallet.states import WalletState
from rater.wallet.transfer import Order
from schemas.commands import WalletCommand

#: `source` of what is typed here.
SOURCE = "command-line"

tenant_option = click.option("--tenant", required=True, help="Whose wallet it is.")
id_option = click.option("--id", "event_id", help="Idempotency key; made up if left out.")


@click.group()
def wallet() -> None:
    """Create, top up, hold and look at wallets. Amounts are exact decimals: 12.50."""


def _change(settings: Settings, event_id: str | None, **fields: Any) -> None:
    """Carry out a command and show the wallet after it."""
    command = WalletCommand(source=SOURCE, id=event_id or str(uuid.uuid4()), **fields)

    async def act(parts: Any) -> tuple[bool, WalletState]:
        try:
            decision = await carry_out(parts.store, command, now_ms=parts.clock_ms())
        except MoneyError as error:
            raise WalletError(f"amount: {error}") from error
        return decision.known, await parts.store.wallet(command.tenant, command.wallet)

    known, state = with_parts(settings, act)
    click.echo(f"{command.kind} {command.id}{': done before, nothing changed' if known else ''}")
    click.echo(_describe(state))


def _describe(state: WalletState) -> str:
    held = f"held ({', '.join(state.holds)})" if state.holds else "active"
    floor = f", floor {format_nanos(state.floor_nanos)}" if state.floor_nanos else ""
    return f"{state.tenant}/{state.wallet}  {format_nanos(state.balance_nanos)} {state.currency}{floor}  {held}"


@wallet.command()
@tenant_option
@click.argument("name")
@click.option("--currency", required=True, help="ISO 4217, such as EUR.")
@click.option("--balance", default="0", help="First balance.")
@click.option("--floor", default="0", help="How far it may go; a credit limit is negative.")
@click.pass_obj
def create(settings: Settings, tenant: str, name: str, currency: str, balance: str, floor: str) -> None:
    """Open wallet NAME."""
    fields = {"currency": currency, "amount": balance, "floor": floor}
    _change(settings, f"create-{name}", kind="create", tenant=tenant, wallet=name, **fields)


#: So that a negative amount is an amount and no option.
_AMOUNTS = {"ignore_unknown_options": True}


@wallet.command("top-up", context_settings=_AMOUNTS)
@tenant_option
@click.argument("name")
@click.argument("amount")
@id_option
@click.option("--note", default="", help="For the journal.")
@click.pass_obj
def top_up(settings: Settings, tenant: str, name: str, amount: str, event_id: str | None, note: str) -> None:
    """Add AMOUNT to wallet NAME; SIMs held for its balance resume."""
    _change(settings, event_id, kind="top-up", tenant=tenant, wallet=name, amount=amount, note=note)


@wallet.command(context_settings=_AMOUNTS)
@tenant_option
@click.argument("name")
@click.argument("floor")
@id_option
@click.pass_obj
def floor(settings: Settings, tenant: str, name: str, floor: str, event_id: str | None) -> None:
    """Move the floor of wallet NAME: -100 lets it go 100 below zero."""
    _change(settings, event_id, kind="floor", tenant=tenant, wallet=name, amount=floor)


@wallet.command(context_settings=_AMOUNTS)
@tenant_option
@click.argument("from_wallet")
@click.argument("to_wallet")
@click.argument("amount")
@id_option
@click.option("--note", default="", help="For the journal.")
@click.pass_obj
def transfer(
    settings: Settings, tenant: str, from_wallet: str, to_wallet: str, amount: str, event_id: str | None, note: str
) -> None:
    """Send AMOUNT from one wallet to another in the same currency."""
    order = Order(tenant, event_id or str(uuid.uuid4()), from_wallet, to_wallet, amount, note)

    made = with_parts(settings, lambda parts: parts.transfers.make(order, now_ms=parts.clock_ms()))
    known = ": done before, nothing changed" if made.known else ""
    click.echo(f"transfer {order.id}{known}")
    click.echo(f"{tenant}/{from_wallet} sent {made.order.amount} {made.currency} to {to_wallet}")


def _hold_command(kind: str, text: str) -> click.Command:
    @tenant_option
    @click.argument("name")
    @click.argument("hold", type=click.Choice(["operator", "fraud", "payment", "expired"]))
    @click.option("--sim", default="", help="Only this SIM of the wallet.")
    @id_option
    @click.pass_obj
    def command(settings: Settings, tenant: str, name: str, hold: str, sim: str, event_id: str | None) -> None:
        _change(settings, event_id, kind=kind, tenant=tenant, wallet=name, hold=hold, subscriber=sim)

    return click.command(kind, help=text)(command)


wallet.add_command(_hold_command("hold", "Put a hold on wallet NAME, or on one SIM; a refill does not lift it."))
wallet.add_command(_hold_command("release", "Take a hold off wallet NAME, or off one SIM."))


@wallet.command()
@tenant_option
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.pass_obj
def show(settings: Settings, tenant: str, name: str, as_json: bool) -> None:
    """Show wallet NAME: balance, floor, holds, members."""

    async def act(parts: Any) -> tuple[WalletState | None, list[str]]:
        return await parts.store.wallet(tenant, name), [sim async for sim in parts.store.members(tenant, name)]

    state, members = with_parts(settings, act)
    if state is None:
        raise WalletError(f"wallet: {tenant} has no wallet {name}")
    if as_json:
        fields = {
            "tenant": tenant, "wallet": name, "currency": state.currency, "balance": format_nanos(state.balance_nanos),
            "floor": format_nanos(state.floor_nanos), "holds": state.holds, "n": state.n, "sims": members,
        }  # fmt: skip
        click.echo(orjson.dumps(fields))
        return
    click.echo(_describe(state))
    names = ", ".join(members[:5]) + (", ..." if members[5:] else "")
    click.echo(f"pays for {len(members)}: {names}" if members else "pays for no SIM yet")


@wallet.command()
@tenant_option
@click.argument("name")
@click.option("--count", default=20, show_default=True, help="So many, newest first.")
@click.pass_obj
def history(settings: Settings, tenant: str, name: str, count: int) -> None:
    """Show the latest changes of wallet NAME, from ClickHouse."""
    # By name, because the engine's package imports nothing of the streams package.
    importlib.import_module("streams.cli.history").show(settings, tenant, name, count)
