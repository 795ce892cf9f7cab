from __future__ import annotations

from pathlib import Path

import pytest

from rater.settings import CONFIG
from streams.clickhouse.migrate import MODERN_SINCE, migrate, statements
from streams.clickhouse.server import ClickHouse
from streams.clickhouse.tables import TABLES
from streams.embedded.chdb_client import ClickHouseRefused


async def test_migrations_apply_once(clickhouse: ClickHouse) -> None:
    assert await migrate(clickhouse) == []
    applied = {row["name"] for row in await clickhouse.query("SELECT name FROM schema_migrations")}
    is_modern = await clickhouse.version() >= MODERN_SINCE
    files = {path.name for path in (CONFIG / "clickhouse").glob("*.sql")}
    assert applied == {name for name in files if is_modern or ".modern." not in name}


async def test_a_migration_cut_short_is_applied_again(clickhouse: ClickHouse) -> None:
    await clickhouse.execute("TRUNCATE TABLE schema_migrations")
    assert "001_tables.sql" in await migrate(clickhouse)


async def test_a_later_migration_is_added_to_earlier_ones(clickhouse: ClickHouse, tmp_path: Path) -> None:
    (tmp_path / "900_later.sql").write_text("CREATE TABLE IF NOT EXISTS later (x Int64) ENGINE = Log;\n")
    try:
        assert await migrate(clickhouse, tmp_path) == ["900_later.sql"]
        assert await migrate(clickhouse, tmp_path) == []
        assert await clickhouse.query("SELECT count() AS rows FROM later") == [{"rows": 0}]
    finally:
        await clickhouse.execute("DROP TABLE later")


async def test_a_wrong_migration_is_refused_and_not_remembered(clickhouse: ClickHouse, tmp_path: Path) -> None:
    (tmp_path / "901_wrong.sql").write_text("CREATE TABLE wrong (x NoSuchType) ENGINE = Log;\n")
    with pytest.raises(ClickHouseRefused, match="NoSuchType"):
        await migrate(clickhouse, tmp_path)
    names = [row["name"] for row in await clickhouse.query("SELECT name FROM schema_migrations")]
    assert "901_wrong.sql" not in names


@pytest.mark.parametrize("table", TABLES)
async def test_a_table_has_the_fields_of_its_records(clickhouse: ClickHouse, table: str) -> None:
    columns = {row["name"] for row in await clickhouse.query(f"DESCRIBE TABLE {table}")}
    assert columns - {"written_ms"} == set(TABLES[table].columns)


async def test_no_column_is_a_float(clickhouse: ClickHouse) -> None:
    types = await clickhouse.query("SELECT type FROM system.columns WHERE database = currentDatabase()")
    assert types
    assert not [row for row in types if "Float" in row["type"]]


def test_statements_end_at_a_semicolon_and_comments_are_left_out() -> None:
    text = "-- first; not a statement;\nSELECT\n  1;\n\nSELECT ';';\n"
    assert statements(text) == ["SELECT\n  1", "SELECT ';'"]
