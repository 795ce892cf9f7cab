"""What the rates of one version answer for: each usage finds one rate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import combinations
from typing import get_args

from rater.tariff.check.document import Scalar, Value
from rater.tariff.check.mistakes import Report
from rater.tariff.check.rates import split
from rater.tariff.check.values import texts
from rater.tariff.rates import default_name
from schemas.usage import Direction, Service

#: A rate as it is looked up: service, kind, direction, where, to. Empty is any.
Slot = tuple[str, str, str, str, str]


class Slots:
    """What the rates of one version answer for, each once."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._slots: dict[Slot, Value] = {}
        self._names: dict[str, Value] = {}

    def add(self, at: Value, service: Service, rate: Mapping[str, Value]) -> None:
        """Enter a rate; a second one for the same usage, or of the same name, is a mistake."""
        kind, direction = (text_of(rate.get(name)) for name in ("kind", "direction"))
        wheres, tos = self._places(rate, "where"), self._places(rate, "to")
        is_clash = False
        for where in wheres:
            for to in tos:
                first = self._slots.setdefault((service, kind, direction, where, to), at)
                if first is not at:
                    is_clash = True
                    what = " ".join(filter(None, (direction, kind or service)))
                    message = f"{what} in {where or 'any place'} to {to or 'anywhere'} already has a rate"
                    self._report.add(at, f"{message} ({stands(first, at)}); keep one of them")
        given = rate.get("name")
        if isinstance(given, Scalar):
            self._take_name(given.text, given)
        elif not is_clash:
            places = [tuple(filter(None, places)) for places in (wheres, tos)]
            self._take_name(default_name(service, kind or None, direction or None, *places), at)

    def _take_name(self, name: str, at: Value) -> None:
        """Names of a version, given or made of the matching fields, are unique."""
        first = self._names.setdefault(name, at)
        if first is not at:
            self._report.add(at, f'the name "{name}" is taken ({stands(first, at)}); write another "name"')

    def _places(self, rate: Mapping[str, Value], name: str) -> list[str]:
        """The values of "where" or "to", each once; empty is anywhere."""
        value = rate.get(name)
        if value is None:
            return [""]
        found: dict[str, Scalar] = {}
        for word in split(texts(self._report, value, name)):
            if found.setdefault(word.text, word) is not word:
                self._report.add(word, f"{word.text} is there twice; keep one")
        return list(found) or [""]

    def check_defaults(self, version: Value, name: str) -> None:
        """A service that has rates has one for everything they leave open; else such usage waits, parked."""
        for service in sorted({slot[0] for slot in self._slots}):
            open_to = {slot[2] for slot in self._slots if slot[0] == service and not (slot[1] or slot[3] or slot[4])}
            missing = [direction for direction in get_args(Direction) if not open_to & {"", direction}]
            if missing:
                which = f"{missing[0]} {service}" if len(missing) == 1 else service
                direction = f", direction: {missing[0]}" if len(missing) == 1 else ""
                message = (
                    f'version "{name}" has no default for {which}; write "- {{service: {service}{direction}, ...}}" '
                    'without "where" and "to", priced or with "answer: blocked"'
                )
                self._report.add(version, message, tolerable=True)

    def check_zones(self, zones: Mapping[str, frozenset[str]]) -> None:
        """Two zones that share a country and have rates for the same usage: the first declared answers."""
        for index, others in ((3, (0, 1, 2, 4)), (4, (0, 1, 2, 3))):
            groups: defaultdict[tuple[str, ...], dict[str, Value]] = defaultdict(dict)
            for slot, at in self._slots.items():
                if slot[index] in zones:
                    groups[tuple(slot[other] for other in others)][slot[index]] = at
            for group in groups.values():
                for one, two in combinations(sorted(group, key=list(zones).index), 2):
                    shared = sorted(zones[one] & zones[two])
                    if shared:
                        both = f'zones "{one}" and "{two}", which both have a rate for the same usage'
                        message = f"{', '.join(shared)}: in {both}; take it out of one"
                        self._report.add(group[two], message, tolerable=True)


def text_of(value: Value | None) -> str:
    """The text of a scalar, empty for anything else."""
    return value.text if isinstance(value, Scalar) else ""


def stands(value: Value, seen_from: Value) -> str:
    """Where something stands, short if in the same file."""
    return f"line {value.line}" if value.path == seen_from.path else f"{value.path}:{value.line}"
