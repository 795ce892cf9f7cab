"""A tariff as its file states it, each value parsed: the written form is in docs/tariffs.md.

Prices are exact rationals of the currency unit, quantities whole bytes, milliseconds or messages, times Unix
milliseconds. Nothing here changes after loading; what rating looks up (rater/tariff/match.py) is derived from it.
"""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import msgspec

from rater.money import NANOS, Rounding, format_nanos, round_exact
from schemas.usage import Direction, Service

if TYPE_CHECKING:
    from rater.rating.formula import Amount, Line
    from rater.rating.pricer import Pricer
    from rater.rating.timeline import Timeline
    from rater.tariff.match import Index

Answer = Literal["priced", "free", "blocked"]
#: What set-up fee, minimum and maximum apply to. Without a session id in the usage, "session" means "event".
Scope = Literal["event", "session"]
#: What the steps of an increment are laid over: "carry-over" is the subscriber's cycle on one network.
IncrementScope = Literal["event", "session", "carry-over"]
TierMode = Literal["graduated", "volume"]
TierScope = Literal["event", "cycle"]


class Tier(msgspec.Struct, frozen=True):
    """A price up to and including a quantity; the last tier has no end (`up_to` None)."""

    up_to: int | None
    #: Of one `Rate.per`, in currency units.
    price: Fraction


#: Tiers with rising bounds. A flat price is one tier without an end.
Schedule = tuple[Tier, ...]


class Band(msgspec.Struct, frozen=True):
    """A recurring stretch of wall-clock time in the tariff's zone.

    It starts at `from_minute` of each day that is one of `weekdays` (0 = Monday) or of the dates, and ends at
    `to_minute`, of the next day where that is not later. Dates are exact ("2026-12-24") or of every year ((12, 25)).
    """

    name: str
    from_minute: int
    to_minute: int
    weekdays: frozenset[int]
    dates: frozenset[date] = frozenset()
    yearly: frozenset[tuple[int, int]] = frozenset()

    @property
    def is_dated(self) -> bool:
        """Whether the band names dates; such a band goes before one that names weekdays."""
        return bool(self.dates or self.yearly)


class Rate(msgspec.Struct, frozen=True):
    """One line of the tariff: which usage it answers for, and the answer.

    `where` and `to` are as written: "DE", a zone's name, a network "262-01", a prefix "+4915", a short code "112";
    empty is anywhere. `kind` and `direction` None are any.
    """

    name: str
    service: Service
    #: Unit of the prices and its size in bytes, milliseconds or messages.
    per: str
    unit: int
    prices: Schedule
    kind: str | None = None
    direction: Direction | None = None
    where: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    answer: Answer = "priced"
    #: (band, its prices), in order of precedence; outside of all of them `prices` holds.
    bands: tuple[tuple[Band, Schedule], ...] = ()
    setup: Fraction = Fraction(0)
    minimum_quantity: int = 0
    minimum: Fraction = Fraction(0)
    maximum: Fraction | None = None
    first: int = 1
    next: int = 1
    increment_scope: IncrementScope = "event"
    scope: Scope = "event"
    tier_mode: TierMode = "graduated"
    tier_scope: TierScope = "event"
    tax_category: str = ""


class Version(msgspec.Struct, frozen=True):
    """The rates in force from `effective_from_ms` until the next version's."""

    name: str
    effective_from_ms: int
    rates: tuple[Rate, ...]
    #: Numbers that are free from anywhere, whatever the rates say.
    emergency: frozenset[str] = frozenset()
    #: Where service is refused: countries, zones, networks.
    blocked: tuple[str, ...] = ()


class Tariff(msgspec.Struct, frozen=True, dict=True):
    """A tariff, ready to rate with. Versions stand in order of `effective_from_ms`."""

    name: str
    currency: str
    zone: str
    versions: tuple[Version, ...]
    #: Zone's name -> its countries.
    zones: dict[str, tuple[str, ...]]
    rounding: Rounding = "half-up"
    #: Amounts are rounded to multiples of this.
    precision_nanos: int = 1

    @cached_property
    def indexes(self) -> tuple[Index, ...]:
        """For each version, what finds the rate of a usage."""
        from rater.tariff.match import Index

        return tuple(Index(version, self.zones) for version in self.versions)

    @cached_property
    def timelines(self) -> dict[str, Timeline]:
        """By the cycle's zone: what remembers which version and cycle hold. Filled by rating."""
        return {}

    @cached_property
    def formulas(self) -> dict[tuple[Pricer, int | None], tuple[tuple[str, ...], Amount, Line | None]]:
        """By rate and band: how it is explained and computed (rater/rating/terms.py). Filled by rating."""
        return {}

    @cached_property
    def rounding_text(self) -> str:
        """How the last line of an explanation begins."""
        return f"rounded {self.rounding} to {format_nanos(self.precision_nanos)}"

    def rounded_nanos(self, amount: Fraction) -> int:
        """An exact amount of currency units, rounded by the tariff's method to its precision."""
        return round_exact(amount * NANOS, self.rounding, self.precision_nanos)
