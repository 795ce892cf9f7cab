"""The one place that parses, rounds or formats money.

A ledger amount is an int64 count of nanos (10^-9 of the currency unit). A price is an exact rational: the tariff's
string "0.0125" becomes Fraction(1, 80), never a float. A charge is computed in Fractions and rounded once:

    2.5 MB at "0.0125" per MB = 5/2 * 1/80 = 1/32 = 0.03125 -> 31_250_000 nanos

"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import Literal

NANOS = 1_000_000_000
AMOUNT_MAX_NANOS = 2**63 - 1
AMOUNT_MIN_NANOS = -(2**63)

Rounding = Literal["up", "down", "half-up", "half-even"]

_DECIMAL = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")


class MoneyError(ValueError):
    """A text that is no exact decimal amount, or an amount the ledger cannot hold."""


def parse_price(text: object) -> Fraction:
    """Read an exact decimal ("0.0125") or ratio ("1/3") as a price per unit; a float is refused, not rounded."""
    if not isinstance(text, str):
        raise MoneyError(f'write the price as a string, "{text}", so that it stays exact')
    numerator, slash, denominator = text.strip().partition("/")
    if slash:
        if not text.isascii() or not numerator.isdigit() or not denominator.isdigit() or int(denominator) == 0:
            raise MoneyError(f'"{text}" is not a price such as "0.0125" or "1/3"')
        return Fraction(int(numerator), int(denominator))
    if not _DECIMAL.fullmatch(numerator):
        raise MoneyError(f'"{text}" is not a price such as "0.0125" or "1/3"')
    return Fraction(numerator)


def parse_nanos(text: object) -> int:
    """Read an exact decimal amount ("12.50") as nanos; more than nine decimals or an int64 overflow is refused."""
    if not isinstance(text, str) or not _DECIMAL.fullmatch(text.strip()):
        raise MoneyError(f'"{text}" is not an amount such as "12.50"')
    nanos = Fraction(text.strip()) * NANOS
    if nanos.denominator != 1:
        raise MoneyError(f'"{text}" has more than nine decimals')
    return checked(nanos.numerator)


def checked(nanos: int) -> int:
    """The amount itself, if an int64 holds it."""
    if not AMOUNT_MIN_NANOS <= nanos <= AMOUNT_MAX_NANOS:
        raise MoneyError(f"{format_nanos(nanos)} is past what the ledger holds (9223372036.854775807)")
    return nanos


def round_exact(value: Fraction, method: Rounding, step: int = 1) -> int:
    """Round an exact number of nanos to a multiple of `step` nanos (10_000_000 is a cent).

    `up` is away from zero and `down` towards it, half-up is away from zero at the half (commercial), so a refund
    mirrors the charge it undoes. `half-even` is the banker's.
    """
    return round_ratio(value.numerator, value.denominator, method, step)


def round_ratio(numerator: int, denominator: int, method: Rounding, step: int = 1) -> int:
    """`round_exact` of numerator / denominator (which is positive), without the cost of a Fraction."""
    denominator *= step
    whole, rest = divmod(abs(numerator), denominator)
    twice = 2 * rest
    if rest and (
        method == "up"
        or (method == "half-up" and twice >= denominator)
        or (method == "half-even" and (twice > denominator or (twice == denominator and whole % 2)))
    ):
        whole += 1
    return (whole if numerator >= 0 else -whole) * step


def format_nanos(nanos: int) -> str:
    """Exact decimal text, two decimals or as many as it takes: 31_250_000 -> "0.03125", 5 * NANOS -> "5.00"."""
    whole, rest = divmod(abs(nanos), NANOS)
    decimals = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nanos < 0 else ''}{whole}.{decimals}"


def to_decimal(nanos: int) -> Decimal:
    """The amount as an exact Decimal with nine places."""
    return Decimal(nanos).scaleb(-9)
