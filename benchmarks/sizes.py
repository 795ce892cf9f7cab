"""How much is measured: quick for a first look, full for figures to quote, tiny to see that it runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Counts by part."""

    name: str
    #: Runs of which the median is quoted.
    runs: int
    #: Records decoded and usages rated, each run.
    events: int
    #: Entries applied to each set of wallets, and the sizes of the sets.
    entries: int
    wallets: tuple[int, ...]
    #: Sample records through the file door.
    file_events: int
    #: Events through Kafka in one run, and the wallets they are spread over.
    stream_events: int
    stream_wallets: int
    #: Events a second and seconds of the latency run.
    rate: int
    seconds: int
    #: SIMs of the company whose wallet crosses.
    company_sims: int
    #: Ids in ClickHouse among which old ones are looked up.
    old_ids: int


SIZES = {
    sizes.name: sizes
    for sizes in (
        Sizes("tiny", 1, 200, 300, (10, 50), 600, 500, 50, 200, 1, 700, 1_000),
        Sizes("quick", 3, 5_000, 20_000, (100, 20_000), 10_000, 20_000, 2_000, 2_000, 4, 2_000, 1_000_000),
        Sizes("full", 3, 50_000, 200_000, (100, 100_000), 200_000, 200_000, 100_000, 20_000, 20, 10_000, 10_000_000),
    )
}
