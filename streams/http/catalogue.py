"""Tariffs and plans, read only: they are files of the catalogue, changed where the engine is run."""

from __future__ import annotations

from datetime import datetime

import msgspec

from streams.http.endpoint import Call, Endpoint, NoForm
from streams.http.forms import instant
from streams.http.problems import Problem


class VersionOut(msgspec.Struct):
    """A version of a tariff, and how many rates it has."""

    version: str
    effective_from: datetime
    rates: int
    blocked: tuple[str, ...]


class TariffOut(msgspec.Struct):
    """A tariff: its currency, the zone of its clock, its versions in order of time."""

    tariff: str
    currency: str
    zone: str
    rounding: str
    zones: dict[str, tuple[str, ...]]
    versions: list[VersionOut]


class TariffNames(msgspec.Struct):
    """The tariffs of the catalogue."""

    tariffs: list[str]


class PlanOut(msgspec.Struct):
    """A plan as it is in force now."""

    plan: str
    version: str
    effective_from: datetime
    tariff: str
    settlement: str
    zone: str
    entitlements: list[str]


class PlanNames(msgspec.Struct):
    """The plans of the catalogue."""

    plans: tuple[str, ...]


async def tariffs(call: Call[NoForm]) -> TariffNames:
    """The tariffs' names."""
    return TariffNames([tariff.name for tariff in call.desk.engine.catalogue.tariffs])


async def tariff(call: Call[NoForm]) -> TariffOut:
    """One tariff."""
    wanted = call.path["tariff"]
    for found in call.desk.engine.catalogue.tariffs:
        if found.name == wanted:
            versions = [
                VersionOut(version.name, instant(version.effective_from_ms), len(version.rates), version.blocked)
                for version in found.versions
            ]
            return TariffOut(found.name, found.currency, found.zone, found.rounding, found.zones, versions)
    raise Problem("not-found", f"the catalogue has no tariff {wanted}")


async def plans(call: Call[NoForm]) -> PlanNames:
    """The plans' names."""
    return PlanNames(call.desk.engine.catalogue.plans)


async def plan(call: Call[NoForm]) -> PlanOut:
    """One plan."""
    wanted = call.path["plan"]
    found = call.desk.engine.catalogue.plan(wanted, call.desk.now_ms)
    if found is None:
        raise Problem("not-found", f"the catalogue has no plan {wanted} in force")
    return PlanOut(
        plan=found.name,
        version=found.version,
        effective_from=instant(found.effective_from_ms),
        tariff=found.tariff,
        settlement=found.settlement,
        zone=found.zone,
        entitlements=sorted(found.entitlements),
    )


ENDPOINTS = (
    Endpoint(
        method="GET", path="/v1/tariffs", handler=tariffs, scope="read", any_tenant=True, summary="The tariffs",
        answer=TariffNames,
    ),
    Endpoint(
        method="GET", path="/v1/tariffs/{tariff}", handler=tariff, scope="read", any_tenant=True, summary="One tariff",
        answer=TariffOut, problems=(404,),
    ),
    Endpoint(
        method="GET", path="/v1/plans", handler=plans, scope="read", any_tenant=True, summary="The plans",
        answer=PlanNames,
    ),
    Endpoint(
        method="GET", path="/v1/plans/{plan}", handler=plan, scope="read", any_tenant=True,
        summary="One plan, as in force now", answer=PlanOut, problems=(404,),
    ),
)  # fmt: skip
