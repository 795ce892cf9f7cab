"""Reading what is sold beside the plan itself: refill offers, add-ons, and volumes on a scale."""

from __future__ import annotations

from itertools import pairwise

from rater.plans.model import METHODS, AddOn, Allowance, Capacity, Refill, Scale, Volume
from rater.plans.reading.allowances import parse_quantity_of_any, read_allowances, to_parts
from rater.plans.reading.section import Section, unique
from rater.plans.reading.terms import read_capacity
from rater.tariff.check.document import Value

#: Ten years on hold; what is longer is a typing error.
HOLD_DAYS_MAX = 3_650


def read_refills(version: Section) -> tuple[Refill, ...]:
    """Refill offers, each with a name of its own."""
    found, names = [], []
    for section in version.sections("refills", "a refill offer"):
        price = section.money("price", required=True)
        balance = section.money("balance", required=True)
        refill = Refill(
            name=section.text("name", required=True),
            price_nanos=price or 0,
            balance_nanos=balance or 0,
            paid_by=section.choices("paid_by", sorted(METHODS), METHODS),
            given=section.choice("given", ("confirmed", "at-once"), "confirmed"),
        )
        if balance == 0:
            section.wrong("balance", "balance is nothing; write what the wallet is given")
        section.done()
        found.append(refill)
        names.append((refill.name, section.at))
    unique(version.context.report, names, "refill offer")
    return tuple(found)


def read_addons(version: Section) -> tuple[AddOn, ...]:
    """Add-ons, each with a name of its own."""
    found, names = [], []
    for section in version.sections("addons", "an add-on"):
        addon = _addon(section)
        found.append(addon)
        names.append((addon.name, section.at))
    unique(version.context.report, names, "add-on")
    return tuple(found)


def _addon(section: Section) -> AddOn:
    inner = section.section("capacity", "a capacity")
    capacity = read_capacity(inner, priority=False) if inner else Capacity()
    if inner:
        inner.done()
    addon = AddOn(
        name=section.text("name", required=True),
        price_nanos=section.money("price", required=True) or 0,
        upfront_nanos=section.money("upfront") or 0,
        recurring=section.flag("recurring"),
        hold_days=section.whole("hold_days", 0, HOLD_DAYS_MAX),
        allowances=read_allowances(section),
        capacity=capacity,
        is_number=section.flag("number"),
        quarantine_days=section.whole("quarantine_days", 0, HOLD_DAYS_MAX) or 0,
    )
    _check_number(section, addon)
    if addon.hold_days is not None and not addon.recurring:
        section.wrong("hold_days", '"hold_days" of an add-on that is paid once; write "recurring: true" or take it out')
    section.done()
    return addon


def _check_number(section: Section, addon: AddOn) -> None:
    if addon.quarantine_days and not addon.is_number:
        detail = '"quarantine_days" of an add-on that is no phone number; write "number: true" or take it out'
        section.wrong("quarantine_days", detail)
    if addon.is_number and not addon.recurring:
        section.wrong("number", 'a phone number that is paid once; write "recurring: true"')
    if addon.is_number and addon.capacity.numbers is not None:
        detail = '"numbers" of a phone number, which would raise what it counts against; take it out'
        section.wrong("capacity", detail)


def read_scale(version: Section, allowances: tuple[Allowance, ...]) -> Scale | None:
    """The volumes of an allowance with a price each, rising."""
    section = version.section("scale", "a scale")
    if section is None:
        return None
    name = section.text("allowance", required=True)
    of = next((allowance for allowance in allowances if allowance.name == name), None)
    if of is None and name:
        known = ", ".join(allowance.name for allowance in allowances) or "one under allowances"
        section.wrong("allowance", f'the version has no allowance "{name}"; write {known}')
    volumes, places = [], []
    for item in section.sections("volumes", "a volume"):
        places.append(item.at)
        volumes.append(_volume(item, of))
    if not volumes:
        section.wrong("volumes", 'a scale has no "volumes"; write at least one {quantity, price}')
    _check_rise(section, volumes, places)
    if version.has("recurring_fee"):
        version.wrong("recurring_fee", "both recurring_fee and scale; take one out, as a volume's price is the fee")
    section.done()
    return Scale(name, tuple(volumes))


def _volume(section: Section, of: Allowance | None) -> Volume:
    quantity = section.parsed("quantity", parse_quantity_of_any, required=True)
    parts = to_parts(section, "quantity", quantity, of.unit, of.parts_per_credit) if quantity and of else 0
    found = Volume(parts, section.money("price", required=True) or 0)
    section.done()
    return found


def _check_rise(section: Section, volumes: list[Volume], places: list[Value]) -> None:
    for (before, after), at in zip(pairwise(volumes), places[1:], strict=True):
        if 0 < after.quantity_parts <= before.quantity_parts:
            section.context.report.add(at, "the quantity does not rise; write the volumes in order, each once")
