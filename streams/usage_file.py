"""The raw records of a usage file: JSON lines or CSV, gzip or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from isal import igzip, isal_zlib

from rater.errors import UsageFileError
from schemas.adapters.csv_records import CsvRecords

#: Read at a time. So much is unpacked and cut into lines while it is in the nearest cache.
BLOCK_BYTES = 64 * 1024
#: What reading damaged gzip data raises (isal's types say that its error is an instance).
DAMAGED: tuple[type[Exception], ...] = (EOFError, igzip.BadGzipFile, isal_zlib.error)  # type: ignore[assignment]


class UsageFile:
    """One file. Where its gzip data break off it ends with the last whole line, and says so when it is checked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._damage = ""
        self._read = 0

    def blocks(self) -> Iterator[Sequence[bytes]]:
        """The records in order, some at a time; a CSV row as the JSON object it stands for."""
        self._read = 0
        take: Callable[[list[bytes]], list[bytes]] = CsvRecords().take if ".csv" in self.path.suffixes else _whole
        for lines in self._lines():
            records = take(lines)
            self._read += len(records)
            yield records

    def records(self) -> Iterator[bytes]:
        """The same, one by one.

        Raises:
            UsageFileError: see `check`.
        """
        yield from chain.from_iterable(self.blocks())
        self.check()

    def count(self) -> int:
        """How many records it holds, by its lines."""
        lines, end = 0, b"\n"
        for chunk in self._chunks():
            lines += chunk.count(b"\n")
            end = chunk[-1:]
        is_last = end != b"\n" and not self._damage
        self._read = max(0, lines + is_last - (".csv" in self.path.suffixes))
        return self._read

    def check(self) -> None:
        """Raise what kept the file from being read to its end.

        Raises:
            UsageFileError: names the file and how many records were read.
        """
        if self._damage:
            raise UsageFileError(f"{self.path}: damaged behind record {self._read:,}: {self._damage}")

    def _lines(self) -> Iterator[list[bytes]]:
        """Lines without their ends; of a line in several chunks each byte is moved once."""
        parts: list[bytes] = []
        for chunk in self._chunks():
            lines = chunk.split(b"\n")
            if len(lines) > 1:
                lines[0] = b"".join([*parts, lines[0]])
                parts = [lines.pop()]
                yield lines
            else:
                parts.append(chunk)
        if any(parts) and not self._damage:
            yield [b"".join(parts)]

    def _chunks(self) -> Iterator[bytes]:
        self._damage = ""
        with self._open() as file:
            while True:
                try:
                    chunk = file.read(BLOCK_BYTES)
                except DAMAGED as error:
                    self._damage = str(error) or type(error).__name__
                    return
                if not chunk:
                    return
                yield chunk

    def _open(self) -> BinaryIO:
        if self.path.suffix != ".gz":
            return self.path.open("rb")
        # A third of the processor that the standard library's gzip takes.
        file: BinaryIO = igzip.open(self.path, "rb")  # type: ignore[no-untyped-call]
        return file


def _whole(lines: list[bytes]) -> list[bytes]:
    """Each line that is not empty as a record."""
    return [record for line in lines if (record := line.rstrip(b"\r"))]
