from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rater.errors import PartsError
from streams.clickhouse.server import ClickHouse
from streams.clickhouse.statement import only_reading, quote
from streams.embedded.chdb_client import ClickHouseRefused


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("'\\\0\n;`\"-/*"), max_size=12))
async def test_any_text_stays_itself_in_quotes(clickhouse: ClickHouse, text: str) -> None:
    assert await clickhouse.query(f"SELECT {quote(text)} AS text") == [{"text": text}]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 AS n",
        "select 1 as n;",
        "(SELECT 1 AS n)",
        "SELECT 1 AS n -- ; DROP TABLE decided_ids",
        "/* INSERT; */ SELECT 1 AS n",
        "SELECT 1 AS n WHERE ';' != '\\';'",
        "\n SELECT n FROM (SELECT 1 AS n) ",
    ],
)
async def test_reading_is_let_through(clickhouse: ClickHouse, sql: str) -> None:
    assert await clickhouse.query(sql, readonly=True) == [{"n": 1}]


async def test_tables_are_shown_and_described(clickhouse: ClickHouse) -> None:
    tables = {row["name"] for row in await clickhouse.query("SHOW TABLES", readonly=True)}
    assert "rated_records" in tables
    assert await clickhouse.query("DESCRIBE TABLE rated_records;", readonly=True)


@pytest.mark.parametrize(
    "sql",
    [
        "",
        ";",
        "-- SELECT 1",
        "DROP TABLE decided_ids",
        "INSERT INTO decided_ids SELECT 'a', 'b', 'c', 'd'",
        "TRUNCATE TABLE decided_ids",
        "SELECT 1; DROP TABLE decided_ids",
        "'SELECT' DROP TABLE decided_ids",
    ],
)
def test_anything_else_is_refused(sql: str) -> None:
    with pytest.raises(PartsError):
        only_reading(sql)


async def test_what_hides_a_change_is_refused_by_the_engine_and_later_changes_still_work(
    clickhouse: ClickHouse,
) -> None:
    with pytest.raises(ClickHouseRefused):
        await clickhouse.query("WITH 1 AS x INSERT INTO decided_ids SELECT 'a', 'b', 'c', 'd'", readonly=True)
    assert await clickhouse.query("SELECT count() AS n FROM decided_ids", readonly=True) == [{"n": 0}]
    await clickhouse.execute("INSERT INTO decided_ids SELECT 'a', 'b', 'c', 'd'")
    assert await clickhouse.query("SELECT count() AS n FROM decided_ids", readonly=True) == [{"n": 1}]
