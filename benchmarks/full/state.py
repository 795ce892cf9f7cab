"""What is done already, in a file: a stage that is done is not done again, a fleet half loaded is loaded on.

The file is replaced as a whole, after the fact: what it says is done is done. A stage that was cut short begins anew
under another attempt's number, so its events are other events.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from benchmarks.conditions import Conditions
from benchmarks.figures import Figure, Part
from rater.errors import PartsError


class Done(msgspec.Struct):
    """A stage's result: right, and under which conditions, as each may be of another day."""

    title: str
    #: When it ended (UTC), and how long it took.
    ended: str
    seconds: float
    conditions: Conditions
    figures: list[Figure]

    def part(self) -> Part:
        """As the stage answered it."""
        return Part(self.title, list(self.figures))


class State(msgspec.Struct):
    """One bench-full, over however many sittings."""

    scale: str
    done: dict[str, Done] = {}
    #: How many wallets of a fleet are loaded, by the name of its data folder.
    loaded: dict[str, int] = {}
    attempts: dict[str, int] = {}


class StateFile:
    """The state, kept in DATA/state.json."""

    def __init__(self, path: Path, scale: str) -> None:
        self.path = path
        self.state = msgspec.json.decode(path.read_bytes(), type=State) if path.exists() else State(scale)
        if self.state.scale != scale:
            raise PartsError(f"{path} is of a run of size {self.state.scale}, not {scale}")

    def save(self) -> None:
        """Replace the file; a crash leaves the old one or the new one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(self.state), indent=1))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)

    def begin(self, stage: str) -> int:
        """The number of this attempt at a stage."""
        number = self.state.attempts[stage] = self.state.attempts.get(stage, 0) + 1
        self.save()
        return number

    def finish(self, stage: str, done: Done) -> None:
        """Note a stage that was right."""
        self.state.done[stage] = done
        self.save()

    def loaded(self, folder: str) -> int:
        """Wallets loaded there so far."""
        return self.state.loaded.get(folder, 0)

    def load(self, folder: str, wallets: int) -> None:
        """Note how far the loading is; 0 once the folder is gone."""
        self.state.loaded[folder] = wallets
        self.save()
