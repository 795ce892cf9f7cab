"""Usage from files: JSON lines or CSV, gzip or not. Resumable, and safe to run twice.

Progress is kept beside the data, by the file's own fingerprint, and is written only after a batch is safe. A run that
was cut short goes on where it stopped, under the same run number, so what was decided but not delivered is a
redelivery and its records are rebuilt. A file that was read to its end and is given again is a new run: every event
that was decided is a duplicate.
"""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import msgspec

from rater.pipeline.batch import Batch, Door, RawEvent
from rater.pipeline.pipeline import Pipeline
from rater.pipeline.settle import Outputs
from rater.pipeline.tally import Tally
from rater.settings import IntakeSettings
from schemas.adapters.csv_records import csv_records
from streams.conveyor import Conveyor
from streams.crew import Crew
from streams.topics import Sink

#: So much of the start of a file, with its size, tells it from another.
FINGERPRINT_BYTES = 1024 * 1024
#: Unpacked at a time; of a file that was cut off, the last so many are not read.
READ_BYTES = 64 * 1024


class Progress(msgspec.Struct):
    """How far a file was read: the next record's number, and in which run."""

    file: str
    run: int = 0
    position: int = 0
    done: bool = False


class FileDoor:
    """Reads one file through the conveyor."""

    def __init__(self, path: Path, progress_folder: Path, settings: IntakeSettings) -> None:
        self.path = path
        self._settings = settings
        digest = _fingerprint(path)
        self._progress_path = progress_folder / f"{digest}.json"
        self.progress = self._load()
        self._door = Door(f"file:{path.name}#{digest}:{self.progress.run}")
        self.tally = Tally()

    @property
    def read(self) -> int:
        """Records of the file that are dealt with."""
        return self.progress.position

    def _load(self) -> Progress:
        if not self._progress_path.exists():
            return Progress(str(self.path))
        progress = msgspec.json.decode(self._progress_path.read_bytes(), type=Progress)
        if progress.done:
            return Progress(str(self.path), progress.run + 1)
        return progress

    def _save(self) -> None:
        self._progress_path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._progress_path.with_suffix(".tmp")
        temporary.write_bytes(msgspec.json.encode(self.progress))
        temporary.replace(self._progress_path)

    async def run(
        self,
        pipeline: Pipeline,
        sink: Sink,
        clock_ms: Callable[[], int],
        beside: Crew | None = None,
        on_progress: Callable[[], None] = lambda: None,
    ) -> Tally:
        """Feed every record that is not acknowledged yet; answers what this run came to."""

        async def acknowledge(delivered: Sequence[Outputs]) -> None:
            for outputs in delivered:
                self.tally.add(outputs.tally)
            assert isinstance(delivered[-1].batch.receipt, int)
            self.progress.position = delivered[-1].batch.receipt
            self._save()
            on_progress()

        self._save()
        settings = self._settings
        async with Conveyor(pipeline, sink, acknowledge, beside) as conveyor:
            for events in self._batches():
                position = events[-1].position + 1
                batch = Batch(events, clock_ms(), settings.format, settings.tenant, settings.source, receipt=position)
                await conveyor.put(batch)
            await conveyor.drain()
        self.progress.done = True
        self._save()
        return self.tally

    def _batches(self) -> Iterator[list[RawEvent]]:
        events: list[RawEvent] = []
        for position, value in enumerate(read_records(self.path)):
            if position < self.progress.position:
                continue
            events.append(RawEvent(value, self._door, position))
            if len(events) == self._settings.batch_events:
                yield events
                events = []
        if events:
            yield events


def unfinished(progress_folder: Path) -> list[str]:
    """Files whose reading was cut short: what was decided of them may still be asked for."""
    found = (msgspec.json.decode(path.read_bytes(), type=Progress) for path in progress_folder.glob("*.json"))
    return [progress.file for progress in found if not progress.done]


def read_records(path: Path) -> Iterator[bytes]:
    """The raw records of a file in order; a CSV row as the JSON object it stands for."""
    with _open(path) as file:
        if ".csv" in path.suffixes:
            yield from csv_records(file)
        else:
            yield from (line for line in (raw.rstrip(b"\r\n") for raw in file) if line)


def count_records(path: Path) -> int:
    """How many records a file holds, for the progress bar; lines are counted, not read."""
    lines, end = 0, b"\n"
    with _open(path) as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            lines += chunk.count(b"\n")
            end = chunk[-1:]
    header = ".csv" in path.suffixes
    return lines + (end != b"\n") - header


def _open(path: Path) -> BinaryIO:
    if path.suffix != ".gz":
        return path.open("rb")
    # Lines of gzip's own files are cut in Python.
    return io.BufferedReader(gzip.open(path, "rb"), READ_BYTES)


def _fingerprint(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(FINGERPRINT_BYTES)
        size = os.fstat(file.fileno()).st_size
    return blake2b(head + str(size).encode() + path.name.encode(), digest_size=8).hexdigest()
