"""What traffic is asked for, as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from streams.load.fleet import MILLION, Fleet

MIX: Mapping[str, float] = {"data": 85, "message": 9, "voice": 6}
#: Where the SIMs are: mostly at home in Germany, some far away.
COUNTRIES: Mapping[str, float] = {
    "DE": 60, "FR": 10, "IT": 6, "GB": 6, "NL": 4, "ES": 4, "US": 4, "IN": 3, "CH": 2, "BR": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """The same recipe makes the same events, their times aside where no day is set."""

    fleet: Fleet = field(default_factory=Fleet)
    seed: int = 1
    #: Stands before each event's number in its id: another run's events are other events.
    run: str = "run"
    source: str = "load"
    #: Exponent of Zipf's law by which wallets are drawn: a few use most. 0: all alike.
    skew: float = 1.05
    #: Weights by service and by country.
    mix: Mapping[str, float] = field(default_factory=lambda: MIX)
    countries: Mapping[str, float] = field(default_factory=lambda: COUNTRIES)
    repeats_ppm: int = 10_000
    damaged_ppm: int = 5_000
    unknown_ppm: int = 5_000
    #: Events are spread over this day (UTC); without one they end in the seconds before they are made.
    day: date | None = None
    #: Damage leaves JSON behind, as an array of events needs it; else some of it is cut short.
    damage_is_json: bool = False

    def __post_init__(self) -> None:
        assert self.fleet.wallets > 0
        assert self.fleet.sims_per_wallet > 0
        assert 0 <= self.repeats_ppm + self.damaged_ppm + self.unknown_ppm <= MILLION
