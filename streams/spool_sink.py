"""Writes topics as files. See streams/segments.py."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from streams.segments import cut_torn_tail, locked, next_segment, segments
from streams.topics import Messages

#: A segment is closed at this size; small enough to open in an editor's pager, large enough to be few.
SEGMENT_BYTES = 256 * 1024 * 1024


class SpoolSink:
    """Appends messages to topic files. `fsync` waits for the disk too (durability `machine`)."""

    def __init__(self, folder: Path, *, fsync: bool = False, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._fsync = fsync
        self._segment_bytes = segment_bytes
        self._last: dict[str, _Segment] = {}

    async def publish(self, messages: Messages) -> None:
        """Append all messages; they are with the operating system (kill -9 keeps them) when this returns."""
        for topic, pairs in messages.items():
            if pairs:
                data = b"\n".join([*[value for _, value in pairs], b""])
                # A thread only where there is something to wait for: it would hand the interpreter over at each call.
                if self._fsync or not self._append(topic, data, wait=False):
                    await asyncio.to_thread(self._append, topic, data, wait=True)

    def _append(self, topic: str, data: bytes, *, wait: bool) -> bool:
        with locked(self._folder / topic, wait=wait) as is_ours:
            if not is_ours:
                return False
            segment = self._current(topic)
            segment.append(data)
            if self._fsync:
                os.fdatasync(segment.file.fileno())
            return True

    def _current(self, topic: str) -> _Segment:
        """The topic's last segment, ours still or opened anew."""
        segment = self._last.get(topic)
        if segment is not None:
            if segment.size < self._segment_bytes and segment.is_as_left():
                return segment
            self._last.pop(topic).file.close()
        segment = self._last[topic] = self._opened(self._folder / topic)
        return segment

    def _opened(self, folder: Path) -> _Segment:
        found = segments(folder)
        path = found[-1] if found else folder / "00000000.jsonl"
        # Before the segment is closed: readers stop before half a line, and would never reach the next segment.
        if path.exists() and cut_torn_tail(path) >= self._segment_bytes:
            path = next_segment(path)
        return _Segment(path)

    async def close(self) -> None:
        """Let go of the files, once nobody writes to them."""
        for topic in list(self._last):
            await asyncio.to_thread(self._close, topic)

    def _close(self, topic: str) -> None:
        with locked(self._folder / topic):
            self._last.pop(topic).file.close()


class _Segment:
    """The last segment of a topic, as it was left. Used under the topic's lock only."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("ab", buffering=0)
        self._path, self._next = path, next_segment(path)
        found = os.fstat(self.file.fileno())
        self.size, self._inode = found.st_size, found.st_ino

    def is_as_left(self) -> bool:
        """Whether nobody wrote to it or took it away since: it ends with a whole line, and is the last one still."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return False
        return found.st_size == self.size and found.st_ino == self._inode and not self._next.exists()

    def append(self, data: bytes) -> None:
        """Write it all; what a failure leaves of it changes the size, so that it is seen and cut off."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.file.fileno(), view) :]
        self.size += len(data)
