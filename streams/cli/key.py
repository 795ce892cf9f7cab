"""`rater key`: API keys of the HTTP API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click
import orjson

from rater.cli.context import with_parts
from rater.settings import Settings
from streams.http.keys import SCOPES, ApiKey, KeyRing, Scope


@click.group()
def key() -> None:
    """Make, list and revoke API keys."""


@key.command()
@click.option("--tenant", default="", help="Whose data it reaches; only an admin key may be without one.")
@click.option("--account", default="", help="Only this account, its companies, their wallets and SIMs.")
@click.option("--user", default="", help="Acts for this person, by the person's role in each account.")
@click.option(
    "--scope", "scopes", type=click.Choice(SCOPES), multiple=True, required=True,
    help="ingest: send usage; read; manage: change, and read; admin: all. May be given several times.",
)  # fmt: skip
@click.option("--note", default="", help="What it is for.")
@click.pass_obj
def create(settings: Settings, tenant: str, account: str, user: str, scopes: tuple[Scope, ...], note: str) -> None:
    """Make a key. It is printed once, on standard output, and only its digest is kept."""

    async def act(parts: Any) -> tuple[str, ApiKey]:
        return await KeyRing(parts.redis).create(scopes, tenant, account, note, user=user, now_ms=parts.clock_ms())

    token, made = with_parts(settings, act)
    click.echo(f"key {made.name} of {tenant or 'every tenant'}, kept nowhere but here:", err=True)
    click.echo(token)


@key.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_keys(settings: Settings, *, as_json: bool) -> None:
    """Every key: whose it is and what it may do."""

    async def act(parts: Any) -> list[ApiKey]:
        return await KeyRing(parts.redis).all()

    for found in with_parts(settings, act):
        fields = {
            "key": found.name, "tenant": found.tenant, "account": found.account, "user": found.user,
            "scopes": found.scopes, "note": found.note, "created": _time(found.created_ms),
            "revoked": _time(found.revoked_ms),
        }  # fmt: skip
        click.echo(orjson.dumps(fields) if as_json else _line(found))


@key.command()
@click.argument("name")
@click.pass_obj
def revoke(settings: Settings, name: str) -> None:
    """Refuse key NAME (the twelve letters after rk_) from now on."""

    async def act(parts: Any) -> ApiKey:
        return await KeyRing(parts.redis).revoke(name, now_ms=parts.clock_ms())

    with_parts(settings, act)
    click.echo(f"key {name} is refused within two seconds")


def _line(found: ApiKey) -> str:
    whose = f"{found.tenant or 'every tenant'}{'/' if found.account else ''}{found.account}"
    whose += f" for {found.user}" if found.user else ""
    revoked = f"  revoked {_time(found.revoked_ms)}" if found.revoked_ms else ""
    return f"{found.name}  {whose}  {','.join(found.scopes)}  {_time(found.created_ms)}{revoked}  {found.note}".rstrip()


def _time(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if unix_ms else ""
