"""Names in plan files that the rest of the catalogue must know: tariffs and their zones and currency, other plans."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from rater.plans.reading.section import Reference
from rater.tariff.check.mistakes import Mistake, Report, nearest
from rater.tariff.model import Tariff


def check_references(
    references: Iterable[Reference], tariffs: Mapping[str, Tariff] | None, plans: Collection[str]
) -> list[Mistake]:
    """What is not there; without tariffs (None) only plans are looked up."""
    report = Report()
    for reference in references:
        message = _mistake(reference, tariffs, plans)
        if message:
            report.add(reference.at, message)
    return report.mistakes


def _mistake(reference: Reference, tariffs: Mapping[str, Tariff] | None, plans: Collection[str]) -> str:
    name, version = reference.name, reference.version
    if reference.sort == "plan":
        return "" if name in plans else f'{version}: there is no plan "{name}"; {nearest(name, sorted(plans))}'
    if tariffs is None:
        return ""
    if reference.sort == "tariff":
        return "" if name in tariffs else f'{version}: there is no tariff "{name}"; {nearest(name, sorted(tariffs))}'
    tariff = tariffs.get(reference.tariff)
    if tariff is None:
        return ""
    if reference.sort == "zone":
        instead = nearest(name, tariff.zones)
        return "" if name in tariff.zones else f'{version}: tariff "{tariff.name}" has no zone "{name}"; {instead}'
    if name == tariff.currency:
        return ""
    return f'{version} is in {name}, its tariff "{tariff.name}" in {tariff.currency}; write the same currency'
