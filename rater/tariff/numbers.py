"""Classes of called numbers: all numbers of a class meet the same rate in every tariff, and lie in the same country.

A number is rated by its longest prefix that a tariff names. So two numbers with the same longest prefix among all that
any tariff (or the table of countries) names are rated alike, and stand for each other: "+4930123456" is of the class
"+4930x" if nothing longer is named. Numbers that a tariff names to the last digit (emergency numbers, short codes) are
classes of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rater.geo.numbers import PREFIXES
from rater.tariff.model import Tariff

#: Classes remembered by number; emptied when full.
NUMBERS_MAX: Final = 100_000


class NumberClasses:
    """The classes under some tariffs."""

    def __init__(self, tariffs: Iterable[Tariff]) -> None:
        versions = [version for tariff in tariffs for version in tariff.versions]
        named = {to for version in versions for rate in version.rates for to in rate.to}
        self._prefixes = frozenset(to for to in named if to.startswith("+")) | PREFIXES
        self._longest = max(map(len, self._prefixes))
        self._emergency = frozenset(number for version in versions for number in version.emergency)
        self._known: dict[str, str] = {}

    def of(self, number: str) -> str:
        """The class of an E.164 number or a short code."""
        known = self._known.get(number)
        if known is None:
            if len(self._known) >= NUMBERS_MAX:
                self._known.clear()
            known = self._known[number] = self._find(number)
        return known

    def _find(self, number: str) -> str:
        if not number.startswith("+") or number in self._emergency:
            return number
        prefixes = self._prefixes
        for end in range(min(self._longest, len(number)), 1, -1):
            if number[:end] in prefixes:
                return number[:end] + "x"
        return "+x"
