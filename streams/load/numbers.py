"""Telephone numbers to call and to write to, as they look in each country."""

from __future__ import annotations

from random import Random

import phonenumbers

#: The last digits of an example number are drawn; those before say which network or town it is.
DRAWN_DIGITS = 6
#: In percent: the others are fixed lines.
MOBILE = 60


class Numbers:
    """Draws numbers (E.164) of a country; a million of each country and sort."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._stems: dict[tuple[str, bool], tuple[str, int]] = {}

    def draw(self, country: str) -> str:
        """A number as it would be dialled there."""
        mobile = self._random.randrange(100) < MOBILE
        stem, digits = self._stems.get((country, mobile)) or self._stem(country, mobile)
        return f"{stem}{self._random.randrange(10**digits):0{digits}d}"

    def _stem(self, country: str, mobile: bool) -> tuple[str, int]:
        kind = phonenumbers.PhoneNumberType.MOBILE if mobile else phonenumbers.PhoneNumberType.FIXED_LINE
        example = phonenumbers.example_number_for_type(country, kind) or phonenumbers.example_number(country)
        assert example is not None, f"no numbers of {country} are known"
        text = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        # A small country's numbers are short: its own code and the first digits stay.
        digits = min(DRAWN_DIGITS, len(str(example.national_number)) - 3)
        self._stems[country, mobile] = text[:-digits], digits
        return self._stems[country, mobile]
