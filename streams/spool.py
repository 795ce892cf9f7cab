"""Topics as files: what stands in for Kafka on one machine. `DATA/topics/<topic>/<number>.jsonl`, one message a line.

Any number of processes may append; a lock on the topic keeps their lines whole. A process killed in the middle of a
write leaves half a line at the end: it was never acknowledged, so the next writer cuts it off, and readers stop before
it. Segments are never changed once the next one exists, so they can be archived or shipped as they are.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from streams.topics import ALL, Messages, TopicRecord

#: A segment is closed at this size; small enough to open in an editor's pager, large enough to be few.
SEGMENT_BYTES = 256 * 1024 * 1024


def _segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


class SpoolSink:
    """Appends messages to topic files. `fsync` waits for the disk too (durability `machine`)."""

    def __init__(self, folder: Path, *, fsync: bool = False, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._fsync = fsync
        self._segment_bytes = segment_bytes

    async def publish(self, messages: Messages) -> None:
        """Append all messages; they are with the operating system (kill -9 keeps them) when this returns."""
        await asyncio.to_thread(self._publish, messages)

    def _publish(self, messages: Messages) -> None:
        for topic, pairs in messages.items():
            if pairs:
                self._append(topic, b"".join(value + b"\n" for _, value in pairs))

    def _append(self, topic: str, data: bytes) -> None:
        with _locked(self._folder / topic) as folder:
            segments = _segments(folder)
            path = segments[-1] if segments else folder / "00000000.jsonl"
            # Before the segment is closed: readers stop before half a line, and would never reach the next segment.
            if path.exists() and _cut_torn_tail(path) >= self._segment_bytes:
                path = folder / f"{int(path.stem) + 1:08d}.jsonl"
            with path.open("ab", buffering=0) as file:
                view = memoryview(data)
                while view:
                    view = view[os.write(file.fileno(), view) :]
                if self._fsync:
                    os.fdatasync(file.fileno())

    async def close(self) -> None:
        """Nothing is held open between batches."""


@contextmanager
def _locked(folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def _cut_torn_tail(path: Path) -> int:
    """Cut off half a line at the end; answers the size that is left."""
    with path.open("r+b", buffering=0) as file:
        size = end = file.seek(0, os.SEEK_END)
        while end and os.pread(file.fileno(), 1, end - 1) != b"\n":
            start = max(0, end - 65536)
            found = os.pread(file.fileno(), end - start, start).rfind(b"\n")
            end = start + found + 1 if found >= 0 else start
        if end != size:
            file.truncate(end)
        return end


class SpoolSource:
    """Follows topic files for one group; the cursor is a small file, replaced whole at each commit."""

    def __init__(self, folder: Path, group: str, topics: Sequence[str] = ALL) -> None:
        self._folder = folder
        self._topics = topics
        self._cursor_path = folder / ".cursors" / f"{group}.json"
        self._cursors: dict[str, tuple[int, int]] = {}
        if self._cursor_path.exists():
            stored = json.loads(self._cursor_path.read_text())
            self._cursors = {topic: (segment, offset) for topic, (segment, offset) in stored.items()}

    async def read(self, rows_max: int, timeout_s: float) -> list[TopicRecord]:
        """The next records of any topic, waiting up to `timeout_s` for the first."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            records = await asyncio.to_thread(self._read, rows_max)
            if records or asyncio.get_running_loop().time() >= deadline:
                return records
            await asyncio.sleep(min(0.05, timeout_s))

    def _read(self, rows_max: int) -> list[TopicRecord]:
        records: list[TopicRecord] = []
        for topic in self._topics:
            if len(records) < rows_max:
                records.extend(self._read_topic(topic, rows_max - len(records)))
        return records

    def _read_topic(self, topic: str, rows_max: int) -> Iterator[TopicRecord]:
        segment, offset = self._cursors.get(topic, (0, 0))
        for path in _segments(self._folder / topic):
            number = int(path.stem)
            if number < segment:
                continue
            if number > segment:
                segment, offset = number, 0
            with path.open("rb") as file:
                file.seek(offset)
                for line in file:
                    if rows_max == 0 or not line.endswith(b"\n"):
                        return
                    yield TopicRecord(topic, segment, offset, line[:-1])
                    rows_max -= 1
                    offset += len(line)
                    self._cursors[topic] = (segment, offset)

    async def commit(self) -> None:
        """Replace the cursor file; a crash leaves the old or the new one, never half."""
        self._cursor_path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._cursor_path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._cursors))
        temporary.replace(self._cursor_path)

    async def close(self) -> None:
        """Nothing is held open between reads."""
