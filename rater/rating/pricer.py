"""A rate prepared for rating: what can be computed once is computed here."""

from __future__ import annotations

from fractions import Fraction

from rater.money import NANOS
from rater.rating.bands import BandClock
from rater.rating.explain import Wording, money_text, ratio_text
from rater.tariff.model import Rate, Schedule, Tier


class Card:
    """One price of a rate: of a tier, within a band."""

    __slots__ = ("_prefix", "_wording", "denominator", "numerator", "price", "price_text", "up_to")

    def __init__(self, tier: Tier, rate: Rate, wording: Wording, prefix: str) -> None:
        self.up_to = tier.up_to
        #: Currency units for one byte, millisecond or message.
        self.price = tier.price * Fraction(1, rate.unit)
        #: The same in nanos, as a ratio of integers.
        self.numerator = (self.price * NANOS).numerator
        self.denominator = (self.price * NANOS).denominator
        #: Of one unit of the rate: "0.10".
        self.price_text = money_text(tier.price)
        self._prefix = prefix
        self._wording = wording

    def line(self, quantity: int, currency: str) -> str:
        """How a quantity is priced: "peak: 2.2 min x 0.19 EUR = 0.418 EUR"."""
        amount = ratio_text(self.numerator * quantity, self.denominator * NANOS, 2)
        return f"{self._prefix}{self._wording.priced(quantity)} x {self.price_text} {currency} = {amount} {currency}"


#: The prices that hold at one time, by rising bounds.
Cards = tuple[Card, ...]


class Pricer:
    """One rate: its wording, its price cards by band, and its band clocks by zone."""

    __slots__ = (
        "_by_band",
        "_clocks",
        "_outside",
        "is_plain",
        "rate",
        "wording",
    )

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.wording = Wording(rate)
        self._outside = self._cards(rate.prices, "")
        self._by_band = [self._cards(schedule, f"{band.name}: ") for band, schedule in rate.bands]
        self._clocks: dict[str, BandClock] = {}
        #: Nothing of the rate is counted by session, and no bound has to be kept: what it charges is a closed formula.
        self.is_plain = bool(
            not rate.minimum
            and rate.maximum is None
            and not rate.minimum_quantity
            and rate.scope == "event"
            and (rate.increment_scope == "event" or (rate.increment_scope == "carry-over" and rate.first == rate.next))
        )

    def _cards(self, schedule: Schedule, band: str) -> Cards:
        cards = []
        for tier in schedule:
            prefix = band
            if len(schedule) > 1:
                bound = "beyond the last bound" if tier.up_to is None else f"up to {self.wording.priced(tier.up_to)}"
                prefix = f"{band}tier {bound}: "
            cards.append(Card(tier, self.rate, self.wording, prefix))
        return tuple(cards)

    def clock(self, zone: str) -> BandClock | None:
        """When which band of the rate holds, None for a rate without bands."""
        if not self.rate.bands:
            return None
        clock = self._clocks.get(zone)
        if clock is None:
            clock = self._clocks[zone] = BandClock(tuple(band for band, _ in self.rate.bands), zone)
        return clock

    def cards(self, band: int | None) -> Cards:
        """The prices within a band (by its place in the rate), or outside of all."""
        return self._outside if band is None else self._by_band[band]
