"""A topic's folder of segments: `<number>.jsonl`, one message a line, all but the last closed.

Any number of processes may append; a lock on the topic keeps their lines whole. A process killed in the middle of a
write leaves half a line at the end: it was never acknowledged, so the next writer cuts it off, and readers stop before
it. Segments are never changed once the next one exists, so they can be archived or shipped as they are.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def segments(folder: Path) -> list[Path]:
    """The segments of a topic, in order."""
    return sorted(folder.glob("*.jsonl"))


def next_segment(path: Path) -> Path:
    """The one that follows a segment."""
    return path.with_stem(f"{int(path.stem) + 1:08d}")


@contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[bool]:
    """Keep other writers out, in this process too; without waiting, whether that was possible at once."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def whole_bytes(descriptor: int) -> int:
    """Where the last whole line ends."""
    end = os.lseek(descriptor, 0, os.SEEK_END)
    while end and os.pread(descriptor, 1, end - 1) != b"\n":
        start = max(0, end - 65536)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        end = start + found + 1 if found >= 0 else start
    return end


def cut_torn_tail(path: Path) -> int:
    """Cut off half a line at the end; answers the size that is left."""
    with path.open("r+b", buffering=0) as file:
        end = whole_bytes(file.fileno())
        if end != os.fstat(file.fileno()).st_size:
            file.truncate(end)
        return end
