"""Names in plan files that the rest of the catalogue must know: tariffs and their zones and currency, other plans.

A plan that its subscribers are switched to is sold in the same currency: its fee is taken from the same wallets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from rater.plans.model import Plan
from rater.plans.reading.section import Reference
from rater.tariff.check.mistakes import Mistake, Report, nearest
from rater.tariff.model import Tariff


def check_references(
    references: Iterable[Reference], tariffs: Mapping[str, Tariff] | None, plans: Collection[str],
    versions: Iterable[Sequence[Plan]] = (),
) -> list[Mistake]:  # fmt: skip
    """What is not there; without tariffs (None) only plans are looked up. `versions` are those of each plan known."""
    report = Report()
    sold_in = _currencies(versions, tariffs or {})
    for reference in references:
        message = _mistake(reference, tariffs, plans) or _other_currency(reference, tariffs or {}, sold_in)
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


def _currencies(versions: Iterable[Sequence[Plan]], tariffs: Mapping[str, Tariff]) -> dict[str, str]:
    """In what each plan is sold, by its last version."""
    last = (plans[-1] for plans in versions if plans)
    return {plan.name: tariffs[plan.tariff].currency for plan in last if plan.tariff in tariffs}


def _other_currency(reference: Reference, tariffs: Mapping[str, Tariff], sold_in: Mapping[str, str]) -> str:
    own, other = tariffs.get(reference.tariff), sold_in.get(reference.name)
    if reference.sort != "plan" or own is None or other in (None, own.currency):
        return ""
    return (
        f"{reference.version} is sold in {own.currency}, and who has it cannot be switched to "
        f'"{reference.name}", which is sold in {other}'
    )
