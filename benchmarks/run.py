"""What each part is given: how much to measure, where to put data, and the settings to measure under."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.sizes import Sizes
from rater.settings import Settings
from schemas.sample import CLOCK, RECORDS, generate

SEED = 20261031


@dataclass(frozen=True)
class Run:
    """One benchmark run. `folder` is empty at first and removed afterwards."""

    sizes: Sizes
    settings: Settings
    folder: Path

    def embedded(self, name: str, *, tenant: str = "", writer: bool = True) -> Settings:
        """The settings with a data folder of its own, intake's clock held after the sample's month, no metrics port."""
        settings = self.settings
        return msgspec.structs.replace(
            settings,
            engine=msgspec.structs.replace(settings.engine, data=str(self.folder / name)),
            clickhouse=msgspec.structs.replace(settings.clickhouse, writer=writer),
            intake=msgspec.structs.replace(settings.intake, clock=CLOCK, tenant=tenant),
            metrics=msgspec.structs.replace(settings.metrics, port=0),
        )

    def sample(self, events: int) -> Path:
        """The folder of a sample of so many records; made once."""
        folder = self.folder / f"sample-{events}"
        if not folder.exists():
            generate(folder, SEED, events)
        return folder

    def sample_files(self, events: int) -> list[Path]:
        """Its files of records."""
        return [self.sample(events) / name for name in RECORDS]


def cpu_us(operation: Callable[[Any], object], inputs: Sequence[Any], runs: int) -> list[float]:
    """Processor microseconds an input, one value a run, after a run that warms up.

    Processor time, since on a shared machine it says more than the clock on the wall.
    """
    for value in inputs:
        operation(value)
    found = []
    for _ in range(runs):
        started = time.thread_time()
        for value in inputs:
            operation(value)
        found.append((time.thread_time() - started) / len(inputs) * 1e6)
    return found
