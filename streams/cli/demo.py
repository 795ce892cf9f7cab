"""`rater demo`: the bundled sample through the whole engine, from files or over a real Kafka."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import click
import msgspec
from rich.console import Console

from rater.settings import Settings
from rater.wallet.load import load_wallets, read_wallets
from schemas.sample import CLOCK, RECORDS, TENANT, generate
from streams.cli.feed import feed_files
from streams.cli.report import gather, show
from streams.engine import Engine, open_engine

#: The sample is the same everywhere and always.
SEED = 20261031
EVENTS = 210_000

NEXT = (
    "make run                                          # again: every event is a duplicate, nothing is charged",
    ".venv/bin/rater parked list                                 # events that wait for a repair",
    ".venv/bin/rater wallet history --tenant {tenant} {wallet}",
)


@click.command()
@click.option("--stream", is_flag=True, help="Over a real Kafka, with a Faust worker (needs Java 17).")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@click.option("--events", default=EVENTS, show_default=True, help="Records in the sample.")
@click.pass_obj
def demo(settings: Settings, stream: bool, as_json: bool, events: int) -> None:
    """Rate the bundled sample: a month of SIM usage, with repeats and damage, made from a seed."""
    settings = sample_settings(settings)
    if stream:
        from streams.cli.stream_demo import stream_demo

        stream_demo(settings, as_json=as_json, events=events)
    else:
        asyncio.run(file_demo(settings, as_json=as_json, events=events))


def sample_settings(settings: Settings) -> Settings:
    """The settings, with intake's clock held just after the sample's month, and the tenant its records do not name."""
    intake = msgspec.structs.replace(
        settings.intake, clock=settings.intake.clock or CLOCK, tenant=settings.intake.tenant or TENANT
    )
    return msgspec.structs.replace(settings, intake=intake)


async def file_demo(settings: Settings, *, as_json: bool, events: int) -> None:
    """Load the sample's wallets, rate its files, say what came of it."""
    folder = make_sample(settings, events)
    async with open_engine(settings, kafka=False) as engine:
        await load_sample_wallets(engine, folder)
        fed = await feed_files(engine, [folder / name for name in RECORDS], settings.intake.tenant)
        summary = await gather(engine.clickhouse, settings, fed)
    show(summary, as_json=as_json, next_commands=next_commands(summary.first_suspends))


def make_sample(settings: Settings, events: int) -> Path:
    """The sample's folder; made if it is not there yet."""
    folder = settings.data / "sample" / f"{SEED}-{events}"
    if not (folder / "complete").exists():
        started = time.perf_counter()
        generate(folder, SEED, events)
        (folder / "complete").touch()
        Console(stderr=True).print(f"sample of {events:,} records made in {time.perf_counter() - started:.0f} s")
    return folder


async def load_sample_wallets(engine: Engine, folder: Path) -> None:
    """Create the sample's wallets and SIMs; again is harmless."""
    parts = engine.parts
    await load_wallets(read_wallets(folder / "wallets.yaml"), parts.store, parts.directory, now_ms=parts.clock_ms())


def next_commands(first_suspends: list[dict[str, object]]) -> list[str]:
    """Three commands worth trying, with a wallet that was suspended in them."""
    example = first_suspends[0] if first_suspends else {"tenant": "TENANT", "wallet": "WALLET"}
    return [command.format_map(example) for command in NEXT]
