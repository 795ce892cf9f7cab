"""Intake's clock in Unix milliseconds: the one place where the engine asks the time of day.

It can be held at an instant (`[intake] clock`), to replay old usage as if it came then. And embedded it can be moved
ahead (`rater clock advance 40d`), to see what a plan does in a month without waiting for it: how far stands in the
data folder, so that every process on it goes by the same clock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rater.errors import SettingError

Clock = Callable[[], int]

FILE = "clock"


def time_of_day() -> int:
    """Now."""
    return time.time_ns() // 1_000_000


def held(instant: datetime) -> Clock:
    """A clock that stands still."""
    held_ms = (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return lambda: held_ms


class MovedClock:
    """The time of day and as much as the data folder says; looked at anew each time, since others may move it."""

    def __init__(self, data: Path) -> None:
        self._path = data / FILE
        self._seen = (0, 0)
        self._ahead_ms = 0

    def __call__(self) -> int:
        """Now."""
        return time_of_day() + self.ahead_ms()

    def ahead_ms(self) -> int:
        """How far ahead of the time of day it is."""
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return 0
        seen = (status.st_mtime_ns, status.st_ino)
        if seen != self._seen:
            try:
                self._ahead_ms = int(self._path.read_text())
            except ValueError as error:
                raise SettingError(f"{self._path}: is no whole number of milliseconds") from error
            self._seen = seen
        return self._ahead_ms

    def move_to(self, instant_ms: int, *, back: bool = False) -> None:
        """Go ahead to an instant. Back only where nothing has happened yet: what was due stays done."""
        ahead_ms = instant_ms - time_of_day()
        if back or ahead_ms > self.ahead_ms():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._path.with_suffix(".tmp")
            temporary.write_text(str(ahead_ms))
            temporary.replace(self._path)
