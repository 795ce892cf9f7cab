from __future__ import annotations

import re
from pathlib import Path

import pytest

from streams.clickhouse.migrate import MODERN_SINCE
from streams.clickhouse.server import ClickHouse
from streams.topics import RATED
from tests.streams.clickhouse.rows import message, rated
from tests.streams.clickhouse.test_once import write

PAGE = (Path(__file__).parents[3] / "docs" / "clickhouse.md").read_text()
QUERIES = [found for found in re.findall(r"```sql( \w+)?\n(.*?)```", PAGE, re.DOTALL) if found[0] != " skip"]


@pytest.mark.parametrize(("needs", "sql"), QUERIES)
async def test_the_documented_query_runs(clickhouse: ClickHouse, needs: str, sql: str) -> None:
    if needs == " modern" and await clickhouse.version() < MODERN_SINCE:
        return
    await write(clickhouse, *(message(RATED, rated("e1")) for _ in range(2)))
    if not sql.startswith("SELECT"):
        await clickhouse.execute(sql)
        await clickhouse.execute("ALTER TABLE rated_records REMOVE TTL")
        return
    rows = await clickhouse.query(sql, readonly=True)
    assert len(rows) == 1
    assert rows[0].get("records", 1) == 1


async def test_the_invoice_of_an_account_adds_up(clickhouse: ClickHouse) -> None:
    records = [rated(f"e{number}", charged_nanos=10**9 - number, tax_category="vat") for number in range(5)]
    others = [rated("x", account="a2"), rated("y", period="2026-11-01"), rated("z", fate="refused", charged_nanos=0)]
    await write(clickhouse, *(message(RATED, record) for record in [*records, *others] * 2))
    line = (await clickhouse.query(QUERIES[0][1]))[0]
    assert line["records"] == 5
    assert line["units"] * 10**9 + line["nanos"] == sum(record.charged_nanos for record in records)
