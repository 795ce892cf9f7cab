"""Writes traffic to a file, one event a line, plain or gzip by its name."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

from rater.errors import SettingError
from streams.load.traffic import Page


class FileSender:
    """The file is begun anew; the same events make the same bytes."""

    batch = 0

    def __init__(self, path: Path) -> None:
        if not path.name.endswith((".jsonl", ".jsonl.gz")):
            raise SettingError(f"{path}: the file is .jsonl or .jsonl.gz")
        self.failed: Counter[str] = Counter()
        try:
            self._plain = path.open("wb")
        except OSError as error:
            raise SettingError(f"{path}: {error.strerror}") from error
        self._file: BinaryIO | gzip.GzipFile = self._plain
        if path.suffix == ".gz":
            # Without a name and a time in it; fast rather than small.
            self._file = gzip.GzipFile(filename="", fileobj=self._plain, mode="wb", compresslevel=1, mtime=0)

    def ready(self, page: Page) -> Callable[[], Awaitable[None]]:
        """The page as lines. A line feed would end an event too early, so damage has none in it."""
        return partial(self._write, b"\n".join(page.values) + b"\n")

    async def _write(self, lines: bytes) -> None:
        self._file.write(lines)

    async def finish(self) -> None:
        """Close the file."""
        self._file.close()
        self._plain.close()
