"""Numbered SQL files become tables, each file once."""

from __future__ import annotations

from pathlib import Path

from rater.settings import CONFIG
from streams.clickhouse.server import ClickHouse, Version

#: Migrations named `*.modern.sql` are applied from here on: a release in which all they use is long settled.
MODERN_SINCE: Version = (23, 8)


async def migrate(clickhouse: ClickHouse, folder: Path = CONFIG / "clickhouse") -> list[str]:
    """Apply the migrations that were not applied yet, in the order of their numbers; answers their names.

    A modern one that an old server leaves out is applied once the server was upgraded. Statements are repeatable, so a
    migration cut short is simply applied again, and two workers that start at the same moment do no harm.
    """
    await clickhouse.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations (name String) ENGINE = ReplacingMergeTree ORDER BY name"
    )
    applied = {row["name"] for row in await clickhouse.query("SELECT name FROM schema_migrations")}
    is_modern = await clickhouse.version() >= MODERN_SINCE
    done = []
    for path in sorted(folder.glob("*.sql")):
        if path.name in applied or (path.name.endswith(".modern.sql") and not is_modern):
            continue
        for statement in statements(path.read_text()):
            await clickhouse.execute(statement)
        await clickhouse.execute(f"INSERT INTO schema_migrations (name) SELECT '{path.name}'")
        done.append(path.name)
    return done


def statements(text: str) -> list[str]:
    """Each statement ends with a semicolon at a line's end; comments stand on lines of their own."""
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return [statement.strip() for statement in (code + "\n").split(";\n") if statement.strip()]
