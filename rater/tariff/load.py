"""Reads a tariff file (docs/tariffs.md) into a `Tariff`, stopping at the first mistake.

`rater tariff check` finds every mistake at once; what it passes, this loads.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Final

import yaml

from rater.errors import CatalogueError
from rater.geo import is_country, is_currency
from rater.money import MoneyError, parse_nanos
from rater.tariff.fields import Fields, read_instant, read_zone
from rater.tariff.model import Band, Rate, Tariff, Version
from rater.tariff.rates import read_rate
from rater.tariff.tables import read_table, read_zones_csv
from rater.tariff.yaml_text import parse

#: Reads a file that a tariff names, by that name.
ReadFile = Callable[[str], str]

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"([0-9]{2}):([0-9]{2})")


def load_tariff(source: Path | str) -> Tariff:
    """A tariff from its file, or from the text of one (a string with a line break); ready to rate with.

    Raises:
        CatalogueError: a mistake, named by file and field.
    """
    if isinstance(source, str) and "\n" in source:
        return read_tariff(source, "tariff", _no_file)
    path = Path(source)

    def read(name: str) -> str:
        return read_text(path.parent / name)

    return read_tariff(read_text(path), path.name, read)


def read_text(path: Path) -> str:
    """The text of a catalogue file.

    Raises:
        CatalogueError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{path}: cannot be read: {error}") from error


def _no_file(name: str) -> str:
    raise CatalogueError(f'"{name}": a tariff given as text has no files beside it')


def read_tariff(text: str, path: str, read: ReadFile) -> Tariff:
    """A tariff from the text of its file; `path` names it in mistakes, `read` gets the files it names."""
    try:
        fields = Fields(parse(text), path)
    except yaml.YAMLError as error:
        raise CatalogueError(f"{path}: this is no YAML: {error}") from error
    name, currency = fields.text("tariff"), fields.text("currency")
    if not is_currency(currency):
        raise fields.wrong("currency", f'"{currency}" is no ISO 4217 currency')
    zone = fields.read("zone", read_zone, "")
    if not zone:
        raise fields.wrong("zone", "is required")
    zones = _zones(fields, read)
    bands = {}
    for band_name, value in Fields(fields.take("bands") or {}, f"{path}: bands").rest().items():
        bands[band_name] = _band(band_name, Fields(value, f"{path}: bands.{band_name}"))
    tariff = Tariff(
        name=name,
        currency=currency,
        zone=zone,
        rounding=fields.choice("rounding", ("up", "down", "half-up", "half-even"), "half-up"),
        precision_nanos=fields.read("precision", _precision, 1),
        zones=zones,
        versions=_versions(fields, zone, bands, read),
    )
    fields.done()
    try:
        assert tariff.indexes is not None, "the indexes are built here, so that a clash of rates is found at once"
    except CatalogueError as error:
        raise CatalogueError(f"{path}: {error}") from error
    return tariff


def _precision(text: object) -> int:
    step = parse_nanos(text)
    if step <= 0:
        raise MoneyError(f'"{text}" must be more than nothing')
    return step


def _zones(fields: Fields, read: ReadFile) -> dict[str, tuple[str, ...]]:
    value = fields.take("zones") or {}
    zones = Fields(value, f"{fields.path}.zones")
    found = {name: zones.texts(name) for name in value}
    file = fields.take("zones_csv")
    if file is not None:
        for name, countries in read_zones_csv(read(file), file).items():
            found[name] = (*found.get(name, ()), *countries)
    for name, countries in found.items():
        if re.fullmatch(r"[A-Z]{2}|[\d+].*", name):
            raise fields.wrong(f"zones.{name}", "a zone's name must not look like a country or a number")
        for country in countries:
            if not is_country(country):
                raise fields.wrong(f"zones.{name}", f'"{country}" is no ISO 3166-1 alpha-2 country')
    return found


def _band(name: str, fields: Fields) -> Band:
    dates, yearly = set(), set()
    for text in fields.texts("dates"):
        try:
            if len(text) == 5:
                day = date.fromisoformat(f"2000-{text}")
                yearly.add((day.month, day.day))
            else:
                dates.add(date.fromisoformat(text))
        except ValueError:
            raise fields.wrong("dates", f'"{text}" is no date such as "2026-12-24" or "12-24"') from None
    days = fields.texts("days")
    if days and (dates or yearly):
        raise fields.wrong("days", "a band has days or dates, not both")
    try:
        weekdays = read_weekdays(days)
    except ValueError as error:
        raise fields.wrong("days", error) from None
    band = Band(
        name=name,
        from_minute=fields.read("from", read_minute, 0),
        to_minute=fields.read("to", read_minute, 0),
        weekdays=weekdays,
        dates=frozenset(dates),
        yearly=frozenset(yearly),
    )
    fields.done()
    return band


def read_minute(text: object) -> int:
    """Minute of the day of "08:30"; "24:00" is midnight, as "00:00".

    Raises:
        ValueError: no time of day.
    """
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    minute = int(match[1]) * 60 + int(match[2]) if match and int(match[2]) < 60 else -1
    if not 0 <= minute <= 24 * 60:
        raise ValueError(f'"{text}" is no time of day such as "08:00"')
    return minute % (24 * 60)


def read_weekdays(texts: tuple[str, ...]) -> frozenset[int]:
    """Weekdays (0 = Monday) of "mon-fri", "fri-mon" or "sat"; all if none is named.

    Raises:
        ValueError: no weekday.
    """
    found: set[int] = set()
    for text in texts or ("mon-sun",):
        first, _, last = text.partition("-")
        if first not in WEEKDAYS or (last or first) not in WEEKDAYS:
            raise ValueError(f'"{text}" is no weekday; write one of {", ".join(WEEKDAYS)}, or "mon-fri"')
        start = WEEKDAYS.index(first)
        length = (WEEKDAYS.index(last or first) - start) % 7
        found.update((start + step) % 7 for step in range(length + 1))
    return frozenset(found)


def _versions(fields: Fields, zone: str, bands: dict[str, Band], read: ReadFile) -> tuple[Version, ...]:
    versions = [_version(Fields(value, path), zone, bands, read) for value, path in fields.list("versions")]
    if not versions:
        raise fields.wrong("versions", "at least one version is required")
    versions.sort(key=lambda version: version.effective_from_ms)
    for earlier, later in pairwise(versions):
        if earlier.effective_from_ms == later.effective_from_ms:
            raise fields.wrong("versions", f'"{earlier.name}" and "{later.name}" take effect at the same time')
    if len({version.name for version in versions}) < len(versions):
        raise fields.wrong("versions", "two versions have the same name")
    return tuple(versions)


def _version(fields: Fields, zone: str, bands: dict[str, Band], read: ReadFile) -> Version:
    name = fields.text("version")
    effective_from_ms = fields.read("effective_from", lambda text: read_instant(text, zone), None)
    if effective_from_ms is None:
        raise fields.wrong("effective_from", "is required")
    rates = [read_rate(Fields(value, path), bands) for value, path in fields.list("rates")]
    for value, path in fields.list("tables"):
        rates += read_table(Fields(value, path), bands, read)
    version = Version(
        name=name,
        effective_from_ms=effective_from_ms,
        rates=tuple(rates),
        emergency=frozenset(fields.texts("emergency")),
        blocked=fields.texts("blocked"),
    )
    fields.done()
    _unique_names(rates, fields)
    return version


def _unique_names(rates: list[Rate], fields: Fields) -> None:
    seen: set[str] = set()
    for rate in rates:
        if rate.name in seen:
            raise fields.wrong("rates", f'two rates are named "{rate.name}"; give one a name of its own')
        seen.add(rate.name)
