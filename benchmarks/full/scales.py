"""How much bench-full measures: full for figures to quote, the others to see sooner that it runs."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True)
class Scale:
    """Counts by stage."""

    name: str
    #: Fleets by number of wallets; the first is the one that others are compared with.
    wallets: tuple[int, ...]
    #: Those that are also sent through a worker.
    streamed: tuple[int, ...]
    #: Rounds of which the median is quoted.
    runs: int
    #: Events in a round, of the wallet call and of the worker.
    entries: int
    stream_events: int
    #: The soak: its wallets, each met once, and events before it begins; events a second, seconds, and between samples.
    soak_wallets: int
    soak_before: int
    soak_rate: int
    soak_s: int
    sample_s: float


SCALES = {
    scale.name: scale
    for scale in (
        Scale("tiny", (50, 200), (50, 200), 1, 300, 400, 100, 300, 200, 3, 0.2),
        Scale("small", (10_000, 100_000), (10_000,), 3, 30_000, 20_000, 20_000, 50_000, 2_000, 60, 1.0),
        Scale("million", (10_000, 100_000, 1_000_000), (10_000, 1_000_000), 3, 200_000, 200_000,
              420_000, 1_500_000, 3_000, 600, 1.0),
        Scale("full", (10_000, 100_000, 1_000_000, 10_000_000), (10_000, 1_000_000, 10_000_000), 3, 200_000, 200_000,
              420_000, 1_500_000, 3_000, 600, 1.0),
    )
}  # fmt: skip
