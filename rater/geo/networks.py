"""Mobile country codes (ITU-T E.212) to countries, from e212.csv; the file states its source.

An MCC answers with the country that has most of its networks. Where neighbours share one (425: Israel and Palestine,
362: Curacao, Bonaire and Sint Maarten), the MNC decides. 310 to 316 are the United States, whatever the MNC.
"""

from typing import Final

from rater.geo.tables import rows

_OF_MCC: Final[dict[str, str]] = {}
_OF_NETWORK: Final[dict[tuple[str, int], str]] = {}

for _mcc, _mnc, _country in rows("e212.csv"):
    if _mnc:
        _OF_NETWORK[_mcc, int(_mnc)] = _country
    else:
        _OF_MCC[_mcc] = _country


def country_of_mcc(mcc: str, mnc: str | None = None) -> str | None:
    """Alpha-2 country of a network ("262", "01"); None for an unknown or international MCC ("901")."""
    if mnc is not None and mnc.isdecimal():
        country = _OF_NETWORK.get((mcc, int(mnc)))
        if country is not None:
            return country
    return _OF_MCC.get(mcc)
