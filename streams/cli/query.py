"""`rater query`: ask ClickHouse, read only."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import click
import msgspec
from rich.table import Table
from rich.text import Text

from rater.settings import Settings
from streams.cli.report import wide_console
from streams.clickhouse.server import Row
from streams.engine import open_ledger

_encode = msgspec.json.Encoder(enc_hook=str).encode


@click.command()
@click.argument("sql")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line; amounts with a point as strings.")
@click.pass_obj
def query(settings: Settings, sql: str, as_json: bool) -> None:
    """Ask ClickHouse one question; nothing can be changed here.

    Tables: rated_records, wallet_entries, lifecycle_events, parked_events, dead_letters; write FINAL after a table's
    name to count each record once, or ask its view: rated_records_once, ..., rated_records_readable (amounts with a
    point, times as text).

    \b
    rater query "SELECT country, currency, sum(charged) FROM rated_records_readable GROUP BY country, currency"
    """  # noqa: D301 - click looks for the backspace itself, to keep the line as it is
    rows = asyncio.run(_ask(settings, sql))
    if as_json:
        for row in rows:
            click.echo(_encode({name: _plain(value) for name, value in row.items()}))
        return
    table = Table(*(rows[0] if rows else ("no rows",)))
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    wide_console().print(table)


async def _ask(settings: Settings, sql: str) -> list[Row]:
    async with open_ledger(settings) as clickhouse:
        return await clickhouse.query(sql, readonly=True)


def _plain(value: Any) -> Any:
    return f"{value:f}" if isinstance(value, Decimal) else value


def _cell(value: Any) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list | tuple) else str(_plain(value))
