"""Finds every mistake of a tariff file at once, each with its line and what to write instead.

The form it checks is that of docs/tariffs.md. It reads the file on its own, beside the loader, because a loader stops
at the first thing it cannot read and no longer knows the line.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import get_args

import msgspec

from rater.geo import CURRENCIES, is_currency
from rater.money import MoneyError, Rounding, parse_nanos
from rater.tariff.check.bands import check_bands, check_overlaps
from rater.tariff.check.document import Map, Scalar, Value, read_csv, read_yaml
from rater.tariff.check.mistakes import Mistake, Report, nearest
from rater.tariff.check.rates import Names
from rater.tariff.check.slots import stands
from rater.tariff.check.values import choice, country, fields, text, texts, time_zone
from rater.tariff.check.versions import check_versions

__all__ = ["Checked", "Mistake", "check_tariff", "check_tariff_file"]

_REQUIRED = ("tariff", "currency", "zone", "versions")
_FIELDS = (*_REQUIRED, "rounding", "precision", "zones", "zones_csv", "bands")


class Checked(msgspec.Struct, frozen=True):
    """What a check found: the mistakes, and how much there is."""

    mistakes: list[Mistake]
    countries: int = 0
    prefixes: int = 0
    versions: int = 0


def check_tariff_file(path: Path) -> list[Mistake]:
    """Every mistake of a tariff file and of the tables it names, by file and line; none if it may be used."""
    return check_tariff(path).mistakes


def check_tariff(path: Path) -> Checked:
    """The mistakes of a tariff file, and how many countries, prefixes and versions it names."""
    report = Report()
    tariff = read_yaml(path, report)
    if tariff is None:
        return Checked(report.mistakes)
    fields(report, tariff, _FIELDS, _REQUIRED, "a tariff")
    text(report, tariff.get("tariff"), "tariff")
    _currency(report, tariff.get("currency"))
    choice(report, tariff.get("rounding"), "rounding", get_args(Rounding))
    _precision(report, tariff.get("precision"))
    names = Names(_zones(report, tariff, path.parent), check_bands(report, tariff.get("bands")))
    zone = time_zone(report, tariff.get("zone"))
    versions = check_versions(report, tariff.get("versions"), path.parent, zone, names)
    check_overlaps(report, sorted(names.used_bands), dict(names.spans))
    right = [place for place, known in names.places.items() if known]
    countries = frozenset[str]().union(*names.zones.values()) | {name for name, _ in right if _is_code(name)}
    prefixes = sum(is_destination and name.startswith("+") for name, is_destination in right)
    return Checked(report.mistakes, len(countries), prefixes, versions)


def _is_code(name: str) -> bool:
    return len(name) == 2 and name.isalpha() and name.isupper()


def _currency(report: Report, value: Value | None) -> None:
    word = text(report, value, "currency")
    if word is not None and not is_currency(word.text):
        instead = f'write "{word.text.upper()}"' if is_currency(word.text.upper()) else nearest(word.text, CURRENCIES)
        report.add(word, f'unknown currency "{word.text}"; {instead}')


def _precision(report: Report, value: Value | None) -> None:
    word = text(report, value, "precision")
    if word is None:
        return
    if word.kind == "!float":
        report.add(word, f'precision {word.text} is a float and not exact; write "{word.text}" in quotes')
        return
    try:
        nanos = parse_nanos(word.text)
    except MoneyError as error:
        report.add(word, f'precision {error}; write one such as "0.01"')
        return
    if nanos <= 0:
        report.add(word, f'precision "{word.text}" is not above zero; write one such as "0.01"')


def _zones(report: Report, tariff: Map, folder: Path) -> dict[str, frozenset[str]]:
    """The countries of each zone, from the YAML file and from its table."""
    found: defaultdict[str, dict[str, Scalar]] = defaultdict(dict)
    for zone, word in [*_yaml_zones(report, tariff.get("zones")), *_csv_zones(report, tariff.get("zones_csv"), folder)]:
        if not country(report, word):
            continue
        first = found[zone].setdefault(word.text, word)
        if first is not word:
            message = f'"{word.text}" is already in zone "{zone}" ({stands(first, word)}); keep one of them'
            report.add(word, message, tolerable=True)
    return {zone: frozenset(countries) for zone, countries in found.items()}


def _yaml_zones(report: Report, value: Value | None) -> list[tuple[str, Scalar]]:
    if value is None:
        return []
    if not isinstance(value, Map):
        report.add(value, 'zones are named lists of countries; write "alps: [CH, LI]"')
        return []
    rows: list[tuple[str, Scalar]] = []
    for zone, countries in value.entries.items():
        _zone_name(report, value.keys[zone])
        rows += [(zone, word) for word in texts(report, countries, zone)]
    return rows


def _csv_zones(report: Report, value: Value | None, folder: Path) -> list[tuple[str, Scalar]]:
    file = text(report, value, "zones_csv")
    rows: list[tuple[str, Scalar]] = []
    for row in read_csv(folder / file.text, report, frozenset({"country", "zone"}), file) if file is not None else ():
        at = next(iter(row.values()))
        if "country" not in row or "zone" not in row:
            report.add(at, 'a row without "country" or "zone"; write both')
            continue
        _zone_name(report, row["zone"])
        rows.append((row["zone"].text, row["country"]))
    return rows


def _zone_name(report: Report, name: Scalar) -> None:
    if _is_code(name.text) or not name.text[:1].isalpha() or " " in name.text:
        report.add(name, f'"{name.text}" reads as a country or a number; write a zone\'s name such as "alps"')
