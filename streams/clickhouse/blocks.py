"""Rows of one table on their way to ClickHouse: checked, and in the form their engine takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import msgspec

from streams.clickhouse.native import Insert, NativeRows, encode_rows
from streams.clickhouse.tables import Table

#: Rows that are decoded before the next ones are: few enough to stay in the processor's cache.
CHUNK_ROWS = 1000
#: What a value that is no row makes the decoder raise.
MISFIT = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_encode_lines = msgspec.json.Encoder().encode_lines


class Block(Protocol):
    """Rows of one table on their way, in the form their engine takes."""

    table: Table

    def add(self, values: Sequence[bytes]) -> list[tuple[int, str]]:
        """Take those values that are rows of the table; answers which are not, and why."""

    def __len__(self) -> int:
        """How many were taken."""


class _Block:
    """Checks values in chunks and, where a chunk has one that is no row, one by one."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def add(self, values: Sequence[bytes]) -> list[tuple[int, str]]:
        misfits: list[tuple[int, str]] = []
        for start in range(0, len(values), CHUNK_ROWS):
            chunk = values[start : start + CHUNK_ROWS]
            try:
                self._take(chunk)
            except MISFIT:
                chunk = list(self._fitting(chunk, start, misfits))
                self._take(chunk)
            self._rows += len(chunk)
        return misfits

    def _fitting(self, chunk: Sequence[bytes], start: int, misfits: list[tuple[int, str]]) -> Iterator[bytes]:
        for number, value in enumerate(chunk, start):
            try:
                self.table.decode(value)
            except MISFIT as error:
                misfits.append((number, str(error)))
            else:
                yield value

    def _take(self, chunk: Sequence[bytes]) -> None:
        """Take all of them, or none and raise."""
        raise NotImplementedError


class LinesBlock(_Block):
    """The values' own bytes, which passed the check."""

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self._chunks: list[Sequence[bytes]] = []

    def _take(self, chunk: Sequence[bytes]) -> None:
        deque(map(self.table.decode, chunk), maxlen=0)
        self._chunks.append(chunk)

    def lines(self) -> Iterator[bytes]:
        """JSON objects, a line's end after each."""
        for chunk in self._chunks:
            yield b"\n".join((*chunk, b""))

    def rewritten(self) -> Iterator[bytes]:
        """The same from what was decoded, for what ClickHouse reads more narrowly: a name that comes twice."""
        for chunk in self._chunks:
            yield _encode_lines(map(self.table.decode, chunk))


class NativeBlock(_Block):
    """What was decoded, by column, in the native protocol's own bytes."""

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self._chunks: list[Sequence[bytes]] = []
        self._encoded: list[NativeRows] = []

    def _take(self, chunk: Sequence[bytes]) -> None:
        if chunk:
            self._encoded.append(encode_rows(self._rows_of(chunk), self.table.types))
            self._chunks.append(chunk)

    def insert(self) -> Insert:
        """What the client takes."""
        return Insert(list(zip(self.table.columns, self.table.types, strict=True)), self._encoded, self._by_column)

    def _by_column(self) -> list[list[Any]]:
        return list(map(list, zip(*(row for chunk in self._chunks for row in self._rows_of(chunk)), strict=True)))

    def _rows_of(self, chunk: Sequence[bytes]) -> list[tuple[Any, ...]]:
        rows = list(map(msgspec.structs.astuple, map(self.table.decode, chunk)))
        if self.table.has_raw:
            rows = [tuple(bytes(v).decode() if isinstance(v, msgspec.Raw) else v for v in row) for row in rows]
        return rows
