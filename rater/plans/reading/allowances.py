"""Reading allowances and their credit tables."""

from __future__ import annotations

import re
from fractions import Fraction
from math import lcm
from typing import Final, get_args

from rater.geo import is_country
from rater.money import MoneyError, parse_price
from rater.plans.calendar import MONTHS_MAX
from rater.plans.model import SERVICES, UNIT_OF, Allowance, Cost, Expiry, Match, RollOver, Unit
from rater.plans.reading.section import Section
from rater.tariff.check.document import Scalar, Seq
from rater.tariff.check.values import like_place
from rater.tariff.units import QUANTITY_MAX, UNITS, parse_quantity
from schemas.usage import Direction, Service

#: A credit in finer parts would leave too few credits below 2^53.
PARTS_PER_CREDIT_MAX: Final = 10**9
PERIODS_MAX: Final = 1_200
_CREDITS = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?credits?")
_NETWORK = re.compile(r"\d{3}-\d{2,3}")
_EXAMPLES = '"10 GB", "1000 min", "500 messages" or "10000 credits"'


class Quantity:
    """A quantity as written, and its unit; credits become parts once the table is known."""

    __slots__ = ("exact", "service", "unit")

    def __init__(self, unit: Unit, exact: Fraction, service: Service | None) -> None:
        self.unit = unit
        self.exact = exact
        self.service = service


def parse_quantity_of_any(text: str) -> Quantity:
    """Read "10 GB", "1000 min", "500 messages" or "10000 credits".

    Raises:
        ValueError: none of them.
    """
    credits = _CREDITS.fullmatch(text)
    if credits:
        return Quantity("credits", Fraction(credits[1]), None)
    single = re.sub(r"messages$", "message", text)
    for service in UNITS:
        if any(single.endswith(unit) and not single[: -len(unit)].strip(" .0123456789") for unit in UNITS[service]):
            return Quantity(UNIT_OF[service], Fraction(parse_quantity(single, service)), service)
    raise ValueError(f'"{text}" is no quantity; write one such as {_EXAMPLES}')


def read_allowances(parent: Section, name: str = "allowances") -> tuple[Allowance, ...]:
    """The allowances of a version or of an add-on."""
    return tuple(_allowance(section) for section in parent.sections(name, "an allowance"))


def _allowance(section: Section) -> Allowance:
    name = section.text("name", required=True)
    quantity = section.parsed("quantity", parse_quantity_of_any, required=True)
    unit = quantity.unit if quantity else None
    costs = tuple(_cost(line) for line in section.sections("costs", "a line of costs"))
    parts = lcm(1, *(cost.credits.denominator for cost in costs))
    found = Allowance(
        name=name,
        unit=unit or "credits",
        quantity_parts=to_parts(section, "quantity", quantity, unit, parts) if quantity else 0,
        match=read_match(section, quantity.service if quantity else None),
        priority=section.whole("priority", 0, 1_000_000) or 0 if section.has("priority") else 100,
        expiry=_expiry(section),
        roll_over=_roll_over(section, unit, parts),
        shared=section.flag("shared"),
        costs=costs,
        parts_per_credit=parts,
    )
    _check_allowance(section, found, unit)
    section.done()
    return found


def _check_allowance(section: Section, found: Allowance, unit: Unit | None) -> None:
    """What fits together only as a whole; nothing is said of a unit that could not be read."""
    if unit == "credits" and not found.costs:
        section.wrong(
            "quantity", 'credits without "costs"; write what usage costs, such as {kinds: email, credits: "1"}'
        )
    elif unit not in ("credits", None) and found.costs:
        section.wrong("costs", f'"costs" for an allowance of {unit}; take it out, or write credits')
    elif found.parts_per_credit > PARTS_PER_CREDIT_MAX:
        section.wrong("costs", f"the costs have no common part of a credit above 1/{PARTS_PER_CREDIT_MAX}; round them")
    if found.roll_over and found.expiry.at != "period":
        section.wrong("roll_over", '"roll_over" of what does not end with its period; take it out')


def to_parts(section: Section, name: str, quantity: Quantity, unit: Unit | None, parts_per_credit: int) -> int:
    """A quantity as a whole number of the allowance's parts; its unit is not known (None) after a mistake."""
    if unit is None:
        return 0
    if quantity.unit != unit:
        section.wrong(name, f"{name} is in {quantity.unit}, the allowance in {unit}; write the same")
    exact = quantity.exact * (parts_per_credit if quantity.unit == "credits" else 1)
    if exact.denominator != 1:
        section.wrong(name, f"{name} is no whole number of 1/{parts_per_credit} credits, in which its costs are exact")
    elif exact > QUANTITY_MAX:
        section.wrong(name, f"{name} is past the largest that can be counted exactly, {QUANTITY_MAX}; write less")
    return int(exact)


def read_match(section: Section, service: Service | None) -> Match:
    """Which usage it is for; an allowance of bytes is for data whatever it says."""
    implied: frozenset[Service] = frozenset({service} if service else ())
    services = section.choices("services", sorted(SERVICES), implied)
    if service and services != {service}:
        section.wrong("services", f"{UNIT_OF[service]} are of {service} only; take the others out, or write credits")
    direction = section.choice("direction", ("", *get_args(Direction)), "")
    return Match(
        services=services,
        kinds=frozenset(word.text for word in section.texts("kinds")),
        direction=next((known for known in get_args(Direction) if known == direction), None),
        where=_places(section, "where"),
        to=_places(section, "to"),
    )


def _cost(section: Section) -> Cost:
    """A line such as {kinds: sms, to: DE, credits: "7.5"}."""
    implied: frozenset[Service] = frozenset({"message"} if section.has("kinds") else ())
    services = section.choices("services", sorted(SERVICES), implied)
    exact = section.parsed("credits", _price, required=True) or Fraction(1)
    per = section.text("per") or "message"
    sizes = {service: units[per] for service, units in UNITS.items() if per in units}
    of_unit = frozenset(sizes)
    if not sizes:
        section.wrong("per", f'per "{per}" is no unit; write one such as message, MB or min')
    elif services and services != of_unit:
        section.wrong("services", f'per "{per}" is a unit of {next(iter(sizes))} only; write that service')
    match = Match(
        services=services or of_unit,
        kinds=frozenset(word.text for word in section.texts("kinds")),
        where=_places(section, "where"),
        to=_places(section, "to"),
    )
    section.done()
    return Cost(match, exact / next(iter(sizes.values()), 1), per)


def _price(text: str) -> Fraction:
    price = parse_price(text)
    if price <= 0:
        raise MoneyError(f'"{text}" is not above zero; what is free is free by the tariff')
    return price


def _places(section: Section, name: str) -> tuple[str, ...]:
    """Countries, zones of the tariff and, for where the subscriber is, networks."""
    found = section.texts(name)
    for word in found:
        _place(section, name, word)
    return tuple(word.text for word in found)


def _place(section: Section, name: str, word: Scalar) -> None:
    if is_country(word.text) or (name == "where" and _NETWORK.fullmatch(word.text)):
        return
    if re.fullmatch(r"[A-Z]{2}|[\d+].*", word.text):
        section.context.report.add(word, f'{name} "{word.text}" is no country or zone; {like_place(word.text, ())}')
        return
    section.context.refer("zone", word.text, word)


def _expiry(section: Section) -> Expiry:
    """When what was granted ends: "period", "never", or {months: 3}."""
    value = section.raw("expires")
    if value is None or isinstance(value, Scalar | Seq):
        return Expiry(section.chosen(value, "expires", ("period", "never"), "period"))
    inner = section.section("expires", "an expiry")
    months = inner.whole("months", 1, MONTHS_MAX) if inner else None
    if inner:
        if not inner.has("months"):
            inner.wrong("months", 'an expiry has no "months"; write it, or "period" or "never"')
        inner.done()
    return Expiry("months", months or 1)


def _roll_over(section: Section, unit: Unit | None, parts_per_credit: int) -> RollOver | None:
    """What is left at the end of the period goes on: true, or {periods, maximum}."""
    value = section.raw("roll_over")
    if value is None or isinstance(value, Scalar | Seq):
        word = section.chosen(value, "roll_over", ("true", "false"), "false")
        return RollOver() if word == "true" else None
    inner = section.section("roll_over", "a roll-over")
    if inner is None:
        return None
    maximum = inner.parsed("maximum", parse_quantity_of_any)
    found = RollOver(
        periods=inner.whole("periods", 1, PERIODS_MAX) or 1,
        parts_max=None if maximum is None else to_parts(inner, "maximum", maximum, unit, parts_per_credit),
    )
    inner.done()
    return found
