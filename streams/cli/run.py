"""`rater run`: rate usage from files."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from rater.settings import Settings
from streams.cli.feed import feed_files
from streams.cli.report import gather, show
from streams.engine import open_engine


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--tenant", default="", help="Tenant of formats that carry none (emnify, 1NCE).")
@click.option("--source", default="", help="Source of formats that carry none.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@click.pass_obj
def run(settings: Settings, files: tuple[Path, ...], tenant: str, source: str, as_json: bool) -> None:
    """Rate usage from FILES: JSON lines or CSV, gzip or not, any of the known formats.

    Goes on where a run was cut short; a file that was read before is found to be all duplicates.
    """

    async def main() -> None:
        async with open_engine(settings, kafka=False) as engine:
            fed = await feed_files(engine, files, tenant or settings.intake.tenant, source or settings.intake.source)
            show(await gather(engine.clickhouse, settings, fed), as_json=as_json)
            fed.check()

    asyncio.run(main())
