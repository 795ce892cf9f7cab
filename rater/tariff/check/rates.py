"""Checks of one rate. A rate of a table is its template overlaid by its row, so a value may stand in either file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast, get_args

from rater.tariff.check.bands import Span
from rater.tariff.check.document import Map, Scalar, Seq, Value
from rater.tariff.check.mistakes import Report, nearest
from rater.tariff.check.values import SERVICES, amount, choice, fields, place, quantity, text, texts, unit
from rater.tariff.model import Answer, IncrementScope, Scope, TierMode, TierScope
from schemas.usage import Direction, Service

#: Fields of a rate that may also be columns of a table.
COLUMNS = (
    "where", "to", "price", "per", "name", "kind", "direction", "answer", "setup", "minimum", "maximum",
    "minimum_quantity", "tax_category",
)  # fmt: skip
FIELDS = ("service", *COLUMNS, "bands", "tiers", "tier_mode", "tier_scope", "increments", "scope")
#: Fields that are one of a few words.
_CHOICES = {
    "direction": get_args(Direction),
    "answer": get_args(Answer),
    "tier_mode": get_args(TierMode),
    "tier_scope": get_args(TierScope),
    "scope": get_args(Scope),
}


@dataclass(slots=True)
class Names:
    """What the rates of a tariff may refer to, and which bands they use together."""

    zones: Mapping[str, frozenset[str]]
    spans: Mapping[str, Span | None]
    used_bands: set[tuple[str, ...]] = field(default_factory=set)
    #: Places and numbers already found right or wrong: (text, is a destination) -> right.
    places: dict[tuple[str, bool], bool] = field(default_factory=dict)
    #: Texts of cells already found to be prices.
    prices: set[str] = field(default_factory=set)


def check_rate(report: Report, at: Value, rate: Mapping[str, Value], names: Names) -> Service | None:
    """Every mistake of one rate; its service, None where it is unknown for what usage the rate is.

    `rate` has "bands" as a mapping (from YAML) or "bands.NAME" fields (from columns).
    """
    service = cast("Service | None", choice(report, rate.get("service"), "service", SERVICES))
    chosen = {name: choice(report, rate.get(name), name, options) for name, options in _CHOICES.items()}
    for name in ("kind", "name", "tax_category"):
        text(report, rate.get(name), name)
    _places(report, rate, names)
    _fees(report, rate)
    if service is None:
        if "service" not in rate:
            report.add(at, f'a rate has no "service"; write one of {", ".join(SERVICES)}')
        return None
    _quantities(report, rate, service)
    _prices(report, at, rate, service)
    _bands(report, rate, service, names)
    return service if "direction" not in rate or chosen["direction"] else None


def check_row(report: Report, row: Mapping[str, Scalar], service: Service, names: Names) -> None:
    """The cells of a row whose like was already checked as a whole rate."""
    _places(report, row, names)
    for name, cell in row.items():
        if name == "price" or name.startswith("bands."):
            if cell.text not in names.prices and amount(report, cell, "price") is not None:
                names.prices.add(cell.text)
        elif name == "minimum_quantity":
            quantity(report, cell, name, service)
        elif name == "per":
            unit(report, cell, service)
        elif name == "direction":
            choice(report, cell, name, _CHOICES[name])
    if row.keys() & {"setup", "minimum", "maximum"}:
        _fees(report, row)


def _places(report: Report, rate: Mapping[str, Value], names: Names) -> None:
    for name in ("where", "to"):
        for word in split(texts(report, rate.get(name), name)):
            key = (word.text, name == "to")
            if not names.places.get(key, False):
                names.places[key] = place(report, word, names.zones, number=name == "to")


def split(words: list[Scalar]) -> list[Scalar]:
    """Values of a cell stand apart by blanks."""
    if len(words) != 1 or words[0].kind != "cell" or " " not in words[0].text:
        return words
    return [Scalar(words[0].path, words[0].line, part) for part in words[0].text.split()]


def _fees(report: Report, rate: Mapping[str, Value]) -> None:
    bounds = {name: amount(report, rate.get(name), name) for name in ("setup", "minimum", "maximum")}
    minimum, maximum = bounds["minimum"], bounds["maximum"]
    if minimum is not None and maximum is not None and minimum > maximum:
        report.add(rate["maximum"], "maximum is less than minimum; write it the other way round")


def _quantities(report: Report, rate: Mapping[str, Value], service: Service) -> None:
    quantity(report, rate.get("minimum_quantity"), "minimum_quantity", service)
    increments = rate.get("increments")
    if not isinstance(increments, Map):
        for step in texts(report, increments, "increments"):
            quantity(report, step, "increments", service)
        return
    fields(report, increments, ("first", "next", "scope"), ("next",), "increments")
    following = quantity(report, increments.get("next"), "next", service)
    first = quantity(report, increments.get("first"), "first", service)
    if choice(report, increments.get("scope"), "scope", get_args(IncrementScope)) == "carry-over":
        if first is not None and first != following:
            report.add(increments.keys["first"], 'with carry-over there is no first step; take "first" out')
        if "minimum_quantity" in rate:
            report.add(rate["minimum_quantity"], 'with carry-over there is no minimum; take "minimum_quantity" out')


def _prices(report: Report, at: Value, rate: Mapping[str, Value], service: Service) -> None:
    answer = rate.get("answer")
    word = answer.text if isinstance(answer, Scalar) else "priced"
    price, tiers = rate.get("price"), rate.get("tiers")
    extras = [value for name, value in rate.items() if name in {"setup", "minimum"} or name.startswith("bands")]
    if word == "free":
        for extra in (price, tiers, *extras):
            if extra is not None:
                report.add(extra, 'a free rate has no price; take this out, or "answer: free"')
        return
    if price is None and tiers is None and word != "priced" and not extras:
        return
    _one_price(report, at, rate, service)
    if rate.get("per") is None and service != "message":
        report.add(at, f'a rate has no "per"; write "per: {"MB" if service == "data" else "min"}"')
    unit(report, rate.get("per"), service)


def _one_price(report: Report, at: Value, rate: Mapping[str, Value], service: Service) -> None:
    price, tiers = rate.get("price"), rate.get("tiers")
    if price is not None and tiers is not None:
        report.add(price, "here are both price and tiers; keep one of them")
    if price is None and tiers is None:
        report.add(at, 'no price here; write "price" or "tiers", or for the rate "answer: free" or "answer: blocked"')
    amount(report, price, "price")
    if tiers is not None:
        _tiers(report, tiers, service)


def _tiers(report: Report, tiers: Value, service: Service) -> None:
    if not isinstance(tiers, Seq) or not tiers.items:
        report.add(tiers, 'tiers are a list; write "- {up_to: 100 MB, price: "0.10"}" and so on')
        return
    below = 0
    for index, tier in enumerate(tiers.items):
        if not isinstance(tier, Map):
            report.add(tier, 'a tier is a mapping; write {up_to: 100 MB, price: "0.10"}')
            continue
        fields(report, tier, ("up_to", "price"), ("price",), "a tier")
        amount(report, tier.get("price"), "price")
        is_last = index == len(tiers.items) - 1
        bound = quantity(report, tier.get("up_to"), "up_to", service)
        if is_last and "up_to" in tier.entries:
            report.add(tier, 'the last tier has "up_to", so that more than that has no price; take it out')
        elif not is_last and tier.get("up_to") is None:
            report.add(tier, 'a tier before the last has no "up_to"; write it')
        elif bound is not None and bound <= below:
            report.add(tier, "up_to does not rise above the tier before; write the tiers in rising order")
        below = max(below, bound or 0)


def _bands(report: Report, rate: Mapping[str, Value], service: Service, names: Names) -> None:
    written = rate.get("bands")
    priced: dict[str, tuple[Value, Value]] = {}
    if isinstance(written, Map):
        priced = {name: (written.keys[name], value) for name, value in written.entries.items()}
    elif written is not None:
        report.add(written, 'bands are priced by name; write {peak: "0.19"}')
    priced |= {name[6:]: (value, value) for name, value in rate.items() if name.startswith("bands.")}
    for name, (at, value) in priced.items():
        if name not in names.spans:
            report.add(at, f'unknown band "{name}"; {nearest(name, names.spans)}')
        if isinstance(value, Map):
            fields(report, value, ("price", "tiers"), (), "a band's price")
            _one_price(report, at, value.entries, service)
        else:
            amount(report, value, "price")
    if len(priced) > 1:
        names.used_bands.add(tuple(priced))
