"""Offers traffic at a pace: an open loop, which a slow engine does not slow down.

The next page is made and encoded first, then it is waited for, then it is handed over; so making it makes nothing late.
Only a sender that can take no more holds it up, and the report says by how much: a load that was late asked less of the
engine than was wanted.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from streams.load.pace import SECOND_NS, Pace
from streams.load.traffic import SORTS, Page, Traffic

MS_NS = 1_000_000
#: How soon a wait that is stopped ends.
LOOK_NS = SECOND_NS // 4


class Sender(Protocol):
    """Carries pages somewhere."""

    #: Events it wants in a page; 0 leaves it to the pace.
    batch: int
    #: Events that were not taken, by reason.
    failed: Counter[str]

    def ready(self, page: Page) -> Callable[[], Awaitable[None]]:
        """The page, encoded; what it answers hands it over, without waiting for whoever rates it."""

    async def finish(self) -> None:
        """Return once everything is delivered or failed."""


@dataclass(frozen=True)
class Second:
    """What was offered within one second, and how late its latest page was."""

    number: int
    offered: int
    late_ms: float


@dataclass
class Report:
    """What was offered, so far."""

    offered: int = 0
    sorts: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(SORTS, 0)))
    elapsed_ns: int = 0
    #: Of the pages: how late they were handed over, in all and at most.
    pages: int = 0
    late_ns: int = 0
    late_max_ns: int = 0
    each_second: list[int] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    processor_ns: int = 0

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.offered * SECOND_NS / self.elapsed_ns if self.elapsed_ns else 0.0


@dataclass(frozen=True)
class Clock:
    """The times a run goes by; a test has its own."""

    now_ns: Callable[[], int] = time.perf_counter_ns
    unix_ms: Callable[[], int] = lambda: time.time_ns() // MS_NS
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


async def offer(
    traffic: Traffic, sender: Sender, pace: Pace, *, on_second: Callable[[Second], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False, clock: Clock = Clock(),
) -> Report:  # fmt: skip
    """Offer the pace's events, or fewer if it is stopped; delivered when this returns."""
    report, used_ns, started_ns = Report(failed=sender.failed), time.process_time_ns(), clock.now_ns()
    seconds = _Seconds(report, on_second)
    while not pace.is_over(report.offered, clock.now_ns() - started_ns):
        page = traffic.page(pace.page(report.offered, sender.batch), clock.unix_ms())
        send = sender.ready(page)
        due_ns = pace.due_ns(report.offered)
        await _until(started_ns + due_ns, clock, stopped)
        if stopped():
            break
        await send()
        elapsed_ns = clock.now_ns() - started_ns
        late_ns = max(0, elapsed_ns - due_ns) if pace.rate else 0
        seconds.add(elapsed_ns, len(page.values), late_ns)
        report.sorts.update(page.sorts)
        report.pages += 1
        report.late_ns += late_ns
        report.late_max_ns = max(report.late_max_ns, late_ns)
    await _until(started_ns + pace.due_ns(report.offered), clock, stopped)
    report.elapsed_ns = clock.now_ns() - started_ns
    await sender.finish()
    seconds.close()
    report.processor_ns = time.process_time_ns() - used_ns
    return report


async def _until(moment_ns: int, clock: Clock, stopped: Callable[[], bool]) -> None:
    """Wait, or be stopped; at least let the others have their turn."""
    await clock.sleep(0)
    while (left_ns := moment_ns - clock.now_ns()) > 0 and not stopped():
        await clock.sleep(min(left_ns, LOOK_NS) / SECOND_NS)


class _Seconds:
    """Counts by second, and tells of each when it is over."""

    def __init__(self, report: Report, tell: Callable[[Second], None]) -> None:
        self._report, self._tell = report, tell
        self._offered, self._late_ns = 0, 0

    def add(self, elapsed_ns: int, events: int, late_ns: int) -> None:
        """Count a page that was handed over after this time."""
        while len(self._report.each_second) < elapsed_ns // SECOND_NS:
            self.close()
        self._offered += events
        self._late_ns = max(self._late_ns, late_ns)
        self._report.offered += events

    def close(self) -> None:
        """This second is over."""
        self._report.each_second.append(self._offered)
        self._tell(Second(len(self._report.each_second), self._offered, self._late_ns / MS_NS))
        self._offered, self._late_ns = 0, 0
