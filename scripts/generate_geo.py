# /// script
# requires-python = ">=3.11"
# dependencies = ["phone-iso3166==0.4.1", "phonenumbers>=9", "regex"]
# ///
"""Write rater/geo/e212.csv and rater/geo/e164.csv, the two tables geography is looked up in.

e212.csv comes from the package phone-iso3166 (MIT; its table is taken from the ITU E.212 lists on Wikipedia). Where an
MCC is shared, the country with most of its networks answers for the MCC, and networks of another country follow. The
American range (310-316) is left to the MCC alone: the source names one country for a network, and names the islands for
some that cover all of the United States (310-260, 310-410).

e164.csv comes from the number patterns of the package phonenumbers (Google libphonenumber, Apache-2.0): for each
calling code that countries share, the shortest prefixes whose numbers belong to one country only.

Run it in an environment of its own, as its packages are not the engine's: `uv run scripts/generate_geo.py`.
"""

from __future__ import annotations

import csv
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import phonenumbers
import regex
from phone_iso3166.e212 import networks
from phonenumbers import PhoneMetadata

GEO = Path(__file__).parent.parent / "rater" / "geo"
#: libphonenumber has regions that ISO 3166-1 counts to another country: Ascension and Tristan da Cunha to Saint Helena.
ISO_OF_REGION = {"AC": "SH", "TA": "SH"}
NO_COUNTRY = "001"
PREFIX_DIGITS_MAX = 7
TYPES = ("fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "personal_number", "voip", "pager", "uan")


def e212_rows() -> list[tuple[str, str, str]]:
    """(mcc, mnc or "" for all others, country), the MCC's own row first."""
    rows = []
    for mcc, countries in sorted(networks.items()):
        if isinstance(countries, str):
            rows.append((f"{mcc:03d}", "", countries))
            continue
        usual = Counter(countries.values()).most_common(1)[0][0]
        rows.append((f"{mcc:03d}", "", usual))
        if usual == "US":
            continue
        rows += [(f"{mcc:03d}", str(mnc), country) for mnc, country in sorted(countries.items()) if country != usual]
    return rows


def patterns(region: str) -> list[regex.Pattern]:
    """What a national number of the region looks like, one pattern for each type of number."""
    metadata = PhoneMetadata.metadata_for_region(region)
    descriptions = [getattr(metadata, name) for name in TYPES]
    return [regex.compile(d.national_number_pattern) for d in descriptions if d and d.national_number_pattern]


def prefixes(code: int, regions: tuple[str, ...]) -> dict[str, str]:
    """Prefix -> country for one calling code; a number no pattern knows falls to the code's main country."""
    known = {region: patterns(region) for region in regions}
    leading = {region: PhoneMetadata.metadata_for_region(region).leading_digits for region in regions}

    def possible(region: str, digits: str) -> bool:
        if leading[region] and not regex.compile(leading[region] + r"\d*").fullmatch(digits, partial=True):
            return False
        return any(pattern.fullmatch(digits, partial=True) for pattern in known[region])

    found = {str(code): regions[0]}

    def descend(digits: str, inherited: str) -> None:
        candidates = [region for region in regions if possible(region, digits)]
        if not candidates:
            return
        if len(candidates) == 1 or len(digits) == PREFIX_DIGITS_MAX:
            # A region named by its leading digits is meant where another merely has a pattern wide enough.
            named = next((region for region in candidates if leading[region]), candidates[0])
            if named != inherited:
                found[f"{code}{digits}"] = named
            return
        for digit in "0123456789":
            descend(digits + digit, inherited)

    descend("", regions[0])
    return merged(found)


def merged(found: dict[str, str]) -> dict[str, str]:
    """The same mapping with ten equal siblings written as their parent."""
    for length in range(max(map(len, found)), 1, -1):
        parents = Counter((prefix[:-1], country) for prefix, country in found.items() if len(prefix) == length)
        for (parent, country), count in parents.items():
            if count == 10 and parent not in found:
                for digit in "0123456789":
                    del found[parent + digit]
                found[parent] = country
    return found


def write(name: str, source: str, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """A CSV file that starts by saying where it is from."""
    with (GEO / name).open("w", newline="") as file:
        file.write(f"# {source}\n# Written by scripts/generate_geo.py; do not edit.\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def main() -> None:
    """Write both tables."""
    release = f"phone-iso3166 {version('phone-iso3166')} (MIT), E.212 lists as of 2022-06-22"
    write("e212.csv", f"Source: {release}", ("mcc", "mnc", "country"), e212_rows())
    found: dict[str, str] = {}
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        if regions[0] != NO_COUNTRY:
            found |= {str(code): regions[0]} if len(regions) == 1 else prefixes(code, regions)
    rows = [(prefix, ISO_OF_REGION.get(region, region)) for prefix, region in sorted(found.items())]
    release = f"phonenumbers {version('phonenumbers')} (Google libphonenumber, Apache-2.0)"
    write("e164.csv", f"Source: {release}", ("prefix", "country"), rows)


if __name__ == "__main__":
    main()
