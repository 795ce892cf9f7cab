"""Tariffs, read only: they are files of the catalogue, changed where the engine is run."""

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


ENDPOINTS = (
    Endpoint(
        method="GET", path="/v1/tariffs", handler=tariffs, scope="read", any_tenant=True, summary="The tariffs",
        answer=TariffNames,
    ),
    Endpoint(
        method="GET", path="/v1/tariffs/{tariff}", handler=tariff, scope="read", any_tenant=True, summary="One tariff",
        answer=TariffOut, problems=(404,),
    ),
)  # fmt: skip
