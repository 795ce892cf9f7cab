"""Checks of a tariff's versions: their order in time, their rates and tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from rater.tariff.check.document import Map, Seq, Value, read_csv
from rater.tariff.check.mistakes import Report
from rater.tariff.check.rates import COLUMNS, FIELDS, Names, check_rate, check_row
from rater.tariff.check.slots import Slots, stands, text_of
from rater.tariff.check.values import fields, moment, place, text, texts
from schemas.usage import Service

_FIELDS = ("version", "effective_from", "emergency", "blocked", "rates", "tables")
_TEMPLATE = tuple(name for name in FIELDS if name != "name")


def check_versions(report: Report, value: Value | None, folder: Path, zone: ZoneInfo | None, names: Names) -> int:
    """Every version; how many there are."""
    if not isinstance(value, Seq) or not value.items:
        if value is not None:
            report.add(value, 'versions are a list; write at least one, with "version", "effective_from" and "rates"')
        return 0
    starts: list[tuple[datetime, Value, str]] = []
    known: dict[str, Value] = {}
    for version in value.items:
        if not isinstance(version, Map):
            report.add(version, 'a version is a mapping with "version", "effective_from" and "rates"')
            continue
        name = text_of(text(report, version.get("version"), "version"))
        if name and known.setdefault(name, version) is not version:
            report.add(version, f'version "{name}" is there already ({stands(known[name], version)}); rename it')
        _check_start(report, version, name, zone, starts)
        _check_version(report, version, name, folder, names)
    return len(value.items)


def _check_start(
    report: Report, version: Map, name: str, zone: ZoneInfo | None, starts: list[tuple[datetime, Value, str]]
) -> None:
    start = moment(report, version.get("effective_from"), "effective_from", zone)
    if start is None:
        return
    at = version.get("effective_from") or version
    if starts and start <= starts[-1][0]:
        before = starts[-1]
        how = "at the same time as" if start == before[0] else "before"
        instead = "a later time" if start == before[0] else "the versions in order of time"
        other = f'version "{before[2]}" ({stands(before[1], at)})'
        report.add(at, f'version "{name}" starts {how} {other}; write {instead}', tolerable=start < before[0])
    starts.append((start, at, name))


def _check_version(report: Report, version: Map, name: str, folder: Path, names: Names) -> None:
    known: tuple[str, ...] = _FIELDS
    if "effective_to" in version.keys:
        known = (*_FIELDS, "effective_to")
        at = version.keys["effective_to"]
        report.add(at, 'a version ends where the next begins, so that there is no gap; take "effective_to" out')
    fields(report, version, known, ("version", "effective_from"), "a version")
    for word in texts(report, version.get("blocked"), "blocked"):
        place(report, word, names.zones, number=False)
    for word in texts(report, version.get("emergency"), "emergency"):
        if not word.text.removeprefix("+").isdecimal():
            report.add(word, f'emergency: "{word.text}" is no number; write one such as "112"')
    if version.get("rates") is None and version.get("tables") is None:
        report.add(version, f'version "{name}" has no rates; write "rates" or "tables"')
    slots = Slots(report)
    for rate in _maps(report, version.get("rates"), "rates"):
        fields(report, rate, FIELDS, (), "a rate")
        service = check_rate(report, rate, rate.entries, names)
        if service:
            slots.add(rate, service, rate.entries)
    for template in _maps(report, version.get("tables"), "tables"):
        _check_table(report, template, folder, slots, names)
    slots.check_defaults(version, name)
    slots.check_zones(names.zones)


def _check_table(report: Report, template: Map, folder: Path, slots: Slots, names: Names) -> None:
    fields(report, template, ("file", *_TEMPLATE), ("file",), "a table")
    file = text(report, template.get("file"), "file")
    if file is None:
        return
    shared = {name: value for name, value in template.entries.items() if name != "file"}
    services: dict[tuple[str, ...], Service | None] = {}
    for row in read_csv(folder / file.text, report, frozenset(COLUMNS), file):
        at = next(iter(row.values()))
        rate = shared | row
        like = (*row, text_of(row.get("answer")))
        if like not in services:
            services[like] = check_rate(report, at, rate, names)
        service = services[like]
        if service:
            check_row(report, row, service, names)
            slots.add(at, service, rate)


def _maps(report: Report, value: Value | None, name: str) -> Iterator[Map]:
    if value is None:
        return
    if not isinstance(value, Seq):
        report.add(value, f'"{name}" is a list; write "- " before each')
        return
    for item in value.items:
        if isinstance(item, Map):
            yield item
        else:
            report.add(item, f'each of "{name}" is a mapping of fields')
