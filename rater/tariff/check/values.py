"""Checks of single values: prices, quantities, places, times. Each returns what it read, None after a mistake."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import get_args
from zoneinfo import ZoneInfo, available_timezones

from rater.geo import COUNTRIES, country_of_mcc, is_country
from rater.money import MoneyError, parse_price
from rater.tariff.check.document import Map, Scalar, Seq, Value
from rater.tariff.check.mistakes import Report, nearest
from rater.tariff.units import UNITS, parse_quantity
from schemas.usage import Service

SERVICES: tuple[Service, ...] = get_args(Service)
YEAR_MIN, YEAR_MAX = 1900, 3000
_NETWORK = re.compile(r"(\d{3})-\d{2,3}")
_NUMBER = re.compile(r"\+\d{1,15}|\d{1,8}")
#: What people write instead of a code of ISO 3166-1: the European Union's own two, then names.
_COUNTRY_OF = {"UK": "GB", "EL": "GR"} | {name.lower(): code for code, name in COUNTRIES.items()}
#: Networks of no country: shared and private mobile country codes (ITU-T E.212).
_INTERNATIONAL_MCC = frozenset({"901", "999"})


def fields(report: Report, mapping: Map, known: Iterable[str], required: Iterable[str], what: str) -> None:
    """Unknown and missing fields of a mapping."""
    names = list(known)
    for name, key in mapping.keys.items():
        if name not in names:
            report.add(key, f'unknown field "{name}" in {what}; {nearest(name, names, shown_max=20)}')
    for name in required:
        if mapping.get(name) is None:
            report.add(mapping, f'{what} has no "{name}"; write it')


def text(report: Report, value: Value | None, name: str) -> Scalar | None:
    """A text; a list, a mapping or nothing between quotes is a mistake."""
    if isinstance(value, Scalar) and not value.text and value.kind == "str":
        report.add(value, f'"{name}" is empty; write it or take it out')
        return None
    if value is None or isinstance(value, Scalar):
        return value
    report.add(value, f'"{name}" is a {"list" if isinstance(value, Seq) else "mapping"}; write one text')
    return None


def texts(report: Report, value: Value | None, name: str) -> list[Scalar]:
    """One text or a list of them."""
    if isinstance(value, Seq):
        return [item for item in (text(report, item, name) for item in value.items) if item is not None]
    one = text(report, value, name)
    return [] if one is None else [one]


def choice(report: Report, value: Value | None, name: str, options: Iterable[str]) -> str | None:
    """One of a few words."""
    word = text(report, value, name)
    known = list(options)
    if word is None:
        return None
    if word.text in known:
        return word.text
    report.add(word, f'unknown {name} "{word.text}"; {nearest(word.text, known)}')
    return None


def amount(report: Report, value: Value | None, name: str) -> Fraction | None:
    """A price or a fee: an exact text that is not negative."""
    written = text(report, value, name)
    if written is None:
        return None
    if written.kind == "!float":
        report.add(written, f'{name} {written.text} is a float and not exact; write "{written.text}" in quotes')
        return None
    try:
        price = parse_price(written.text)
    except MoneyError as error:
        comma = re.fullmatch(r"(\d+),(\d+)", written.text)
        instead = f'{name} "{written.text}"; write "{comma[1]}.{comma[2]}"' if comma else f"{name} {error}"
        report.add(written, instead)
        return None
    if price < 0:
        report.add(written, f'{name} "{written.text}" is negative; write "{written.text.lstrip("-")}" or 0')
        return None
    return price


def quantity(report: Report, value: Value | None, name: str, service: Service) -> int | None:
    """A quantity above zero with a unit of the service."""
    written = text(report, value, name)
    if written is None:
        return None
    try:
        number = parse_quantity(written.text, service)
    except ValueError as error:
        report.add(written, f"{name} {_with_unit(str(error), written.text.split(' ')[-1], service)}")
        return None
    if number == 0:
        report.add(written, f'{name} "{written.text}" is nothing; write a quantity above zero')
        return None
    return number


def unit(report: Report, value: Value | None, service: Service) -> str | None:
    """The unit of a price."""
    written = text(report, value, "per")
    if written is None:
        return None
    if written.text in UNITS[service]:
        return written.text
    instead = nearest(written.text, UNITS[service])
    report.add(written, f'per: "{written.text}" is no unit of {service}; {instead}')
    return None


def _with_unit(message: str, word: str, service: Service) -> str:
    similar = {known.lower(): known for known in UNITS[service]}.get(word.lower())
    return f'{message}: write "{similar}"' if similar and similar != word and "no unit" in message else message


def place(report: Report, word: Scalar, zones: Mapping[str, object], *, number: bool) -> bool:
    """A country or zone, and besides a network (`number` False) or a number (`number` True)."""
    name = word.text
    if name in zones or is_country(name):
        return True
    network = _NETWORK.fullmatch(name)
    if network and not number:
        if country_of_mcc(network[1]) or network[1] in _INTERNATIONAL_MCC:
            return True
        message = f'"{name}": no network has the mobile country code {network[1]}; write one such as "262-01"'
        report.add(word, message, tolerable=True)
    elif number and name.startswith("00") and name.isdecimal() and len(name) > 3:
        report.add(word, f'"{name}" is dialled with 00; write "+{name[2:]}"')
    elif number and _NUMBER.fullmatch(name):
        return True
    else:
        sort = "number" if number else "network"
        report.add(word, f'"{name}" is no country, zone or {sort}; {like_place(name, zones)}')
    return False


def like_place(word: str, zones: Iterable[str]) -> str:
    """What to write instead of an unknown country or zone."""
    code = _COUNTRY_OF.get(word.upper()) or _COUNTRY_OF.get(word.lower())
    if code is None and is_country(word.upper()):
        code = word.upper()
    return f'write "{code}"' if code else nearest(word, [*zones, *COUNTRIES])


def country(report: Report, word: Scalar) -> bool:
    """A country code."""
    if is_country(word.text):
        return True
    report.add(word, f'unknown country "{word.text}"; {like_place(word.text, ())}')
    return False


def time_zone(report: Report, value: Value | None) -> ZoneInfo | None:
    """An IANA zone."""
    word = text(report, value, "zone")
    if word is None:
        return None
    zones = available_timezones()
    if word.text in zones:
        return ZoneInfo(word.text)
    report.add(word, f'unknown time zone "{word.text}"; {nearest(word.text, sorted(zones))}')
    return None


def moment(report: Report, value: Value | None, name: str, zone: ZoneInfo | None) -> datetime | None:
    """A point in time: "2026-10-01T00:00" in the zone, or with an offset; in UTC."""
    written = text(report, value, name)
    if written is None:
        return None
    try:
        read = datetime.fromisoformat(written.text)
    except ValueError:
        report.add(written, f'{name} "{written.text}" is no time; write one such as "2026-10-01T00:00"')
        return None
    if not YEAR_MIN < read.year < YEAR_MAX:  # so that no zone and no month more leads out of what a date can be
        report.add(written, f'{name} "{written.text}" is no year to rate in; write one from 1901 to 2999')
        return None
    if read.tzinfo is None:
        read = read.replace(tzinfo=zone or UTC)
        there_and_back = read.astimezone(UTC).astimezone(read.tzinfo)
        if there_and_back.replace(tzinfo=None) != read.replace(tzinfo=None):
            later = there_and_back.strftime("%Y-%m-%dT%H:%M")
            report.add(written, f'{name} "{written.text}" is skipped by the clocks of {zone}; write "{later}"')
            return None
    return read.astimezone(UTC)
