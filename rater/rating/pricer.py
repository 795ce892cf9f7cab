"""A rate prepared for rating: what can be computed once is computed here."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from rater.money import NANOS
from rater.rating.bands import BandClock
from rater.rating.explain import Wording, money_text
from rater.tariff.model import Rate, Schedule

#: A flat rate is a price and increments, nothing else; it is rated in a few integer operations.
_FLAT_FIRST: Final = "event", "carry-over"


class Pricer:
    """One rate: its wording, its band clocks by zone, and for a flat rate the price as a ratio of integers."""

    __slots__ = ("_clocks", "denominator", "is_flat", "numerator", "price_text", "rate", "wording")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.wording = Wording(rate)
        self._clocks: dict[str, BandClock] = {}
        self.is_flat = bool(
            len(rate.prices) == 1
            and not rate.bands
            and not rate.setup
            and not rate.minimum
            and rate.maximum is None
            and not rate.minimum_quantity
            and rate.increment_scope in _FLAT_FIRST
        )
        price = rate.prices[0].price if rate.prices else Fraction(0)
        per_base_unit = price * Fraction(NANOS, rate.unit)
        #: Nanos of one byte, millisecond or message: numerator / denominator.
        self.numerator = per_base_unit.numerator
        self.denominator = per_base_unit.denominator
        self.price_text = money_text(price)

    def clock(self, zone: str) -> BandClock | None:
        """When which band of the rate holds, None for a rate without bands."""
        if not self.rate.bands:
            return None
        clock = self._clocks.get(zone)
        if clock is None:
            clock = self._clocks[zone] = BandClock(tuple(band for band, _ in self.rate.bands), zone)
        return clock

    def schedule(self, band: int | None) -> Schedule:
        """The prices within a band (by its place in the rate), or outside of all."""
        return self.rate.prices if band is None else self.rate.bands[band][1]

    def band_name(self, band: int | None) -> str:
        """The name of the band, empty outside of all."""
        return "" if band is None else self.rate.bands[band][0].name
