"""Which rate answers for a usage: the index of one tariff version.

The order is that of docs/tariffs.md: emergency numbers, then blocked places, then the most specific of the rates that
match, comparing first kind, then where the subscriber is (network > country > zone > anywhere), then where it goes
(longest prefix or short code as dialled > country > zone > anywhere), then direction. A country in several zones
belongs to the one declared first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, get_args

from rater.errors import CatalogueError
from rater.geo import country_of_mcc, country_of_number
from rater.rating.charge import Outcome
from rater.rating.pricer import Pricer
from rater.tariff.model import Rate, Version
from schemas.shape import Shaped
from schemas.usage import Direction

NETWORK = re.compile(r"[0-9]{3}-[0-9]{2,3}")
NUMBER = re.compile(r"\+[0-9]{1,15}|[0-9]{1,8}")
COUNTRY = re.compile(r"[A-Z]{2}")

#: Answers kept for usage that looks the same. Called numbers are many, so the memory is emptied when full.
ANSWERS_MAX = 65_536

ANYWHERE = ""
#: What emergency numbers are rated as.
EMERGENCY: Final = "emergency"
DIRECTIONS: Final[tuple[Direction, ...]] = get_args(Direction)


class Found:
    """The answer for one usage. `pricer` is None where nothing is priced; `detail` says why in words."""

    __slots__ = ("detail", "network", "outcome", "pricer", "rate", "zone")

    def __init__(self, outcome: Outcome, pricer: Pricer | None, *, rate: str, zone: str, detail: str = "") -> None:
        self.outcome = outcome
        self.pricer = pricer
        #: Names of the rate and of the place that matched.
        self.rate = rate
        self.zone = zone
        self.detail = detail
        #: What carried-over steps are counted by: the visited network, or the country where that is all one knows.
        self.network = ""


class _Destinations:
    """The rates of one location, by destination as written: number, country, zone or anywhere."""

    __slots__ = ("longest", "rates")

    def __init__(self) -> None:
        self.rates: dict[str, Pricer] = {}
        self.longest = 0

    def add(self, to: str, pricer: Pricer) -> Pricer | None:
        """Enter a rate, one that names its direction before one that does not; answers the one it clashes with."""
        if to.startswith("+"):
            self.longest = max(self.longest, len(to))
        other = self.rates.get(to)
        if other is None or (pricer.rate.direction and not other.rate.direction):
            self.rates[to] = pricer
        elif other.rate.direction == pricer.rate.direction:
            return other
        return None

    def find(self, number: str, keys: list[str]) -> tuple[str, Pricer] | None:
        """The rate of the longest prefix of the number, else of the first key that has one."""
        if number.startswith("+"):
            for end in range(min(self.longest, len(number)), 1, -1):
                pricer = self.rates.get(number[:end])
                if pricer is not None:
                    return number[:end], pricer
        elif number and number in self.rates:
            return number, self.rates[number]
        for key in keys:
            pricer = self.rates.get(key)
            if pricer is not None:
                return key, pricer
        return None


class Index:
    """Finds the rate of a usage in one version of a tariff.

    Raises:
        CatalogueError: two rates answer for the same usage, or one names a zone that is not declared.
    """

    def __init__(self, version: Version, zones: Mapping[str, tuple[str, ...]]) -> None:
        self._version = version
        self._zones_of: dict[str, list[str]] = {}
        for zone, countries in zones.items():
            for country in countries:
                self._zones_of.setdefault(country, []).append(zone)
        self._zones = zones
        self._blocked = frozenset(version.blocked)
        self._tables: dict[tuple[str, str | None, str], dict[str, _Destinations]] = {}
        self._answers: dict[tuple[str | None, ...], Found] = {}
        for rate in version.rates:
            self._add(rate)
        for place in version.blocked:
            self._known(place, "blocked", NETWORK)

    def _add(self, rate: Rate) -> None:
        pricer = Pricer(rate)
        for where in rate.where:
            self._known(where, rate.name, NETWORK)
        for to in rate.to:
            self._known(to, rate.name, NUMBER)
        for direction in (rate.direction,) if rate.direction else DIRECTIONS:
            locations = self._tables.setdefault((rate.service, rate.kind, direction), {})
            for where in rate.where or (ANYWHERE,):
                destinations = locations.setdefault(where, _Destinations())
                for to in rate.to or (ANYWHERE,):
                    other = destinations.add(to, pricer)
                    if other is not None:
                        raise CatalogueError(
                            f'version "{self._version.name}": rates "{other.rate.name}" and "{rate.name}" both answer '
                            f"for {rate.service} where: {where or 'anywhere'}, to: {to or 'anywhere'}"
                        )

    def _known(self, place: str, name: str, other: re.Pattern[str]) -> None:
        if place == ANYWHERE or place in self._zones or COUNTRY.fullmatch(place) or other.fullmatch(place):
            return
        raise CatalogueError(
            f'version "{self._version.name}", {name}: "{place}" is no zone, country, network or number'
        )

    def find(self, usage: Shaped) -> Found:
        """The answer for a usage; never fails, `no_rate` says what was looked up."""
        key = (
            usage.service, usage.kind, usage.direction, usage.mcc, usage.mnc, usage.country, usage.called_number,
            usage.destination_country,
        )  # fmt: skip
        found = self._answers.get(key)
        if found is None:
            if len(self._answers) >= ANSWERS_MAX:
                self._answers.clear()
            found = self._answers[key] = self._find(usage)
        return found

    def _find(self, usage: Shaped) -> Found:
        country = usage.country or (country_of_mcc(usage.mcc, usage.mnc) if usage.mcc else None)
        network = f"{usage.mcc}-{usage.mnc}" if usage.mcc and usage.mnc else ""
        number = usage.called_number or ""
        if number in self._version.emergency:
            return Found("free", None, rate=EMERGENCY, zone=number, detail=f"{number} is an emergency number")
        places = [place for place in (network, *self._keys(country)) if place]
        target = usage.destination_country or country_of_number(number)
        matches = self._matches(usage, places, number, [*self._keys(target), ANYWHERE])
        best = next(matches, None)
        found = _answer(best) if best else Found("no_rate", None, rate="", zone="")
        barred = next((place for place in places if place in self._blocked), None)
        if barred is not None:
            found = Found("blocked", found.pricer, rate=found.rate or "blocked", zone=found.zone or barred)
            found.detail = f"service is blocked in {barred}"
        elif best is None:
            found.detail = self._not_found(usage, places, number, target)
        found.network = network.replace("-", "") or country or ""
        return found

    def _keys(self, country: str | None) -> list[str]:
        return [country, *self._zones_of.get(country, ())] if country else []

    def _matches(
        self, usage: Shaped, places: list[str], number: str, targets: list[str]
    ) -> Iterator[tuple[str, str, Pricer]]:
        """Rates that match, most specific first, with the place and the destination they matched by."""
        for kind in dict.fromkeys((usage.kind, None)):
            locations = self._tables.get((usage.service, kind, usage.direction), {})
            for where in (*places, ANYWHERE):
                found = locations[where].find(number, targets) if where in locations else None
                if found is not None:
                    yield where, *found

    def _not_found(self, usage: Shaped, places: list[str], number: str, target: str | None) -> str:
        what = f"{usage.direction} {usage.service}" + (f" ({usage.kind})" if usage.kind else "")
        where = " or ".join(places) or "an unknown place"
        to = " or ".join(key for key in (number, *self._keys(target)) if key)
        detail = f'no rate for {what} in {where}{" to " + to if to else ""} in version "{self._version.name}"'
        if not usage.country and usage.mcc and len(places) < 1 + bool(usage.mnc):
            detail += f"; MCC {usage.mcc} has no country"
        return detail


def _answer(best: tuple[str, str, Pricer]) -> Found:
    where, to, pricer = best
    rate = pricer.rate
    zone = f"{where or 'anywhere'}>{to}" if to else where or "anywhere"
    if rate.answer == "blocked":
        priced = pricer if rate.prices else None
        return Found("blocked", priced, rate=rate.name, zone=zone, detail=f'rate "{rate.name}" blocks {zone}')
    if rate.answer == "free":
        return Found("free", None, rate=rate.name, zone=zone, detail=f'rate "{rate.name}" is free')
    return Found("priced", pricer, rate=rate.name, zone=zone)
