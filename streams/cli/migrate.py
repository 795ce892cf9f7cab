"""`rater plan migrate`: everybody on a plan is moved to another, or it is said what that would mean."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rater.catalogue import Catalogue
from rater.plans.model import Plan
from rater.settings import Settings
from rater.subscriptions import Subscriptions
from streams.cli.report import wide_console
from streams.clickhouse.server import ClickHouse
from streams.engine import open_ledger, publish_outbox
from streams.migration.listing import Listing
from streams.migration.migration import Migration, Row
from streams.migration.report import Sums, show
from streams.parts import open_parts


class Asked(NamedTuple):
    """What the command line says."""

    old: str
    new: str
    tenant: str
    is_dry: bool
    report: Path | None
    months: int


class Ledger(NamedTuple):
    """What past usage is read and rated with."""

    clickhouse: ClickHouse
    catalogue: Catalogue


def migrate(settings: Settings, asked: Asked) -> None:
    """Run it, and print what came of it."""
    sums = asyncio.run(_run(settings, asked))
    show(wide_console(), sums)
    if asked.report is not None:
        click.echo(f"a line for each is in {asked.report}")
    if asked.is_dry:
        click.echo("nothing was changed: this was a dry run")


async def _run(settings: Settings, asked: Asked) -> Sums:
    catalogue, sums = Catalogue.load(Path(settings.engine.catalogue)), Sums()
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(open_parts(settings))
        now_ms = parts.clock_ms()
        new = _plans(catalogue, asked, now_ms)
        subscriptions = Subscriptions(parts.store, catalogue)
        migration = Migration(
            parts.directory, parts.accounts, parts.account_wallets, subscriptions, asked.old, new, parts.clock_ms
        )
        listing = Listing(settings.data / "migrations", _name(asked))
        is_resumed = await listing.open(parts.directory, subscriptions, asked.old, asked.tenant, now_ms)
        ledger = None
        if asked.is_dry and asked.months:
            ledger = Ledger(await stack.enter_async_context(open_ledger(settings)), catalogue)
        if is_resumed:
            click.echo(
                f"goes on behind {listing.place.lines} of {listing.total} that an earlier run dealt with", err=True
            )
        report = stack.enter_context(asked.report.open("ab" if is_resumed else "wb")) if asked.report else None
        progress = stack.enter_context(_progress_bar())
        task = progress.add_task(f"{asked.old} to {asked.new}", total=listing.total, completed=listing.place.lines)
        for page in listing.pages():
            dry = migration.preview(page, ledger, asked.months) if asked.is_dry else None
            _write(await (dry or migration.carry_out(page)), sums, report)
            progress.advance(task, len(page))
        if not asked.is_dry:
            await publish_outbox(parts)
        listing.close()
    return sums


def _plans(catalogue: Catalogue, asked: Asked, now_ms: int) -> Plan:
    """The new plan, if both are in force and one may be left for the other without a choice."""
    for name in (asked.old, asked.new):
        if catalogue.plan(name, now_ms) is None:
            raise click.ClickException(f'there is no plan "{name}" in force; there are {", ".join(catalogue.plans)}')
    new = catalogue.plan(asked.new, now_ms)
    assert new is not None, "it was just found"
    if asked.old == asked.new:
        raise click.ClickException(f"{asked.old} is migrated to another plan than itself")
    if not new.takes(None):
        raise click.ClickException(f"{asked.new} has volumes to choose from; nobody is moved there without a choice")
    return new


def _write(rows: list[Row], sums: Sums, report: BinaryIO | None) -> None:
    for row in rows:
        sums.add(row)
        if report is not None:
            report.write(msgspec.json.encode(row) + b"\n")
    if report is not None:
        report.flush()


def _name(asked: Asked) -> str:
    """Of the files of a run: a dry one and a real one do not go on where the other stopped."""
    parts = [asked.old, asked.new, *([asked.tenant] if asked.tenant else []), *(["dry"] if asked.is_dry else [])]
    return "--".join(part.encode().hex() if not part.replace("-", "").isalnum() else part for part in parts)


def _progress_bar() -> Progress:
    """On standard error, so that standard output stays the report."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))
