"""Reads a plan file (docs/plans.md); finds every mistake at once, each with its line and what to write instead.

There is one reading for both: what has no mistake is the plan.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, get_args
from zoneinfo import ZoneInfo

import msgspec

from rater.errors import CatalogueError
from rater.geo import CURRENCIES, is_currency
from rater.plans.model import (
    ACTIONS,
    ACTIONS_OFFERED,
    SERVICES,
    Allowance,
    Capacity,
    Kind,
    Overage,
    Plan,
    Settlement,
)
from rater.plans.reading.allowances import read_allowances
from rater.plans.reading.sales import read_addons, read_refills, read_scale
from rater.plans.reading.section import Context, Reference, Section, unique
from rater.plans.reading.terms import (
    read_billing,
    read_capacity,
    read_joining,
    read_leaving,
    read_proration,
    read_recurring,
    read_validity,
)
from rater.tariff.check.document import Map, Scalar, Value, read_yaml_text
from rater.tariff.check.mistakes import Mistake, Report, nearest
from rater.tariff.check.values import time_zone
from schemas.usage import Service

RANK_MAX: Final = 1_000_000


class PlanFile(msgspec.Struct, frozen=True):
    """What a plan file says: its versions in order of time, none if there is a mistake that keeps it from loading."""

    #: The plan's name; also of a file with mistakes, so that others may refer to it. Empty if it cannot be read.
    name: str
    plans: tuple[Plan, ...]
    mistakes: list[Mistake]
    #: Names that other files of the catalogue must know.
    references: tuple[Reference, ...]


def read_plan_file(text: str, path: str) -> PlanFile:
    """A plan file from its text; `path` names it in mistakes."""
    report = Report()
    document = read_yaml_text(text, path, report, "plan: my-plan")
    if document is None:
        return PlanFile("", (), report.mistakes, ())
    context = Context(report)
    plans = _plans(Section(context, document, "a plan"))
    if context.money_at is not None and not context.currency and "currency" not in document.keys:
        report.add(context.money_at, 'an amount without a currency; write "currency", the tariff\'s, beside "plan"')
    mistakes = report.mistakes
    if not all(mistake.tolerable for mistake in mistakes):
        plans = []
    name = document.get("plan")
    return PlanFile(
        name=name.text if isinstance(name, Scalar) else "",
        plans=tuple(sorted(plans, key=lambda plan: plan.effective_from_ms)),
        mistakes=mistakes,
        references=tuple(context.references),
    )


def read_plan(text: str, path: str) -> tuple[Plan, ...]:
    """The versions of a plan from the text of its file, in order of time; `path` names it in mistakes.

    Raises:
        CatalogueError: every mistake, a line each.
    """
    found = read_plan_file(text, path)
    if not found.plans:
        raise CatalogueError("\n".join(str(mistake) for mistake in found.mistakes if not mistake.tolerable))
    return found.plans


def check_plan_file(path: Path) -> PlanFile:
    """A plan file from where it is."""
    try:
        return read_plan_file(path.read_text(encoding="utf-8-sig"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        return PlanFile("", (), [Mistake(str(path), 1, f"cannot be read: {error}")], ())


class _Head(msgspec.Struct, frozen=True):
    """What all versions of a file share."""

    name: str
    zone: str
    settlement: Settlement
    kind: Kind


def _plans(section: Section) -> list[Plan]:
    context = section.context
    zone = time_zone(context.report, section.raw("zone")) or ZoneInfo("UTC")
    context.zone = zone
    currency = section.parsed("currency", _currency)
    if currency:
        context.currency = currency
    settlement = section.choice("settlement", get_args(Settlement), "prepaid")
    head = _Head(
        name=section.text("plan", required=True),
        zone=zone.key,
        settlement=settlement,
        kind=section.choice("kind", get_args(Kind), "payg"),
    )
    plans, places = [], []
    for version in section.sections("versions", "a version"):
        plans.append(_version(version, head))
        places.append(version.at)
    if not plans:
        section.wrong("versions", 'a plan has no versions; write at least one, with "version" and "effective_from"')
    unique(context.report, [(plan.version, at) for plan, at in zip(plans, places, strict=True)], "version")
    starts = [(str(plan.effective_from_ms), at) for plan, at in zip(plans, places, strict=True)]
    for place, (start, at) in enumerate(starts):
        if plans[place].effective_from_ms and start in [other for other, _ in starts[:place]]:
            context.report.add(at, "two versions take effect at the same time; write a later time for one")
    section.done()
    return plans


def _currency(text: str) -> str:
    if not is_currency(text):
        upper = text.upper()
        instead = f'write "{upper}"' if is_currency(upper) else nearest(text, CURRENCIES)
        raise ValueError(f'"{text}" is no currency of ISO 4217; {instead}')
    return text


def _version(section: Section, head: _Head) -> Plan:
    context = section.context
    name, tariff = section.text("version", required=True), section.text("tariff", required=True)
    context.version, context.tariff = f'plan "{head.name}" version "{name}"', tariff
    _refer_tariff(section, tariff)
    allowances = read_allowances(section)
    entitlements, capacity = _entitlements(section)
    plan = Plan(
        name=head.name,
        version=name,
        effective_from_ms=_effective_from(section),
        tariff=tariff,
        settlement=head.settlement,
        zone=head.zone,
        entitlements=entitlements,
        kind=head.kind,
        currency=context.currency,
        rank=section.whole("rank", 0, RANK_MAX) or 0,
        billing=read_billing(section.section("billing", "a billing period")),
        recurring=read_recurring(section),
        activation_nanos=section.money("activation_fee") or 0,
        proration=read_proration(section),
        validity=read_validity(section.section("validity", "a validity")),
        allowances=allowances,
        scale=read_scale(section, allowances),
        refills=read_refills(section),
        addons=read_addons(section),
        floor_nanos=section.money("floor", signed=True),
        invoice_limit_nanos=section.money("invoice_limit"),
        positive_balance=section.flag("positive_balance"),
        overage=section.choice("overage", get_args(Overage), "charged"),
        capacity=capacity,
        actions=section.choices("actions", sorted(ACTIONS), ACTIONS_OFFERED),
        leaving=read_leaving(section.section("leaving", "leaving")),
        joining=read_joining(section.section("joining", "joining")),
    )
    _check_version(section, plan)
    section.done()
    return plan


def _refer_tariff(section: Section, tariff: str) -> None:
    """The tariff must be there, in the currency of the plan."""
    at = section.raw("tariff") or section.at
    if tariff:
        section.context.refer("tariff", tariff, at)
    if tariff and section.context.currency:
        section.context.refer("currency", section.context.currency, at)


def _effective_from(section: Section) -> int:
    section.raw("effective_from", required=True)
    return section.moment("effective_from") or 0


def _entitlements(version: Section) -> tuple[frozenset[Service], Capacity]:
    """Services allowed, by themselves or with what may be in use at once."""
    value = version.raw("entitlements")
    if not isinstance(value, Map):
        return version.choices("entitlements", sorted(SERVICES), SERVICES), Capacity()
    section = Section(version.context, value, "entitlements")
    found = section.choices("services", sorted(SERVICES), SERVICES), read_capacity(section)
    section.done()
    return found


def _check_version(section: Section, plan: Plan) -> None:
    """What fits together only as a whole."""
    every = [*plan.allowances, *(allowance for addon in plan.addons for allowance in addon.allowances)]
    _check_names(section, every)
    if plan.invoice_limit_nanos is not None and plan.settlement != "invoice":
        section.wrong("invoice_limit", '"invoice_limit" of a plan paid from a wallet; write "floor"')
    if plan.overage == "refused" and not every:
        section.wrong("overage", '"overage: refused" without an allowance refuses all usage; write one, or "charged"')
    if plan.leaving.migrate_to == plan.name and plan.name:
        section.wrong("leaving", f'the plan migrates to itself; write another "migrate_to" than "{plan.name}"')


def _check_names(section: Section, allowances: list[Allowance]) -> None:
    at: Value = section.raw("allowances") or section.at
    names = [allowance.name for allowance in allowances]
    for name in sorted({name for name in names if name and names.count(name) > 1}):
        section.context.report.add(at, f'allowance "{name}" is there twice in the version; rename one')
