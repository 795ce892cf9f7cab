"""Usage from files: JSON lines or CSV, gzip or not. Resumable, and safe to run twice.

Progress is kept beside the data (streams/file_progress.py) and is written only after a batch is safe. A run that was
cut short goes on where it stopped, under the same run number, so what was decided but not delivered is a redelivery and
its records are rebuilt. A file that was read to its end and is given again is a new run: every event that was decided
is a duplicate.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

from rater.pipeline.batch import Batch, Door, RawEvent
from rater.pipeline.pipeline import Pipeline
from rater.pipeline.settle import Outputs
from rater.pipeline.tally import Tally
from rater.settings import IntakeSettings
from streams.conveyor import Conveyor
from streams.crew import Crew
from streams.file_progress import Progress, ProgressFile
from streams.topics import Sink
from streams.usage_file import UsageFile

#: So much of the start of a file, with its size, tells it from another.
FINGERPRINT_BYTES = 1024 * 1024


class FileDoor:
    """Reads one file through the conveyor."""

    def __init__(self, path: Path, progress_folder: Path, settings: IntakeSettings) -> None:
        self._file = UsageFile(path)
        self._settings = settings
        digest = _fingerprint(path)
        self._progress = ProgressFile(progress_folder / f"{digest}.json", path)
        self._door = Door(f"file:{path.name}#{digest}:{self.progress.run}")
        self.tally = Tally()

    @property
    def progress(self) -> Progress:
        """How far it was read."""
        return self._progress.progress

    @property
    def read(self) -> int:
        """Records of the file that are dealt with."""
        return self.progress.position

    @property
    def is_begun(self) -> bool:
        """Whether a run of it was cut short; what that had decided may still have to be delivered."""
        return self._progress.is_begun

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
            self._progress.reached(delivered[-1].batch.receipt)
            on_progress()

        with self._progress.run():
            async with Conveyor(pipeline, sink, acknowledge, beside) as conveyor:
                for events in self._batches():
                    await conveyor.put(self._batch(events, clock_ms()))
                await conveyor.drain()
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


def _fingerprint(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(FINGERPRINT_BYTES)
        size = os.fstat(file.fileno()).st_size
    return blake2b(head + str(size).encode() + path.name.encode(), digest_size=8).hexdigest()
