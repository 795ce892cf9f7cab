"""Reading when a plan's fees are due and for how long it holds, and what happens when an account changes."""

from __future__ import annotations

from typing import Final, get_args

from rater.plans.calendar import MONTHS_MAX, PeriodBy
from rater.plans.model import Capacity
from rater.plans.proration import Proration
from rater.plans.reading.section import Section
from rater.plans.terms import (
    Billing,
    Joining,
    Leaving,
    ProrationTerms,
    Recurring,
    Renewal,
    Role,
    Start,
    Timing,
    Validity,
)
from rater.tariff.check.document import Map, Scalar, Value

#: What is counted at once stays countable.
CAPACITY_MAX: Final = 1_000_000


def read_start(section: Section, name: str, default: Start) -> Start:
    """From when something runs: "assignment", "first-usage" or a date."""
    value = section.raw(name)
    if isinstance(value, Scalar) and value.text[:1].isdigit():
        return Start("date", section.moment_of(value, name) or 0)
    return Start(section.chosen(value, name, ("assignment", "first-usage"), default.at))


def read_billing(section: Section | None) -> Billing:
    """Of whole months, and to the month's end, unless it says otherwise: the cycles that tariffs count in."""
    if section is None:
        return Billing()
    found = Billing(
        months=section.whole("months", 1, MONTHS_MAX) or 1,
        by=section.choice("by", get_args(PeriodBy), "month-end"),
        starts=read_start(section, "starts", Start()),
    )
    section.done()
    return found


def read_recurring(version: Section) -> Recurring | None:
    """The recurring fee: an amount, or one with the time from which it is charged."""
    value = version.raw("recurring_fee")
    if not isinstance(value, Map):
        price = version.money_of(value, "recurring_fee")
        return None if price is None else Recurring(price)
    section = Section(version.context, value, "a recurring fee")
    price = section.money("price", required=True)
    starts = read_start(section, "starts", Start()) if section.has("starts") else None
    section.done()
    return Recurring(price or 0, starts)


def read_proration(version: Section) -> ProrationTerms:
    """One method for both, or one for a first assignment and one for a change."""
    first, change = _both(version, "proration", ("first", "change"), "a proration")
    methods, usual = get_args(Proration), ProrationTerms()
    return ProrationTerms(
        first=version.chosen(first, "proration", methods, usual.first),
        change=version.chosen(change, "proration", methods, usual.change),
    )


def read_validity(section: Section | None) -> Validity | None:
    """How long the plan holds; without it, without an end."""
    if section is None:
        return None
    found = Validity(
        months=section.whole("months", 1, MONTHS_MAX) or 1,
        by=section.choice("by", get_args(PeriodBy), "anniversary"),
        renews=section.choice("renews", get_args(Renewal), "while-positive"),
        starts=read_start(section, "starts", Start()),
    )
    section.done()
    return found


def read_capacity(section: Section, *, priority: bool = True) -> Capacity:
    """The numbers of an entitlement that are in this section."""
    names = [name for name in Capacity.__struct_fields__ if priority or name != "queue_priority"]
    return Capacity(**{name: section.whole(name, 0, CAPACITY_MAX) for name in names})


def read_leaving(section: Section | None) -> Leaving:
    """Terms of changing from the plan."""
    if section is None:
        return Leaving()
    upgrade, downgrade = _both(section, "when", ("upgrade", "downgrade"), "when a change takes effect")
    usual = Leaving()
    found = Leaving(
        upgrade=_timing(section, upgrade),
        downgrade=_timing(section, downgrade),
        asked_by=section.choices("asked_by", get_args(Role), usual.asked_by),
        unused=section.choice("unused", ("forfeited", "kept"), usual.unused),
        refund=section.choice("refund", ("none", "days-after"), usual.refund),
        extras=section.choice("extras", ("add", "larger", "drop"), usual.extras),
        frozen=section.flag("frozen"),
        migrate_to=section.text("migrate_to"),
        migrate_from_ms=section.moment("migrate_from") or 0,
    )
    if found.migrate_to:
        section.context.refer("plan", found.migrate_to, section.raw("migrate_to") or section.at)
    elif found.migrate_from_ms:
        section.wrong(
            "migrate_from", '"migrate_from" without "migrate_to"; write the plan that accounts are switched to'
        )
    section.done()
    return found


def read_joining(section: Section | None) -> Joining:
    """Terms of changing to the plan."""
    if section is None:
        return Joining()
    found = Joining(
        balance_positive=section.choice("balance_positive", ("never", "upgrade", "always"), "never"),
        payment_details=section.flag("payment_details"),
        quote_only=section.flag("quote_only"),
        period=section.choice("period", ("keep", "restart"), "keep"),
    )
    section.done()
    return found


def _timing(section: Section, value: Value | None) -> Timing:
    if isinstance(value, Scalar) and value.text[:1].isdigit():
        return Timing("date", section.moment_of(value, "when") or 0)
    return Timing(section.chosen(value, "when", ("at-once", "next-period", "month-end"), "at-once"))


def _both(section: Section, name: str, keys: tuple[str, str], what: str) -> tuple[Value | None, Value | None]:
    """A field that is one value for two cases, or a mapping with one for each."""
    value = section.raw(name)
    if not isinstance(value, Map):
        return value, value
    inner = Section(section.context, value, what)
    found = inner.raw(keys[0]), inner.raw(keys[1])
    inner.done()
    return found
