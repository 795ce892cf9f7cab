"""Usage from files: JSON lines or CSV, gzip or not. Resumable, and safe to run twice.

Progress is kept beside the data, by the file's own fingerprint, and is written only after a batch is safe. A run that
was cut short goes on where it stopped, under the same run number, so what was decided but not delivered is a
redelivery and its records are rebuilt. A file that was read to its end and is given again is a new run: every event
that was decided is a duplicate.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec

from rater.pipeline.batch import Batch, Door, RawEvent
from rater.pipeline.pipeline import Pipeline
from rater.pipeline.settle import Outputs
from rater.pipeline.tally import Tally
from rater.settings import IntakeSettings
from streams.conveyor import Conveyor
from streams.crew import Crew
from streams.topics import Sink
from streams.usage_file import UsageFile

#: So much of the start of a file, with its size, tells it from another.
FINGERPRINT_BYTES = 1024 * 1024


class Progress(msgspec.Struct):
    """How far a file was read: the next record's number, and in which run."""

    file: str
    run: int = 0
    position: int = 0
    done: bool = False


class FileDoor:
    """Reads one file through the conveyor."""

    def __init__(self, path: Path, progress_folder: Path, settings: IntakeSettings) -> None:
        self._file = UsageFile(path)
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
        name = str(self._file.path)
        if not self._progress_path.exists():
            return Progress(name)
        progress = msgspec.json.decode(self._progress_path.read_bytes(), type=Progress)
        if progress.done:
            return Progress(name, progress.run + 1)
        return progress

    def _save(self) -> None:
        """Replace the file whole."""
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
        """Feed every record that is not acknowledged yet; answers what this run came to.

        Raises:
            UsageFileError: it is damaged; what could be read of it is dealt with, and nothing of it is waited for.
        """

        async def acknowledge(delivered: Sequence[Outputs]) -> None:
            for outputs in delivered:
                self.tally.add(outputs.tally)
            assert isinstance(delivered[-1].batch.receipt, int)
            self.progress.position = delivered[-1].batch.receipt
            # In place, which no kill can tear: so few bytes of a page. In a run they only become more.
            os.pwrite(kept.fileno(), msgspec.json.encode(self.progress), 0)
            on_progress()

        self._save()
        with self._progress_path.open("r+b") as kept:
            async with Conveyor(pipeline, sink, acknowledge, beside) as conveyor:
                for events in self._batches():
                    await conveyor.put(self._batch(events, clock_ms()))
                await conveyor.drain()
        self.progress.done = True
        self._save()
        self._file.check()
        return self.tally

    def _batch(self, events: list[RawEvent], now_ms: int) -> Batch:
        intake, position = self._settings, events[-1].position + 1
        return Batch(events, now_ms, intake.format, intake.tenant, intake.source, receipt=position)

    def _batches(self) -> Iterator[list[RawEvent]]:
        size, door, position = self._settings.batch_events, self._door, 0
        events: list[RawEvent] = []
        for values in self._file.blocks():
            known = max(0, self.progress.position - position)
            events += [RawEvent(value, door, number) for number, value in enumerate(values[known:], position + known)]
            position += len(values)
            while len(events) >= size:
                yield events[:size]
                del events[:size]
        if events:
            yield events


def unfinished(progress_folder: Path) -> list[str]:
    """Files whose reading was cut short: what was decided of them may still be asked for."""
    found = (msgspec.json.decode(path.read_bytes(), type=Progress) for path in progress_folder.glob("*.json"))
    return [progress.file for progress in found if not progress.done]


def _fingerprint(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(FINGERPRINT_BYTES)
        size = os.fstat(file.fileno()).st_size
    return blake2b(head + str(size).encode() + path.name.encode(), digest_size=8).hexdigest()
