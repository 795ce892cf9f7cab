"""VAT by billing country and date: a table of the operator, not of the engine.

Which rate holds for whom (a reverse charge, an exemption) is for its accountant to say; a country without a rate is an
error and never zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Final

from rater.errors import CatalogueError
from rater.geo import is_country
from rater.money import MoneyError, parse_price

#: Where the table stands in a catalogue's folder.
VAT_FILE: Final = "vat.csv"
_COLUMNS: Final = ["country", "percent", "effective_from"]
#: A table without rates.
EMPTY: Final = ",".join(_COLUMNS)


class VatRates:
    """VAT by billing country and date."""

    def __init__(self, rates: Mapping[str, Sequence[tuple[date, Fraction]]]) -> None:
        self._rates = {country: sorted(found, key=lambda rate: rate[0]) for country, found in rates.items()}

    @property
    def countries(self) -> tuple[str, ...]:
        """The countries that have a rate."""
        return tuple(sorted(self._rates))

    def percent(self, country: str, on: date) -> Fraction:
        """The rate in force on the day of the invoice.

        Raises:
            CatalogueError: the table has none, and none is not taken for zero.
        """
        for since, percent in reversed(self._rates.get(country, ())):
            if since <= on:
                return percent
        raise CatalogueError(f"no VAT rate for {country} on {on}; write one, 0 where there is no VAT")


def read_vat(text: str, path: str) -> VatRates:
    """VAT rates from a CSV file: country,percent,effective_from. Lines that start with "#" are comments.

    Raises:
        CatalogueError: every mistake, a line each.
    """
    rates: dict[str, list[tuple[date, Fraction]]] = {}
    mistakes: list[str] = []
    rows = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip() and line[0] != "#"]
    if not rows or rows[0][1].split(",") != _COLUMNS:
        raise CatalogueError(f"{path}:1: the first line names the columns; write {','.join(_COLUMNS)}")
    for number, line in rows[1:]:
        try:
            country, since, percent = _vat_row([cell.strip() for cell in line.split(",")])
        except ValueError as error:
            mistakes.append(f"{path}:{number}: {error}")
            continue
        if any(since == other for other, _ in rates.setdefault(country, [])):
            mistakes.append(f"{path}:{number}: {country} has a rate from {since} already; keep one of them")
        rates[country].append((since, percent))
    if mistakes:
        raise CatalogueError("\n".join(mistakes))
    return VatRates(rates)


def _vat_row(cells: list[str]) -> tuple[str, date, Fraction]:
    if len(cells) != len(_COLUMNS):
        raise ValueError(f"{len(cells)} cells; write {len(_COLUMNS)}: {','.join(_COLUMNS)}")
    country, percent, since = cells
    if not is_country(country):
        raise ValueError(f'"{country}" is no ISO 3166-1 alpha-2 country')
    try:
        rate = parse_price(percent)
    except MoneyError:
        raise ValueError(f'percent "{percent}" is no number; write one such as 19 or 25.5') from None
    if not 0 <= rate <= 100:
        raise ValueError(f'percent "{percent}" is not between 0 and 100')
    try:
        return country, date.fromisoformat(since), rate
    except ValueError:
        raise ValueError(f'effective_from "{since}" is no date; write one such as 2026-01-01') from None
