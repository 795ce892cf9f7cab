"""`rater demo`: the bundled sample through the whole engine, from files or over a real Kafka."""

from __future__ import annotations

import asyncio

import click

from rater.settings import Settings
from schemas.sample import RECORDS
from streams.cli.feed import feed_files
from streams.cli.report import gather, show
from streams.cli.sample import EVENTS, load_sample_wallets, make_sample, next_commands, sample_settings
from streams.cli.stream_demo import stream_demo
from streams.engine import open_engine


@click.command()
@click.option("--stream", is_flag=True, help="Over a real Kafka, with a Faust worker (needs Java 17).")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@click.option("--events", default=EVENTS, show_default=True, help="Records in the sample.")
@click.pass_obj
def demo(settings: Settings, stream: bool, as_json: bool, events: int) -> None:
    """Rate the bundled sample: a month of SIM usage, with repeats and damage, made from a seed."""
    settings = sample_settings(settings)
    if stream:
        stream_demo(settings, as_json=as_json, events=events)
    else:
        asyncio.run(file_demo(settings, as_json=as_json, events=events))


async def file_demo(settings: Settings, *, as_json: bool, events: int) -> None:
    """Load the sample's wallets, rate its files, say what came of it."""
    folder = make_sample(settings, events)
    async with open_engine(settings, kafka=False) as engine:
        await load_sample_wallets(engine, folder)
        fed = await feed_files(engine, [folder / name for name in RECORDS], settings.intake.tenant)
        summary = await gather(engine.clickhouse, settings, fed)
    show(summary, as_json=as_json, next_commands=next_commands("run", settings, summary.first_suspends))
    fed.check()
