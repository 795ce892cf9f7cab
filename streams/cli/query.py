"""`rater query`: ask ClickHouse, read only."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rater.settings import Settings
from streams.clickhouse.server import Row, open_clickhouse
from streams.embedded.parts import EmbeddedParts

_encode = msgspec.json.Encoder(enc_hook=str).encode


@click.command()
@click.argument("sql")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line; amounts with a point as strings.")
@click.pass_obj
def query(settings: Settings, sql: str, as_json: bool) -> None:
    r"""Ask ClickHouse one question; nothing can be changed here.

    Tables: rated_records, wallet_entries, lifecycle_events, parked_events, dead_letters; write FINAL after a table's
    name to count each record once, or ask its view: rated_records_once, ..., rated_records_readable (amounts with a
    point, times as text).

    \b
    rater query "SELECT country, currency, sum(charged) FROM rated_records_readable GROUP BY country, currency"
    """
    rows = asyncio.run(_ask(settings, sql))
    if as_json:
        for row in rows:
            click.echo(_encode({name: _plain(value) for name, value in row.items()}))
        return
    table = Table(*(rows[0] if rows else ("no rows",)))
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    Console().print(table)


async def _ask(settings: Settings, sql: str) -> list[Row]:
    async with AsyncExitStack() as stack:
        socket = None
        if settings.engine.mode == "embedded":
            parts = await stack.enter_async_context(EmbeddedParts(settings.data))
            socket = await asyncio.to_thread(lambda: parts.clickhouse_socket)
        clickhouse = await open_clickhouse(settings.clickhouse.url, socket)
        stack.push_async_callback(clickhouse.close)
        return await clickhouse.query(sql, readonly=True)


def _plain(value: Any) -> Any:
    return f"{value:f}" if isinstance(value, Decimal) else value


def _cell(value: Any) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list | tuple) else str(_plain(value))
