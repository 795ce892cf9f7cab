"""Telephone numbers (ITU-T E.164) to countries, from e164.csv; the file states its source.

The longest prefix of the number that stands in the table decides. A number without a country of its own range falls to
the main country of its calling code: +1 to the United States, +7 to Russia, +44 to the United Kingdom.
"""

from typing import Final

from rater.geo.tables import rows

_COUNTRY: Final[dict[str, str]] = {row[0]: row[1] for row in rows("e164.csv")}
#: Every prefix that tells countries apart.
PREFIXES: Final[frozenset[str]] = frozenset("+" + prefix for prefix in _COUNTRY)
_LONGEST: Final[int] = max(map(len, _COUNTRY))


def country_of_number(e164: str) -> str | None:
    """Alpha-2 country of "+4915112345678"; None for a short code, an international service or anything else."""
    if not e164.startswith("+"):
        return None
    for end in range(min(_LONGEST + 1, len(e164)), 1, -1):
        country = _COUNTRY.get(e164[1:end])
        if country is not None:
            return country
    return None
