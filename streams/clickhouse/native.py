"""Rows in ClickHouse's own column format, written as they are decoded.

clickhouse-driver takes columns of Python objects and encodes each value by itself, which cost more than reading the
JSON did. Here a chunk of rows becomes bytes while it is in the processor's cache: a column of one value is that value
so many times, strings of fewer than 128 bytes are joined in one go, whole numbers are packed in one go.

The format of a column: whole numbers little-endian; a string is its length as a varint and its UTF-8; an array column
is the end of each row's elements, UInt64, then the elements of all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, chain
from struct import pack
from typing import Any, NamedTuple

from clickhouse_driver import Client, defines
from clickhouse_driver.block import BlockInfo, ColumnOrientedBlock
from clickhouse_driver.protocol import ClientPacketTypes
from clickhouse_driver.varint import write_varint
from clickhouse_driver.writer import write_binary_str, write_binary_uint8

#: Lengths whose varint is one byte, which is an ASCII character too.
_LENGTHS = [chr(length) for length in range(128)]


class NativeRows(NamedTuple):
    """Rows by column, encoded."""

    rows: int
    columns: list[bytes]


def encode_rows(rows: Sequence[tuple[Any, ...]], types: Sequence[str]) -> NativeRows:
    """Encode rows (at least one) whose values fit the types."""
    columns = zip(*rows, strict=True)
    return NativeRows(len(rows), [_ENCODERS[kind](values) for kind, values in zip(types, columns, strict=True)])


def _strings(values: Sequence[str]) -> bytes:
    if values[0] == values[-1] and values.count(values[0]) == len(values):
        return _string(values[0]) * len(values)
    pieces = [""] * (2 * len(values))
    try:
        pieces[::2] = map(_LENGTHS.__getitem__, map(len, values))
    except IndexError:
        return b"".join(map(_string, values))
    pieces[1::2] = values
    text = "".join(pieces)
    # Where a character has several bytes, its string is longer than counted.
    return text.encode() if text.isascii() else b"".join(map(_string, values))


def _string(value: str) -> bytes:
    data = value.encode()
    length, prefix = len(data), bytearray()
    while length > 127:
        prefix.append(length & 127 | 128)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + data


def _numbers(code: str) -> Callable[[Sequence[int]], bytes]:
    def encode(values: Sequence[int]) -> bytes:
        if values[0] == values[-1] and values.count(values[0]) == len(values):
            return pack(f"<{code}", values[0]) * len(values)
        return pack(f"<{len(values)}{code}", *values)

    return encode


def _arrays(values: Sequence[Sequence[str]]) -> bytes:
    ends = pack(f"<{len(values)}Q", *accumulate(map(len, values)))
    elements = list(chain.from_iterable(values))
    return ends + _strings(elements) if elements else ends


_ENCODERS: dict[str, Callable[[Sequence[Any]], bytes]] = {
    "String": _strings,
    "Array(String)": _arrays,
    "Int64": _numbers("q"),
    "UInt64": _numbers("Q"),
    "UInt32": _numbers("I"),
    "UInt8": _numbers("B"),
}


class Insert(NamedTuple):
    """What NativeClient.execute takes instead of rows."""

    #: Names and types that the rows were encoded for.
    columns: list[tuple[str, str]]
    encoded: list[NativeRows]
    #: The same values by column, for a table whose columns are of other types (LowCardinality, perhaps).
    decoded: Callable[[], list[list[Any]]]


class NativeClient(Client):  # type: ignore[misc]  # the driver is not typed
    """A client whose inserts may be encoded already: `execute(sql, [Insert(...)])`."""

    def send_data(
        self, sample_block: Any, data: Sequence[Any], types_check: bool = False, columnar: bool = False
    ) -> int:
        """See Client, which calls this between the query and its end."""
        (insert,) = data
        if list(map(tuple, sample_block.columns_with_types)) != insert.columns:
            sent: int = super().send_data(sample_block, insert.decoded(), columnar=True)
            return sent
        for rows in insert.encoded:
            self._send(insert.columns, rows)
            self.receive_profile_events()
        self.connection.send_data(ColumnOrientedBlock())  # the end
        self.receive_profile_events()
        return sum(rows.rows for rows in insert.encoded)

    def _send(self, columns: Sequence[tuple[str, str]], rows: NativeRows) -> None:
        """One data packet, as the driver's Connection.send_data and BlockOutputStream.write make it."""
        connection, revision = self.connection, self.connection.server_info.used_revision
        write_varint(ClientPacketTypes.DATA, connection.fout)
        if revision >= defines.DBMS_MIN_REVISION_WITH_TEMPORARY_TABLES:
            write_binary_str("", connection.fout)
        out = connection.block_out.fout  # another one where the connection compresses
        if revision >= defines.DBMS_MIN_REVISION_WITH_BLOCK_INFO:
            BlockInfo().write(out)
        write_varint(len(columns), out)
        write_varint(rows.rows, out)
        for (name, kind), data in zip(columns, rows.columns, strict=True):
            write_binary_str(name, out)
            write_binary_str(kind, out)
            if revision >= defines.DBMS_MIN_REVISION_WITH_CUSTOM_SERIALIZATION:
                write_binary_uint8(0, out)
            out.write(data)
        connection.block_out.finalize()
