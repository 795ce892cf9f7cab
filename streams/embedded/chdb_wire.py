"""What the ClickHouse process and its clients say to each other over a unix socket.

A message is eight bytes of length, big-endian, and that many bytes of msgpack.

    request   [sql, output format]
    reply     [true, bytes]           the result in the format asked for
              [false, text]           ClickHouse's own error text
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import msgpack

HEADER = struct.Struct(">Q")
#: A message beyond this is a mistake, not a batch; also keeps a stray client from filling the memory.
MESSAGE_BYTES_MAX = 1 << 30

Request = list[object]


def query_request(sql: str, fmt: str) -> bytes:
    """A framed request for a query's result in `fmt`."""
    return frame([sql, fmt])


def frame(message: Sequence[object]) -> bytes:
    """Length and body."""
    body: bytes = msgpack.packb(message)
    return HEADER.pack(len(body)) + body


def body_bytes(header: bytes) -> int:
    """Length of the body that follows this header.

    Raises:
        ValueError: longer than any message may be.
    """
    length: int = HEADER.unpack(header)[0]
    if length > MESSAGE_BYTES_MAX:
        raise ValueError(f"a message of {length} bytes is longer than {MESSAGE_BYTES_MAX}")
    return length


def unpack(body: bytes) -> Request:
    """The message in a body."""
    message: Request = msgpack.unpackb(body, max_bin_len=MESSAGE_BYTES_MAX, max_str_len=MESSAGE_BYTES_MAX)
    return message
