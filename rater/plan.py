"""A plan gives rates their context: which tariff, how it is settled, which services it allows (docs/tariffs.md)."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec
import yaml

from rater.errors import CatalogueError
from rater.tariff.fields import Fields, read_instant, read_zone
from rater.tariff.yaml_text import parse
from schemas.usage import Service

#: From a wallet, or accruing for an invoice.
Settlement = Literal["prepaid", "invoice"]

SERVICES: frozenset[Service] = frozenset(get_args(Service))


class Plan(msgspec.Struct, frozen=True):
    """One version of a plan."""

    name: str
    version: str
    effective_from_ms: int
    #: Name of the tariff.
    tariff: str
    settlement: Settlement
    #: IANA zone of the billing cycle, for accounts without one of their own.
    zone: str
    entitlements: frozenset[Service] = SERVICES


def read_plan(text: str, path: str) -> tuple[Plan, ...]:
    """The versions of a plan from the text of its file, in order of time; `path` names it in mistakes.

    Raises:
        CatalogueError: a mistake, named by file and field.
    """
    try:
        fields = Fields(parse(text), path)
    except yaml.YAMLError as error:
        raise CatalogueError(f"{path}: this is no YAML: {error}") from error
    name = fields.text("plan")
    zone = fields.read("zone", read_zone, "UTC")
    settlement = fields.choice("settlement", get_args(Settlement), "prepaid")
    versions = [_version(Fields(value, where), name, zone, settlement) for value, where in fields.list("versions")]
    fields.done()
    if not versions:
        raise fields.wrong("versions", "at least one version is required")
    if len({plan.effective_from_ms for plan in versions}) < len(versions):
        raise fields.wrong("versions", "two versions take effect at the same time")
    return tuple(sorted(versions, key=lambda plan: plan.effective_from_ms))


def _version(fields: Fields, name: str, zone: str, settlement: Settlement) -> Plan:
    effective_from_ms = fields.read("effective_from", lambda text: read_instant(text, zone), None)
    if effective_from_ms is None:
        raise fields.wrong("effective_from", "is required")
    allowed = fields.texts("entitlements")
    for service in allowed:
        if service not in SERVICES:
            raise fields.wrong("entitlements", f'"{service}" is not one of {", ".join(sorted(SERVICES))}')
    plan = Plan(
        name=name,
        version=fields.text("version"),
        effective_from_ms=effective_from_ms,
        tariff=fields.text("tariff"),
        settlement=settlement,
        zone=zone,
        entitlements=frozenset(service for service in SERVICES if service in allowed) or SERVICES,
    )
    fields.done()
    return plan
