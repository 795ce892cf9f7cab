"""One small face over two engines: a ClickHouse server through clickhouse-driver, and the embedded one (chdb)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import orjson
from clickhouse_driver import Client, errors

from rater.errors import PartsError
from rater.settings import CONFIG
from schemas.faults import DeadLetter, ParkedEvent
from schemas.lifecycle import LifecycleEvent, WalletEntry
from schemas.rated import RatedRecord
from streams.embedded.chdb_client import AsyncChdbClient, ClickHouseRefused

Row = dict[str, Any]

#: The struct whose JSON a table holds; columns are its fields.
STRUCTS: dict[str, type[msgspec.Struct]] = {
    "rated_records": RatedRecord,
    "wallet_entries": WalletEntry,
    "lifecycle_events": LifecycleEvent,
    "parked_events": ParkedEvent,
    "dead_letters": DeadLetter,
}

#: In the struct but not in the table.
_LEFT_OUT = {("dead_letters", "headers")}


def columns_of(table: str) -> list[str]:
    """The columns of a table, in the struct's order."""
    names = STRUCTS[table].__struct_fields__
    return [name for name in names if (table, name) not in _LEFT_OUT]


class AwayError(PartsError):
    """ClickHouse does not answer; the same again may succeed later."""


class ClickHouse(Protocol):
    """What the engine asks of ClickHouse."""

    #: Whether the server has Decimal, DateTime64 and views with them.
    modern: bool

    async def execute(self, sql: str) -> None:
        """Run a statement without a result."""

    async def insert(self, table: str, values: Sequence[bytes]) -> None:
        """Insert JSON objects (one struct each) into its table; all or nothing of a block is visible."""

    async def query(self, sql: str) -> list[Row]:
        """The rows of a query. Int64 come back exact."""

    async def close(self) -> None:
        """Disconnect."""


class ChdbClickHouse:
    """The embedded engine, behind its process's socket. JSON goes in as it is."""

    modern = True

    def __init__(self, socket: Path) -> None:
        self._client = AsyncChdbClient(socket)

    async def execute(self, sql: str) -> None:
        """See ClickHouse."""
        await self._call(self._client.query, sql)

    async def insert(self, table: str, values: Sequence[bytes]) -> None:
        """See ClickHouse."""
        await self._call(self._client.insert, table, columns_of(table), "JSONEachRow", b"\n".join(values))

    async def query(self, sql: str) -> list[Row]:
        """See ClickHouse."""
        answer = await self._call(self._client.query, sql, "JSONEachRow")
        return [orjson.loads(line) for line in answer.splitlines()]

    async def _call(self, call: Any, *arguments: Any) -> Any:
        try:
            return await call(*arguments)
        except ClickHouseRefused:
            raise
        except PartsError as error:
            raise AwayError(str(error)) from error

    async def close(self) -> None:
        """See ClickHouse."""
        await self._client.close()


class DriverClickHouse:
    """A server, through clickhouse-driver's native protocol, in a thread of its own."""

    def __init__(self, url: str) -> None:
        self._client = Client.from_url(url)
        self._lock = asyncio.Lock()
        self.modern = False

    async def start(self) -> None:
        """Find out what the server can do."""
        rows = await self.query("SELECT version() AS version")
        self.modern = int(str(rows[0]["version"]).split(".", 1)[0]) >= 20

    async def execute(self, sql: str) -> None:
        """See ClickHouse."""
        await self._run(lambda: self._client.execute(sql))

    async def insert(self, table: str, values: Sequence[bytes]) -> None:
        """See ClickHouse."""
        columns = columns_of(table)
        decode = msgspec.json.Decoder(STRUCTS[table]).decode
        structs = [decode(value) for value in values]
        data = [[_native(getattr(struct, column)) for struct in structs] for column in columns]
        sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES"
        await self._run(lambda: self._client.execute(sql, data, columnar=True))

    async def query(self, sql: str) -> list[Row]:
        """See ClickHouse."""
        rows, columns = await self._run(lambda: self._client.execute(sql, with_column_types=True))
        return [dict(zip((name for name, _ in columns), row, strict=True)) for row in rows]

    async def _run(self, call: Any) -> Any:
        async with self._lock:
            try:
                return await asyncio.to_thread(call)
            except (OSError, EOFError, errors.NetworkError, errors.SocketTimeoutError) as error:
                self._client.disconnect()
                raise AwayError(f"ClickHouse does not answer: {error}") from error

    async def close(self) -> None:
        """See ClickHouse."""
        await asyncio.to_thread(self._client.disconnect)


def _native(value: Any) -> Any:
    """A field as the driver takes it: tuples as arrays, bytes as base64 text (as in JSON), booleans as numbers."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, bytes):
        return msgspec.to_builtins(value)
    return value


async def open_clickhouse(url: str, socket: Path | None) -> ClickHouse:
    """Reach ClickHouse (the embedded one if there is a socket) and bring its tables up to date."""
    if socket is not None:
        clickhouse: ClickHouse = ChdbClickHouse(socket)
    else:
        await _create_database(url)
        driver = DriverClickHouse(url)
        await driver.start()
        clickhouse = driver
    await migrate(clickhouse)
    return clickhouse


async def _create_database(url: str) -> None:
    base, _, database = url.partition("?")[0].rpartition("/")
    server = DriverClickHouse(f"{base}/default")
    await server.execute(f"CREATE DATABASE IF NOT EXISTS {database}")
    await server.close()


async def migrate(clickhouse: ClickHouse, folder: Path = CONFIG / "clickhouse") -> list[str]:
    """Apply the migrations that were not applied yet, in the order of their numbers; answers their names.

    A file named `*.modern.sql` is applied where the server can. Statements are repeatable (IF NOT EXISTS), so that a
    migration cut short is simply applied again.
    """
    await clickhouse.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations (name String) ENGINE = ReplacingMergeTree ORDER BY name"
    )
    applied = {row["name"] for row in await clickhouse.query("SELECT name FROM schema_migrations")}
    done = []
    for path in sorted(folder.glob("*.sql")):
        if path.name in applied or (".modern." in path.name and not clickhouse.modern):
            continue
        text = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("--"))
        for statement in text.split(";\n"):
            if statement.strip():
                await clickhouse.execute(statement.strip().rstrip(";"))
        await clickhouse.execute(f"INSERT INTO schema_migrations (name) VALUES ('{path.name}')")  # noqa: S608
        done.append(path.name)
    return done


async def lookup_ids(
    clickhouse: ClickHouse, tenant: str, ids: Sequence[tuple[str, str]]
) -> Mapping[tuple[str, str], str]:
    """Fingerprints (hex) of those (source, id) that were decided before; one query on the narrow table."""
    wanted = ", ".join(f"({quote(source)}, {quote(event_id)})" for source, event_id in ids)
    rows = await clickhouse.query(
        f"SELECT source, id, any(fingerprint) AS fingerprint FROM decided_ids "  # noqa: S608 - quoted
        f"WHERE tenant = {quote(tenant)} AND (source, id) IN ({wanted}) GROUP BY source, id"
    )
    return {(row["source"], row["id"]): row["fingerprint"] for row in rows}


def quote(text: str) -> str:
    """A string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
