"""Topics as files, as tests write and read them: a sink that breaks on the way, and what came to a topic."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import orjson

from streams.spool_sink import SpoolSink
from streams.topics import ALL, Messages


class SinkError(Exception):
    """What a sink that breaks raises; it is none of the errors that the engine waits out."""


class BreakingSink(SpoolSink):
    """A spool that takes so many deliveries and breaks at the next.

    That one is lost `whole`, comes through in `part` (its first topic), or comes through though nobody is `told`.
    """

    def __init__(self, folder: Path, deliveries: int, lost: Literal["whole", "part", "told"] = "whole") -> None:
        super().__init__(folder)
        self._left = deliveries
        self._lost = lost
        #: What the delivery that broke would have brought.
        self.tried: Messages = {}

    async def publish(self, messages: Messages) -> None:
        """Deliver, or break."""
        if self._left:
            self._left -= 1
            await super().publish(messages)
            return
        self.tried = messages
        if self._lost != "whole":
            through = list(messages) if self._lost == "told" else list(messages)[:1]
            await super().publish({topic: messages[topic] for topic in through})
        raise SinkError("the disk is full")


def lines(folder: Path, topic: str) -> list[bytes]:
    """Every message of a topic, in order, as it was delivered."""
    segments = sorted((folder / topic).glob("*.jsonl"))
    return [line for segment in segments for line in segment.read_bytes().splitlines()]


def records(folder: Path, topic: str) -> list[dict[str, Any]]:
    """The same, decoded."""
    return [orjson.loads(line) for line in lines(folder, topic)]


def delivered(folder: Path) -> Iterator[tuple[str, bytes]]:
    """(topic, message) of all topics."""
    for topic in ALL:
        for line in lines(folder, topic):
            yield topic, line
