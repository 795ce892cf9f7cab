# /// script
# requires-python = ">=3.11"
# dependencies = ["phonenumbers>=9", "pycountry", "regex"]
# ///
"""Write the long tables of the sample catalogue: config/tariffs/zones-*.csv and voice-*.csv.

A country's zone is its home, a list below, or else the world numbering zone its calling code starts with (ITU-T E.164:
1 North America, 2 Africa, 3 and 4 Europe, 5 Latin America, 6 and 8 Asia and Pacific, 7 and 9 Asia); a country without a
calling code of its own is "remote". Voice prefixes come from the number patterns of phonenumbers (Google
libphonenumber): a prefix is mobile where only mobile numbers start with it.

    price per minute = the zone's price for fixed or mobile + 0.001 * (last digit of the ISO 3166-1 numeric code)

which spreads the prices of a zone without being anybody's price list. At home, peak costs half as much again.
Run it in an environment of its own, as its packages are not all the engine's: `uv run scripts/generate_catalogue.py`.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import phonenumbers
import pycountry
import regex
from phonenumbers import PhoneMetadata

ROOT = Path(__file__).parent.parent
TARIFFS = ROOT / "config" / "tariffs"
#: How many digits past a country's prefix are looked at to tell mobile from fixed.
MOBILE_DIGITS_MAX = 3
NUMERIC = {country.alpha_2: country.numeric for country in pycountry.countries} | {"XK": "000"}
NUMBERING_ZONES = {
    "1": "americas", "2": "africa", "3": "europe", "4": "europe", "5": "americas", "6": "asia-pacific", "7": "asia",
    "8": "asia-pacific", "9": "asia",
}  # fmt: skip
#: Where the sample operator has no roaming agreement; a tariff decides this, not geography.
NO_AGREEMENT = "AQ ER KP SS TM"
EEA = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK"


class Sample(NamedTuple):
    """What one tariff's tables are made of: zones named by hand, and (fixed, mobile) prices per minute by zone."""

    zones: dict[str, str]
    prices: dict[str, tuple[str, str]]


SAMPLES = {
    "eur": Sample(
        {"home": "DE", "eea": EEA, "no-agreement": NO_AGREEMENT},
        {"home": ("0.010", "0.040"), "eea": ("0.020", "0.060"), "europe": ("0.040", "0.150"),
         "americas": ("0.030", "0.120"), "africa": ("0.250", "0.320"), "asia": ("0.120", "0.180"),
         "asia-pacific": ("0.090", "0.140"), "remote": ("0.600", "0.600"), "no-agreement": ("0.500", "0.550")},
    ),
    "usd": Sample(
        {"home": "US PR VI GU AS MP", "neighbours": "CA MX", "eea": EEA, "no-agreement": NO_AGREEMENT},
        {"home": ("0.012", "0.012"), "neighbours": ("0.020", "0.030"), "eea": ("0.030", "0.080"),
         "europe": ("0.050", "0.170"), "americas": ("0.080", "0.160"), "africa": ("0.270", "0.350"),
         "asia": ("0.130", "0.200"), "asia-pacific": ("0.080", "0.150"), "remote": ("0.700", "0.700"),
         "no-agreement": ("0.550", "0.600")},
    ),
}  # fmt: skip


def zone_of(country: str, named: dict[str, str]) -> str:
    """The zone a country is priced in; the lists go before the calling code."""
    for zone, countries in named.items():
        if country in countries.split():
            return zone
    code = phonenumbers.country_code_for_region(country)
    return NUMBERING_ZONES[str(code)[0]] if code else "remote"


def country_prefixes() -> dict[str, str]:
    """Prefix -> country, as geography has it."""
    lines = (ROOT / "rater" / "geo" / "e164.csv").read_text().splitlines()
    return {row["prefix"]: row["country"] for row in csv.DictReader(line for line in lines if line[0] != "#")}


def pattern(description: phonenumbers.PhoneNumberDesc | None) -> regex.Pattern | None:
    """What numbers of this sort look like, or None where there are none."""
    text = description and description.national_number_pattern
    return regex.compile(text) if text else None


def mobile_prefixes(prefix: str, country: str, others: set[str]) -> list[str]:
    """The shortest prefixes under a country's prefix with which only mobile numbers start."""
    metadata = PhoneMetadata.metadata_for_region(country)
    fixed, mobile = pattern(metadata.fixed_line), pattern(metadata.mobile)
    code = str(phonenumbers.country_code_for_region(country))
    found: list[str] = []

    def descend(digits: str) -> None:
        if mobile is None or not mobile.fullmatch(digits, partial=True) or code + digits in others:
            return
        if not (fixed and fixed.fullmatch(digits, partial=True)):
            found.append(code + digits)
        elif len(code + digits) < len(prefix) + MOBILE_DIGITS_MAX:
            for digit in "0123456789":
                descend(digits + digit)

    descend(prefix[len(code) :])
    return found


def voice_rows(sample: Sample) -> list[tuple[str, str, str, str]]:
    """(prefixes, price, peak price or "", name): a row for each country and line, and for mobiles where they differ."""
    prefixes = country_prefixes()
    lines: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for prefix, country in prefixes.items():
        mobiles = mobile_prefixes(prefix, country, set(prefixes) - {prefix})
        lines[country, "mobile"] += mobiles
        if mobiles != [prefix]:
            lines[country, "fixed"].append(prefix)
    rows = []
    for (country, line), numbers in sorted(lines.items()):
        zone = zone_of(country, sample.zones)
        base = Decimal(sample.prices[zone][line == "mobile"])
        price = base + Decimal("0.001") * int(NUMERIC[country][-1])
        peak = str(price * Decimal("1.5")) if zone == "home" else ""
        if numbers:
            rows.append((" ".join(f"+{number}" for number in sorted(numbers)), str(price), peak, f"{country}-{line}"))
    return rows


def write(name: str, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """A CSV file that starts by saying where it is from."""
    with (TARIFFS / name).open("w", newline="") as file:
        file.write("# Written by scripts/generate_catalogue.py; it states the sources and the formula of the prices.\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def main() -> None:
    """Write the tables of both tariffs."""
    for currency, sample in SAMPLES.items():
        zones = [(country, zone_of(country, sample.zones)) for country in sorted(NUMERIC)]
        write(f"zones-{currency}.csv", ("country", "zone"), sorted(zones, key=lambda row: (row[1], row[0])))
        write(f"voice-{currency}.csv", ("to", "price", "bands.peak", "name"), voice_rows(sample))


if __name__ == "__main__":
    main()
