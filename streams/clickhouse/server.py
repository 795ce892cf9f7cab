"""One small face over two engines: a ClickHouse server through clickhouse-driver, and the embedded one (chdb)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec
from clickhouse_driver import errors

from rater.errors import PartsError
from streams.clickhouse.blocks import Block, LinesBlock, NativeBlock
from streams.clickhouse.native import NativeClient
from streams.clickhouse.statement import only_reading, with_settings
from streams.clickhouse.tables import TABLES, Table
from streams.embedded.chdb_client import AsyncChdbClient, ClickHouseRefused

# Each failed connection would be logged with its traceback; who waits says so once.
logging.getLogger("clickhouse_driver").setLevel(logging.ERROR)

Row = dict[str, Any]
Version = tuple[int, ...]

#: A server that says nothing for this long is away. The driver's own 300 s would hide it from the log for too long.
TIMEOUTS = {"connect_timeout": 5, "send_receive_timeout": 60, "sync_request_timeout": 5}
#: For a person's query: nothing may be changed, and it ends.
READING = {"readonly": 1, "max_execution_time": 60}

#: Big integers and decimals exact: a number with a point is a Decimal, never a float.
_decode_rows = msgspec.json.Decoder(Row, float_hook=Decimal).decode_lines


class AwayError(PartsError):
    """ClickHouse does not answer; the same again may succeed later."""


class ClickHouse(Protocol):
    """What the engine asks of ClickHouse.

    Each method raises AwayError where it does not answer, ClickHouseRefused where it answers with an error.
    """

    async def version(self) -> Version:
        """The server's version, as (18, 16, 1)."""

    async def execute(self, sql: str) -> None:
        """Run a statement without a result."""

    def block(self, table: str) -> Block:
        """An empty block of rows, to be filled and inserted."""

    async def insert(self, block: Block) -> None:
        """Insert rows, visible in pieces perhaps; to repeat what failed is harmless."""

    async def query(self, sql: str, *, readonly: bool = False) -> list[Row]:
        """The rows of a query, integers exact. `readonly` refuses anything that is not a single reading statement."""

    async def close(self) -> None:
        """Disconnect."""


class ChdbClickHouse:
    """The embedded engine, behind its process's socket. JSON goes in as it is."""

    def __init__(self, socket: Path) -> None:
        self._client = AsyncChdbClient(socket)

    async def version(self) -> Version:
        """See ClickHouse."""
        return _version((await self.query("SELECT version() AS version"))[0]["version"])

    async def execute(self, sql: str) -> None:
        """See ClickHouse."""
        await self._call(self._client.query, sql)

    def block(self, table: str) -> LinesBlock:
        """See ClickHouse."""
        return LinesBlock(TABLES[table])

    async def insert(self, block: Block) -> None:
        """See ClickHouse."""
        assert isinstance(block, LinesBlock)
        try:
            await self._insert(block.table, block.lines())
        except ClickHouseRefused:
            await self._insert(block.table, block.rewritten())

    async def _insert(self, table: Table, lines: Iterable[bytes]) -> None:
        await self._call(self._client.insert, table.name, table.columns, "JSONEachRow", lines, table.structure)

    async def query(self, sql: str, *, readonly: bool = False) -> list[Row]:
        """See ClickHouse."""
        if readonly:
            sql = with_settings(only_reading(sql), READING)
        rows: list[Row] = _decode_rows(await self._call(self._client.query, sql, "JSONEachRow"))
        return rows

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
    """A server, through clickhouse-driver's native protocol.

    The driver blocks and serves one call at a time, so all calls run in one thread, in order; a caller that is
    cancelled leaves its call to end there and disturbs nobody.
    """

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._client = _driver(self._url)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="clickhouse")

    async def version(self) -> Version:
        """See ClickHouse."""
        return _version((await self.query("SELECT version() AS version"))[0]["version"])

    async def execute(self, sql: str) -> None:
        """See ClickHouse."""
        await self._run(lambda: self._client.execute(sql))

    def block(self, table: str) -> NativeBlock:
        """See ClickHouse."""
        return NativeBlock(TABLES[table])

    async def insert(self, block: Block) -> None:
        """See ClickHouse."""
        assert isinstance(block, NativeBlock)
        sql = f"INSERT INTO {block.table.name} ({', '.join(block.table.columns)}) VALUES"
        await self._run(lambda: self._client.execute(sql, [block.insert()]))

    async def query(self, sql: str, *, readonly: bool = False) -> list[Row]:
        """See ClickHouse."""
        sql, settings = (only_reading(sql), READING) if readonly else (sql, None)
        answer = await self._run(lambda: self._client.execute(sql, with_column_types=True, settings=settings))
        values, columns = answer
        names = [name for name, _ in columns]
        return [dict(zip(names, row, strict=True)) for row in values]

    async def close(self) -> None:
        """See ClickHouse."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._client.disconnect)
        self._thread.shutdown()

    async def _run(self, call: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._carry_out, call)

    def _carry_out(self, call: Callable[[], Any]) -> Any:
        try:
            try:
                return call()
            except errors.ServerException as error:
                if error.code != errors.ErrorCodes.UNKNOWN_DATABASE:
                    raise
                self._client.disconnect()  # the refused connection is still open and would never answer
                self._create_database()
                return call()
        except (errors.ServerException, errors.TypeMismatchError) as error:
            reason = str(error.message).partition("Stack trace:")[0].strip()
            raise ClickHouseRefused(f"{reason} (code {error.code})") from error
        except (errors.Error, OSError, EOFError) as error:
            self._client.disconnect()
            raise AwayError(f"ClickHouse at {self._url.hostname} does not answer: {error}") from error

    def _create_database(self) -> None:
        """Make the database of the url; connected without one, since connecting to a missing one fails."""
        with _driver(self._url._replace(path="")) as server:
            server.execute(f"CREATE DATABASE IF NOT EXISTS `{self._url.path.strip('/')}`")


def _driver(url: SplitResult) -> NativeClient:
    options = urlencode({**TIMEOUTS, **dict(parse_qsl(url.query))})
    client: NativeClient = NativeClient.from_url(urlunsplit(url._replace(query=options)))
    return client


def _version(text: str) -> Version:
    return tuple(int(number) for number in text.split(".") if number.isdigit())
