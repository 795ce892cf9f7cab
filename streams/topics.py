"""Where outputs go: topics by name, and the two things that carry them, Kafka or a folder of files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

RATED = "rated"
REFUSED = "refused"
PARKED = "parked"
DEAD_LETTERS = "dead-letters"
LIFECYCLE = "lifecycle"
JOURNAL = "wallet-journal"
NOTICES = "notices"

#: What ClickHouse keeps.
LEDGER = (RATED, REFUSED, PARKED, DEAD_LETTERS, LIFECYCLE, JOURNAL)
#: Every topic the engine writes.
ALL = (*LEDGER, NOTICES)

#: (key, value) by topic, each topic's in order.
Messages = Mapping[str, Sequence[tuple[bytes, bytes]]]


class TopicRecord(NamedTuple):
    """One message read back: where it stood and what it says."""

    topic: str
    partition: int
    offset: int
    value: bytes


class Page(NamedTuple):
    """Messages of one partition, in order, read back together: an object for each would cost as much as its check."""

    topic: str
    partition: int
    offsets: Sequence[int]
    values: Sequence[bytes]

    def record(self, index: int) -> TopicRecord:
        """One of them."""
        return TopicRecord(self.topic, self.partition, self.offsets[index], self.values[index])


def records_of(pages: Iterable[Page]) -> list[TopicRecord]:
    """The messages of pages, one by one."""
    return [page.record(index) for page in pages for index in range(len(page.values))]


class Sink(Protocol):
    """Carries messages to topics."""

    async def publish(self, messages: Messages) -> None:
        """Return once every message is delivered; messages with one key keep their order."""

    async def close(self) -> None:
        """Let go of files and connections."""


class Source(Protocol):
    """Reads topics back with a cursor of its own."""

    async def read(self, rows_max: int, timeout_s: float) -> list[Page]:
        """The next records, fewer or none when the time is up."""

    async def commit(self) -> None:
        """Remember that everything read so far was dealt with."""

    async def close(self) -> None:
        """Let go of files and connections."""


#: Where topics end, by whatever their carrier calls a place in them.
Ends = Mapping[Any, Any]


class Cursor(Protocol):
    """How far a group has come in the topics, seen from outside: what it committed, never what it says of itself."""

    async def ends(self) -> Ends:
        """Where the topics end now."""

    async def reached(self, ends: Ends) -> bool:
        """Whether the group has committed everything before these ends."""

    async def close(self) -> None:
        """Let go of connections."""
