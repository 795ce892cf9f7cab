"""Clients of the embedded ClickHouse process: one for plain code, one for asyncio.

Both keep one connection, made at first use and made anew after it broke. Each call is sent once: what to do when the
answer did not arrive is the caller's decision, since only the caller knows whether its insert may be repeated.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path

from rater.errors import PartsError
from streams.embedded.chdb_rows import insert_statement
from streams.embedded.chdb_wire import HEADER, body_bytes, query_request, unpack


class ClickHouseRefused(PartsError):  # noqa: N818 (reads as what happened)
    """ClickHouse answered with an error; sending the same again would end the same."""


class ChdbClient:
    """For plain code. Not for use by several threads at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None

    def query(self, sql: str, fmt: str = "JSONEachRow") -> bytes:
        """The result of one statement, in a ClickHouse output format.

        Raises:
            ClickHouseRefused: the statement is wrong or failed.
            PartsError: the process is not there or went away.
        """
        return self._call(query_request(sql, fmt))

    def insert(self, table: str, columns: Sequence[str], fmt: str, data: bytes) -> None:
        """Insert rows written in a ClickHouse input format. Raises as `query` does."""
        with insert_statement(self._path.absolute(), table, columns, fmt, [data]) as sql:
            self.query(sql, "Null")

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _call(self, request: bytes) -> bytes:
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX)
                self._socket.connect(str(self._path))
            self._socket.sendall(request)
            body = self._read(body_bytes(self._read(HEADER.size)))
        except OSError as error:
            self.close()
            raise PartsError(f"ClickHouse does not answer at {self._path}: {error}") from error
        return _result(body)

    def _read(self, count: int) -> bytes:
        assert self._socket is not None
        chunks = bytearray()
        while len(chunks) < count:
            chunk = self._socket.recv(count - len(chunks))
            if not chunk:
                raise ConnectionResetError("it hung up")
            chunks += chunk
        return bytes(chunks)


class AsyncChdbClient:
    """For asyncio; calls of several tasks wait for each other, as they would in the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def query(self, sql: str, fmt: str = "JSONEachRow") -> bytes:
        """As ChdbClient.query."""
        return await self._call(query_request(sql, fmt))

    async def insert(
        self, table: str, columns: Sequence[str], fmt: str, data: Iterable[bytes], structure: str = ""
    ) -> None:
        """As ChdbClient.insert, rows in pieces; `structure` gives types and defaults that are not the table's."""
        try:
            with insert_statement(self._path.absolute(), table, columns, fmt, data, structure) as sql:
                await self.query(sql, "Null")
        except OSError as error:
            raise PartsError(f"no rows could be written beside {self._path}: {error}") from error

    async def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _call(self, request: bytes) -> bytes:
        async with self._lock:
            try:
                body = await self._exchange(request)
            except (OSError, asyncio.IncompleteReadError) as error:
                await self.close()
                raise PartsError(f"ClickHouse does not answer at {self._path}: {error}") from error
            except BaseException:
                await self.close()  # cancelled between request and reply: the next call must not read this one's reply
                raise
        return _result(body)

    async def _exchange(self, request: bytes) -> bytes:
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(str(self._path))
        reader, writer = self._streams
        writer.write(request)
        await writer.drain()
        return await reader.readexactly(body_bytes(await reader.readexactly(HEADER.size)))


def _result(body: bytes) -> bytes:
    done, content = unpack(body)
    if not done:
        raise ClickHouseRefused(str(content))
    assert isinstance(content, bytes)
    return content
