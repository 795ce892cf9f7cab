"""What a benchmark answers: figures with their spread, and faults. A part with a fault is a wrong run."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """One measured quantity; `runs` are its values, one a run, in `unit`."""

    name: str
    unit: str
    runs: tuple[float, ...]
    note: str = ""

    @property
    def median(self) -> float:
        """The value to quote."""
        return statistics.median(self.runs)

    @property
    def spread(self) -> str:
        """The smallest and the largest run, where there were several."""
        return f"{number(min(self.runs))} .. {number(max(self.runs))}" if len(self.runs) > 1 else ""


@dataclass
class Part:
    """The figures of one part of the benchmark, and what was wrong with its run."""

    title: str
    figures: list[Figure] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def add(self, name: str, unit: str, *runs: float, note: str = "") -> Figure:
        """Note one figure."""
        self.figures.append(Figure(name, unit, runs, note))
        return self.figures[-1]


def number(value: float) -> str:
    """Three digits that matter, thousands apart."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that `percent` of them do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
