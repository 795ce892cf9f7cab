"""How numbers read in an explanation: exact, and as a person writes them with a pencil.

A number that ends within twelve decimals is written as a decimal ("0.0125"), any other as a ratio ("1/600"), so that
nothing in an explanation is rounded but the amount, in its last line.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from rater.tariff.model import Rate
from rater.tariff.units import UNITS

DECIMALS_MAX: Final = 12
_SCALE: Final = 10**DECIMALS_MAX


def number_text(value: Fraction, places: int = 0) -> str:
    """An exact number: 1/80 -> "0.0125", 1/600 -> "1/600"; `places` is the least number of decimals."""
    return ratio_text(value.numerator, value.denominator, places)


def ratio_text(numerator: int, denominator: int, places: int = 0) -> str:
    """`number_text` of a ratio of integers, without the cost of a Fraction."""
    whole, rest = divmod(abs(numerator), denominator)
    sign = "-" if numerator < 0 else ""
    if not rest and not places:
        return f"{sign}{whole}"
    decimals, over = divmod(rest * _SCALE, denominator)
    if over:
        return str(Fraction(numerator, denominator))
    return f"{sign}{whole}.{f'{decimals:012d}'.rstrip('0').ljust(places, '0')}"


def money_text(value: Fraction) -> str:
    """An exact amount of currency units, at least two decimals."""
    return number_text(value, 2)


class Wording:
    """The units one rate is explained in: quantities, steps, and one unit of its price."""

    __slots__ = ("_natural", "_size", "_size_per", "first", "is_converted", "next", "per")

    def __init__(self, rate: Rate) -> None:
        # Seconds are how calls are measured, whatever the price is for; data is told in the unit of its price.
        self._natural = "s" if rate.service == "voice" else rate.per
        self._size = UNITS[rate.service].get(self._natural, 1)
        self.per = rate.per
        self._size_per = rate.unit
        self.is_converted = self._size != self._size_per
        self.first = self._step(rate, rate.first)
        self.next = self._step(rate, rate.next)

    def _step(self, rate: Rate, size: int) -> str:
        if rate.service == "voice":
            return self.used(size)
        binary = rate.per.endswith("iB")
        units = [(unit, n) for unit, n in UNITS[rate.service].items() if unit == "B" or unit.endswith("iB") == binary]
        for unit, n in sorted(units or UNITS[rate.service].items(), key=lambda item: -item[1]):
            if size % n == 0:
                return f"{size // n} {unit}"
        return self.used(size)

    def used(self, quantity: int) -> str:
        """A quantity in its natural unit: "132 s", "3.2 MB", "2 messages"."""
        text = f"{ratio_text(quantity, self._size)} {self._natural}"
        return text + "s" if self._natural == "message" and quantity != 1 else text

    def priced(self, quantity: int) -> str:
        """A quantity in the unit of the price: "2.2 min"."""
        text = f"{ratio_text(quantity, self._size_per)} {self.per}"
        return text + "s" if self.per == "message" and quantity != 1 else text

    def billed(self, quantity: int) -> str:
        """A quantity in its natural unit, and in the unit of the price where that is another."""
        if not self.is_converted:
            return self.used(quantity)
        return f"{self.used(quantity)} = {self.priced(quantity)}"
