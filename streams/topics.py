"""Where outputs go: topics by name, and the two things that carry them, Kafka or a folder of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

RATED = "rated"
REFUSED = "refused"
PARKED = "parked"
DEAD_LETTERS = "dead-letters"
LIFECYCLE = "lifecycle"
JOURNAL = "wallet-journal"

#: Every topic the engine writes.
ALL = (RATED, REFUSED, PARKED, DEAD_LETTERS, LIFECYCLE, JOURNAL)

#: (key, value) by topic, each topic's in order.
Messages = Mapping[str, Sequence[tuple[bytes, bytes]]]


class TopicRecord(NamedTuple):
    """One message read back: where it stood and what it says."""

    topic: str
    partition: int
    offset: int
    value: bytes


class Sink(Protocol):
    """Carries messages to topics."""

    async def publish(self, messages: Messages) -> None:
        """Return once every message is delivered; messages with one key keep their order."""

    async def close(self) -> None:
        """Let go of files and connections."""


class Source(Protocol):
    """Reads topics back with a cursor of its own."""

    async def read(self, rows_max: int, timeout_s: float) -> list[TopicRecord]:
        """The next records, fewer or none when the time is up."""

    async def commit(self) -> None:
        """Remember that everything read so far was dealt with."""

    async def close(self) -> None:
        """Let go of files and connections."""
