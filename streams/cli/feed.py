"""Feeding files through the engine with a progress bar, up to the moment when everything stands in ClickHouse."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from rater.errors import UsageFileError
from rater.pipeline.tally import Tally
from streams.engine import Engine
from streams.file_door import FileDoor
from streams.file_progress import unfinished
from streams.usage_file import UsageFile


@dataclass
class Fed:
    """What a run came to and how long the rating took, without start-up and the wait for ClickHouse."""

    tally: Tally = field(default_factory=Tally)
    seconds: float = 0.0
    #: What is wrong with files that could not be read to their end.
    faults: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Raise what is wrong with files, once the rest is reported."""
        if self.faults:
            raise UsageFileError("\n".join(self.faults))


def progress_bar() -> Progress:
    """On standard error, so that standard output stays the summary."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:>9,.0f}/s"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


async def feed_files(engine: Engine, files: Sequence[Path], tenant: str = "", source: str = "") -> Fed:
    """Rate every record of the files, then wait until crossings are published and records are in ClickHouse."""
    settings = engine.parts.settings
    intake = msgspec.structs.replace(settings.intake, tenant=tenant, source=source)
    fed = Fed()
    with progress_bar() as progress:
        for path in files:
            file, door = UsageFile(path), FileDoor(path, settings.data / "files", intake)
            total = file.count()
            task = progress.add_task(path.name, total=total, completed=door.read, rate=0.0)
            started = time.perf_counter()

            def advance(task: TaskID = task, door: FileDoor = door, started: float = started) -> None:
                seconds = max(time.perf_counter() - started, 1e-9)
                progress.update(task, completed=door.read, rate=door.tally.events / seconds)

            try:
                if not door.is_begun:  # before any of it is charged: what stands before the damage may be wrong too
                    file.check()
                await door.run(engine.pipeline, engine.sink, engine.parts.clock_ms, engine.crew, advance)
            except UsageFileError as error:
                fed.faults.append(f"{error}; {door.read:,} of its records were rated")
            fed.tally.add(door.tally)
            fed.seconds += time.perf_counter() - started
    await engine.settle_down()
    if not unfinished(settings.data / "files"):
        await engine.rotate(engine.parts.clock_ms())
    return fed
