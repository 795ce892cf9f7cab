"""A run's data folders: a fleet is loaded once, used by its stages, and removed when they are done."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.figures import Part
from benchmarks.full.needs import check_needs
from benchmarks.full.scales import Scale
from benchmarks.full.state import StateFile
from benchmarks.loading import come_to, discard_outbox, load
from benchmarks.processes import end_leftovers
from benchmarks.run import Run
from benchmarks.sizes import SIZES
from benchmarks.traffic import TENANT
from rater.errors import PartsError
from rater.settings import Settings
from streams.embedded.child import Child
from streams.embedded.kafka import KafkaServer
from streams.embedded.parts import EmbeddedParts
from streams.load import Fleet
from streams.load.fleet import Terms
from streams.parts import Parts, open_parts

TERMS = Terms()
BESIDE = "beside"


@dataclass(frozen=True)
class Full:
    """One bench-full."""

    scale: Scale
    settings: Settings
    folder: Path
    state: StateFile
    console: Console

    def fleet(self, wallets: int) -> Fleet:
        """The fleet of a size; it has nearly empty wallets, as every fleet of the benchmarks."""
        return Fleet(TENANT, f"f{wallets}-", wallets)

    def run(self, wallets: int) -> Run:
        """What the parts of `make bench` are given, for this fleet."""
        scale = self.scale
        sizes = dataclasses.replace(
            SIZES["full"], runs=scale.runs, stream_events=scale.stream_events, stream_wallets=wallets
        )
        return Run(sizes, self.settings, self.folder)

    @asynccontextmanager
    async def opened(self, part: Part, wallets: int) -> AsyncIterator[Parts]:
        """Redis with the fleet of a size in it, loaded as far as it was not."""
        name = folder_of(wallets)
        async with open_parts(self.run(wallets).embedded(name)) as parts:
            await self.loaded(part, parts, name, self.fleet(wallets))
            yield parts

    @asynccontextmanager
    async def opened_beside(self, part: Part) -> AsyncIterator[Parts]:
        """Another Redis with the smallest fleet in it, loaded each time."""
        self.clear(BESIDE)
        fleet = self.fleet(self.scale.wallets[0])
        async with open_parts(self.run(fleet.wallets).embedded(BESIDE)) as parts:
            part.faults += await load(parts, fleet, TERMS)
            yield parts
        self.clear(BESIDE)

    async def loaded(self, part: Part, parts: Parts, name: str, fleet: Fleet) -> None:
        """Load what is missing. What an attempt that was cut short left in the outbox is nobody's any more."""
        start = await come_to(parts, fleet, self.state.loaded(name))
        if start < fleet.wallets:
            self.console.print(check_needs(fleet.wallets - start, self.folder))
        part.faults += await load(parts, fleet, TERMS, start, lambda reached: self._reached(name, reached, fleet))
        await discard_outbox(parts)

    def _reached(self, name: str, reached: int, fleet: Fleet) -> None:
        self.state.load(name, reached)
        if reached % 500_000 == 0 and reached < fleet.wallets:
            self.console.print(f"[dim]{name}: {reached:,} of {fleet.wallets:,} loaded[/]")

    def broker(self) -> KafkaServer:
        """A broker without a past."""
        shutil.rmtree(self.folder / "kafka", ignore_errors=True)
        return KafkaServer(self.folder / "kafka")

    def clear(self, name: str) -> None:
        """Remove a data folder, once nothing runs on it."""
        folder = self.folder / name
        end_leftovers(folder)
        if folder.exists():
            with EmbeddedParts(folder):
                pass  # as the last user, it stops what was left running
            if Child("valkey", folder / "redis", [], bool).is_running():
                raise PartsError(f"{folder} is in use by another process")
            shutil.rmtree(folder)
        if self.state.loaded(name):
            self.state.load(name, 0)


def folder_of(wallets: int) -> str:
    """The data folder of the fleet of a size."""
    return f"fleet-{wallets}"
