"""How far usage files were read: a small file each, by the usage file's fingerprint.

It is replaced whole where a run begins and ends, and written over in place in between: so few bytes of a page that no
kill can tear them, and always the same number, so that a power cut leaves no gap.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

#: Blanks behind the JSON at a run's beginning: room for the digits of its position.
ROOM_BYTES = 20


class Progress(msgspec.Struct):
    """How far a file was read: the next record's number, and in which run."""

    file: str
    run: int = 0
    position: int = 0
    done: bool = False


class ProgressFile:
    """The progress of one file, and where it is kept."""

    def __init__(self, path: Path, file: Path) -> None:
        self._path = path
        known = _load(path) if path.exists() else None
        #: Whether a run of it was cut short.
        self.is_begun = known is not None and not known.done
        if known is None:
            known = Progress(str(file))
        elif known.done:
            known = Progress(str(file), known.run + 1)
        self.progress = known
        self._size = len(msgspec.json.encode(known)) + ROOM_BYTES

    @contextmanager
    def run(self) -> Iterator[None]:
        """Keep the progress of a run; if that comes to its end, the file is read."""
        with self._replaced() as self._kept:
            yield
        self.progress.done = True
        self._replaced().close()

    def reached(self, position: int) -> None:
        """Everything before this position is dealt with."""
        self.progress.position = position
        os.pwrite(self._kept.fileno(), self._packed(), 0)

    def _replaced(self) -> BinaryIO:
        """The file, written whole and on disk."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".tmp")
        file = temporary.open("wb")
        file.write(self._packed())
        file.flush()
        os.fsync(file.fileno())
        temporary.replace(self._path)
        return file

    def _packed(self) -> bytes:
        return msgspec.json.encode(self.progress).ljust(self._size)


def unfinished(folder: Path) -> list[str]:
    """Files whose reading was cut short: what was decided of them may still be asked for."""
    found = map(_load, folder.glob("*.json"))
    return [progress.file for progress in found if not progress.done]


def _load(path: Path) -> Progress:
    return msgspec.json.decode(path.read_bytes(), type=Progress)
