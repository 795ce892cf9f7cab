"""`rater load`: made-up usage of a fleet, offered to an installation at a steady rate."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from itertools import islice
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from rater.cli.context import with_parts
from rater.settings import Settings
from rater.wallet.load import PAGE, load_wallets
from streams.cli.feed import progress_bar
from streams.cli.load_options import Load, load_options
from streams.load.file_sender import FileSender
from streams.load.http_sender import HttpSender
from streams.load.kafka_sender import KafkaSender
from streams.load.offer import Report, Second, Sender, offer
from streams.load.traffic import Traffic

RATE = 20_000


@click.group()
def load() -> None:
    """Offer made-up usage to an installation: the same for a seed, at a rate that waits for nobody.

    Wallets and SIMs are those that --create makes.
    """


@load.command()
@load_options(RATE)
@click.pass_obj
def kafka(settings: Settings, load: Load) -> None:
    """Send to the usage topic of the settings, keyed by SIM (--rate is 20000)."""

    async def open_sender() -> Sender:
        return await KafkaSender(settings.kafka, settings.kafka.usage_topic).start(settings.kafka.partitions)

    run(settings, load, open_sender)


@load.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@load_options(0)
@click.pass_obj
def file(settings: Settings, load: Load, path: Path) -> None:
    """Write FILE, .jsonl or .jsonl.gz, anew (--rate is 0)."""

    async def open_sender() -> Sender:
        return FileSender(path)

    run(settings, load, open_sender)


@load.command()
@click.argument("url")
@click.option("--key", default="", envvar="LOAD_API_KEY", help="API key; safer as LOAD_API_KEY.")
@click.option("--batch", type=click.IntRange(min=1), default=1000, show_default=True, help="Events in one request.")
@load_options(RATE, damage_is_json=True)
@click.pass_obj
def http(settings: Settings, load: Load, url: str, key: str, batch: int) -> None:
    """Post to the API at URL, /v1/usage (--rate is 20000)."""

    async def open_sender() -> Sender:
        return await HttpSender(url, key, batch).start()

    run(settings, load, open_sender)


def run(settings: Settings, load: Load, open_sender: Callable[[], Awaitable[Sender]]) -> None:
    """Make the fleet if asked to, offer, report. Events that were not taken are an error."""
    if load.create:
        with_parts(settings, lambda parts: create(load, parts))
    report = asyncio.run(_offer(load, open_sender))
    show(report, load)
    if report.failed:
        raise SystemExit(1)


async def create(load: Load, parts: Any) -> None:
    """Make the fleet's wallets and SIMs."""
    fleet, forms = load.recipe.fleet, load.recipe.fleet.forms(load.terms)
    with progress_bar() as progress:
        task = progress.add_task("wallets", total=fleet.wallets, rate=0.0)
        while page := list(islice(forms, max(1, PAGE // fleet.sims_per_wallet))):
            await load_wallets(page, parts.store, parts.directory, now_ms=parts.clock_ms())
            progress.advance(task, len(page))
            progress.update(task, rate=progress.tasks[0].speed or 0.0)


async def _offer(load: Load, open_sender: Callable[[], Awaitable[Sender]]) -> Report:
    """Offer until it is done or Ctrl-C, which still delivers and reports; the second Ctrl-C ends it at once."""
    loop, stop, console = asyncio.get_running_loop(), asyncio.Event(), Console(stderr=True, highlight=False)

    def end() -> None:
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)

    def tell(second: Second) -> None:
        late = f"   {second.late_ms:,.1f} ms late" if load.pace.rate else ""
        console.print(f"{second.number:>5} s {second.offered:>11,} events{late}")

    traffic, sender = Traffic(load.recipe), await open_sender()
    loop.add_signal_handler(signal.SIGINT, end)
    return await offer(traffic, sender, load.pace, on_second=tell, stopped=stop.is_set)


def show(report: Report, load: Load) -> None:
    """The report: one JSON object, or a few lines."""
    late_ms = report.late_ns / max(1, report.pages) / 1e6, report.late_max_ns / 1e6
    used_us = report.processor_ns / max(1, report.offered) / 1000
    if load.as_json:
        found = {
            "offered": report.offered, "events": dict(report.sorts), "seconds": report.elapsed_ns / 1e9,
            "events_per_second": round(report.rate), "wanted_per_second": load.pace.rate,
            "late_ms_mean": round(late_ms[0], 3), "late_ms_max": round(late_ms[1], 3),
            "each_second": report.each_second, "failed": dict(report.failed), "run": load.recipe.run,
            "processor_us_per_event": round(used_us, 2),
        }  # fmt: skip
        click.echo(msgspec.json.encode(found))
        return
    click.echo(f"offered    {report.offered:,} events in {report.elapsed_ns / 1e9:,.1f} s, {report.rate:,.0f}/s")
    click.echo("of them    " + ", ".join(f"{sort} {events:,}" for sort, events in report.sorts.items()))
    if load.pace.rate:
        click.echo(f"late       {late_ms[0]:.1f} ms on average, {late_ms[1]:.1f} ms at most")
    click.echo(f"processor  {used_us:.1f} us/event")
    click.echo(f"ids        begin with {load.recipe.run}-")
    for why, events in report.failed.items():
        click.echo(f"FAILED     {events:,} events: {why}")
