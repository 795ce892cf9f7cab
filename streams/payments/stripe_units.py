"""Amounts as Stripe counts them: whole minor units of the currency, by its own rules (docs.stripe.com/currencies)."""

from __future__ import annotations

from typing import Final

from rater.geo.codes import minor_unit
from rater.money import NANOS, format_nanos

#: Digits after the point where Stripe counts otherwise than ISO 4217.
_DIGITS: Final = {"MGA": 0, "ISK": 2, "UGX": 2}
#: The last digits that have to be zero: whole units of ISK and UGX, and three-decimal currencies by tens.
_STEPS: Final = {"ISK": 100, "UGX": 100, "BHD": 10, "JOD": 10, "KWD": 10, "OMR": 10, "TND": 10}


class UnitsError(ValueError):
    """An amount that Stripe cannot charge."""


def units_of(nanos: int, currency: str) -> int:
    """An amount in Stripe's units.

    Raises:
        UnitsError: it is not a whole number of them, or nothing.
    """
    units, rest = divmod(nanos, _unit_nanos(currency))
    step = _STEPS.get(currency, 1)
    if rest or units % step or units <= 0:
        smallest = format_nanos(step * _unit_nanos(currency))
        raise UnitsError(f"{format_nanos(nanos)} {currency} cannot be charged by card: write a multiple of {smallest}")
    return units


def nanos_of(units: int, currency: str) -> int:
    """An amount of Stripe's in nanos."""
    return units * _unit_nanos(currency)


def _unit_nanos(currency: str) -> int:
    digits = _DIGITS.get(currency, minor_unit(currency))
    return int(NANOS // 10**digits)
