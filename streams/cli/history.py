"""The latest changes of a wallet, as a table."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from rich.table import Table

from rater.money import format_nanos
from rater.settings import Settings
from streams.cli.report import wide_console
from streams.clickhouse.queries import change_nanos, wallet_history
from streams.clickhouse.server import Row
from streams.engine import open_ledger


def show(settings: Settings, tenant: str, wallet: str, count: int) -> None:
    """Print the table."""

    async def main() -> list[Row]:
        async with open_ledger(settings) as clickhouse:
            return await wallet_history(clickhouse, tenant, wallet, count)

    table = Table("n", "when (UTC)", "what", "cause", "amount", "balance after", title=f"{tenant}/{wallet}")
    for row in asyncio.run(main()):
        when = datetime.fromtimestamp(int(row["occurred_ms"]) // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        amount, after = format_nanos(change_nanos(row)), format_nanos(int(row["balance_after_nanos"]))
        what = f"{row['kind']}: {row['note']}" if row["note"] else row["kind"]
        table.add_row(f"{row['epoch']}.{row['n']}", when, what, row["cause"], amount, after)
    wide_console().print(table)
