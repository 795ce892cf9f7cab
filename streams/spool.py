"""Topics as files: what stands in for Kafka on one machine. `DATA/topics/<topic>/<number>.jsonl`; here they are read.

How they are written: streams/segments.py.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

from streams.segments import locked, segments, whole_bytes
from streams.topics import LEDGER, Ends, Page

#: Read at a time: thousands of lines, and little to hold.
PAGE_BYTES = 4 * 1024 * 1024

#: Number of a segment, and a byte in it.
Place = tuple[int, int]


def _whole_lines(file: BinaryIO, rows_max: int) -> list[bytes]:
    """The next lines without their ends, about PAGE_BYTES of them, never half a one."""
    data = file.read(PAGE_BYTES)
    if not data.endswith(b"\n"):
        data += file.readline()
    values = data.split(b"\n")
    values.pop()  # empty, or half a line
    return values[:rows_max]


class SpoolSource:
    """Follows topic files for one group; the cursor is a small file, replaced whole at each commit.

    Two commands may follow for the same group at the same time. Both then deal with the same records, which is harmless
    where dealing with them twice is; the cursor only ever moves forward, and the slower one goes on where it stands.
    """

    def __init__(self, folder: Path, group: str, topics: Sequence[str] = LEDGER) -> None:
        self._folder = folder
        self._topics = topics
        self._cursor_path = _cursor_path(folder, group)
        self._cursors = _stored(self._cursor_path)

    async def read(self, rows_max: int, timeout_s: float) -> list[Page]:
        """The next records of any topic, waiting up to `timeout_s` for the first."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            pages = await asyncio.to_thread(self._read, rows_max)
            if pages or asyncio.get_running_loop().time() >= deadline:
                return pages
            await asyncio.sleep(min(0.05, timeout_s))

    def _read(self, rows_max: int) -> list[Page]:
        pages: list[Page] = []
        for topic in self._topics:
            for page in self._read_topic(topic, rows_max):
                pages.append(page)
                rows_max -= len(page.values)
        return pages

    def _read_topic(self, topic: str, rows_max: int) -> Iterator[Page]:
        segment, offset = self._cursors.get(topic, (0, 0))
        for path in segments(self._folder / topic):
            number = int(path.stem)
            if number < segment:
                continue
            if number > segment:
                segment, offset = number, 0
            with path.open("rb") as file:
                file.seek(offset)
                while rows_max and (values := _whole_lines(file, rows_max)):
                    *offsets, offset = accumulate((len(value) + 1 for value in values), initial=offset)
                    self._cursors[topic] = (segment, offset)
                    yield Page(topic, segment, offsets, values)
                    rows_max -= len(values)
                    file.seek(offset)
                if rows_max == 0 or offset != file.seek(0, os.SEEK_END):
                    return  # enough, or half a line: what is in the next segment comes after its end

    async def commit(self) -> None:
        """Replace the cursor file; a crash leaves the old or the new one, never half."""
        with locked(self._cursor_path.parent):  # another command of the group may be further by now
            stored = _stored(self._cursor_path)
            for topic, place in stored.items():
                self._cursors[topic] = max(place, self._cursors.get(topic, place))
            temporary = self._cursor_path.with_suffix(".tmp")
            temporary.write_text(json.dumps(self._cursors))
            temporary.replace(self._cursor_path)

    async def close(self) -> None:
        """Nothing is held open between reads."""


class SpoolCursor:
    """How far a group has come in topic files. See Cursor."""

    def __init__(self, folder: Path, group: str, topics: Sequence[str] = LEDGER) -> None:
        self._folder = folder
        self._topics = topics
        self._cursor_path = _cursor_path(folder, group)

    async def ends(self) -> Ends:
        """The last whole line of each topic that has one: (segment, where it ends)."""
        found: dict[str, Place] = {}
        for topic in self._topics:
            for path in segments(self._folder / topic)[-2:]:  # the last may hold no whole line yet
                with path.open("rb", buffering=0) as file:
                    if end := whole_bytes(file.fileno()):
                        found[topic] = (int(path.stem), end)
        return found

    async def reached(self, ends: Ends) -> bool:
        """See Cursor."""
        stored = _stored(self._cursor_path)
        return all(stored.get(topic, (0, 0)) >= end for topic, end in ends.items())

    async def close(self) -> None:
        """Nothing is held open."""


async def begin_at_end(folder: Path, group: str, topics: Sequence[str]) -> None:
    """Let a group that has not read yet begin behind what stands in the topics now."""
    path = _cursor_path(folder, group)
    with locked(path.parent):  # of two that begin at the same time one does
        if not path.exists():
            ends = await SpoolCursor(folder, group, topics).ends()
            temporary = path.with_suffix(".tmp")
            temporary.write_text(json.dumps(ends))
            temporary.replace(path)


def _cursor_path(folder: Path, group: str) -> Path:
    return folder / ".cursors" / f"{group}.json"


def _stored(path: Path) -> dict[str, Place]:
    try:
        stored = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return {topic: (segment, offset) for topic, (segment, offset) in stored.items()}
