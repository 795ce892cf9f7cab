"""`rater summary`: what the ledger holds."""

from __future__ import annotations

import asyncio

import click

from rater.settings import Settings
from streams.cli.feed import Fed
from streams.cli.report import Summary, gather, show
from streams.engine import open_ledger


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.pass_obj
def summary(settings: Settings, as_json: bool) -> None:
    """What was rated so far, from ClickHouse."""

    async def main() -> Summary:
        async with open_ledger(settings) as clickhouse:
            return await gather(clickhouse, settings, Fed())

    show(asyncio.run(main()), as_json=as_json)
