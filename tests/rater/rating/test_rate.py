"""Laws of rating, over random tariffs and usage."""

from __future__ import annotations

import copy
import re
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rater.money import format_nanos
from rater.rating.rate import rate
from rater.tariff.model import Rate, Tariff, Tier
from rater.tariff.units import UNITS
from schemas.usage import Usage
from tests.rater.rating.building import example_tariff, example_usage, rates_tariff
from tests.rater.rating.strategies import (
    STARTS,
    ZONE,
    cases,
    even_prices,
    schedules,
    steps,
    tariff_of,
    usage_of,
)

Case = tuple[Tariff, Usage, dict[str, int]]


@given(cases())
def test_parts_add_up_and_are_in_time_order(case: Case) -> None:
    tariff, usage, counters = case
    charge = rate(tariff, usage, counters, ZONE)

    assert sum(part.amount_nanos for part in charge.parts) == charge.amount_nanos
    assert sum(part.quantity for part in charge.parts) == usage.quantity
    assert all(part.amount_nanos >= 0 for part in charge.parts)
    assert [part.start_ms for part in charge.parts] == sorted(part.start_ms for part in charge.parts)
    assert charge.amount_nanos % tariff.precision_nanos == 0


@given(cases())
def test_the_same_input_gives_the_same_charge_and_is_left_alone(case: Case) -> None:
    tariff, usage, counters = case
    before = copy.deepcopy(counters)

    assert rate(tariff, usage, counters, ZONE) == rate(tariff, usage, counters, ZONE)
    assert counters == before


@given(cases())
def test_counter_keys_do_not_depend_on_counter_values(case: Case) -> None:
    tariff, usage, counters = case
    keys = [use.key for use in rate(tariff, usage, counters, ZONE).uses]

    assert keys == [use.key for use in rate(tariff, usage, {}, ZONE).uses]
    assert len(set(keys)) == len(keys)


class _Watched(dict[str, int]):
    """Counters that remember which of them were asked for."""

    def __init__(self, counters: dict[str, int]) -> None:
        super().__init__(counters)
        self.read: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)


@given(cases())
def test_a_charge_names_every_counter_it_read(case: Case) -> None:
    """So the same values of those it names give the same charge, whatever the others are."""
    tariff, usage, counters = case
    watched = _Watched(counters)
    charge = rate(tariff, usage, watched, ZONE)

    assert watched.read <= {use.key for use in charge.uses}
    assert rate(tariff, usage, {**counters, "2026-10-01:carry:r:other": 7}, ZONE) == charge


@given(cases())
def test_what_counters_advance_by_adds_up_to_the_usage(case: Case) -> None:
    tariff, usage, counters = case
    charge = rate(tariff, usage, counters, ZONE)
    added = {":carry:": 0, ":tier:": 0, ":used": 0}
    for use in charge.uses:
        for what in added:
            added[what] += use.add if what in use.key else 0

    assert added[":carry:"] <= usage.quantity
    assert added[":tier:"] <= sum(part.billable_quantity for part in charge.parts)
    if len(tariff.versions) == 1:
        assert added[":carry:"] in (0, usage.quantity)
        assert added[":tier:"] in (0, sum(part.billable_quantity for part in charge.parts))
        assert added[":used"] in (0, usage.quantity)


@given(cases())
def test_the_explanation_adds_up_to_the_amount(case: Case) -> None:
    charge = rate(*case, ZONE)

    for part in charge.parts:
        assert part.explanation[-1].endswith(f" {format_nanos(part.amount_nanos)} EUR")
        _redo(part.explanation)


NUMBER = r"(-?[0-9./]+)"


def _redo(lines: tuple[str, ...]) -> None:
    """Redo every line with a pencil: products, sums over tiers, fees, bounds and what is taken off."""
    running = Fraction(0)
    for line in lines:
        if found := re.fullmatch(rf"(?:.*: )?{NUMBER} \S+ x {NUMBER} EUR = {NUMBER} EUR", line):
            quantity, price, amount = (Fraction(text) for text in found.groups())
            assert quantity * price == amount
            running += amount
        elif found := re.fullmatch(rf"together {NUMBER} EUR", line):
            assert Fraction(found[1]) == running
        elif found := re.fullmatch(rf"\+ set-up fee {NUMBER} EUR = {NUMBER} EUR", line):
            running += Fraction(found[1])
            assert Fraction(found[2]) == running
        elif found := re.fullmatch(rf".* {NUMBER} EUR, less {NUMBER} EUR(?: charged before)? = {NUMBER} EUR", line):
            total, before, rest = (Fraction(text) for text in found.groups())
            assert total - before == rest
        elif found := re.search(rf"-> (?:1 step of (.+) \+ )?([0-9]+) steps? of (.+?) = {NUMBER} (\S+)", line):
            first, count, size, billed, unit = found.groups()
            assert _base(first or "0 B") + int(count) * _base(size) == _base(f"{billed} {unit}")


SIZES = {unit: size for units in UNITS.values() for unit, size in units.items()} | {"messages": 1}


def _base(text: str) -> Fraction:
    """Bytes, milliseconds or messages of "100 kB"."""
    number, unit = text.split()
    return Fraction(number) * SIZES[unit]


def test_each_line_of_a_call_can_be_redone_with_a_pencil() -> None:
    tariff = rates_tariff(
        {"service": "voice", "price": "0.10", "per": "min", "setup": "0.05", "increments": ["60 s", "1 s"]}
    )
    charge = rate(tariff, example_usage({"service": "voice", "duration_ms": 132_000}), {}, ZONE)

    assert charge.parts[0].explanation == (
        "132 s used -> 1 step of 60 s + 72 steps of 1 s = 132 s = 2.2 min",
        "2.2 min x 0.10 EUR = 0.22 EUR",
        "+ set-up fee 0.05 EUR = 0.27 EUR",
        "rounded half-up to 0.000000001: 0.27 EUR",
    )


def test_a_carried_step_is_explained_by_what_is_left_of_it() -> None:
    increments = {"next": "100 kB", "scope": "carry-over"}
    tariff = rates_tariff({"name": "d", "service": "data", "price": "1.00", "per": "MB", "increments": increments})
    usage = example_usage({"service": "data", "volume_bytes": 40_000})
    charge = rate(tariff, usage, {"2026-10-01:carry:d:DE": 290_000}, ZONE)

    assert charge.parts[0].explanation == (
        "0.04 MB used, 0.01 MB of it within a step already paid -> 1 step of 100 kB = 0.1 MB",
        "0.1 MB x 1.00 EUR = 0.10 EUR",
        "rounded half-up to 0.000000001: 0.10 EUR",
    )


@given(cases(), st.integers(1, 100_000))
def test_using_more_never_costs_less(case: Case, more: int) -> None:
    """Of a call, or of usage at one instant. Volume tiers that fall are meant to cost less, so they are left out."""
    tariff, usage, counters = case
    versions = [
        msgspec.structs.replace(
            version, rates=tuple(msgspec.structs.replace(rate, tier_mode="graduated") for rate in version.rates)
        )
        for version in tariff.versions
    ]
    tariff = msgspec.structs.replace(tariff, versions=tuple(versions))
    less = usage_of(usage.service, usage.quantity, usage.start_ms, 0, usage.session_id)
    longer = usage_of(usage.service, usage.quantity + more, usage.start_ms, 0, usage.session_id)

    assert rate(tariff, less, counters, ZONE).amount_nanos <= rate(tariff, longer, counters, ZONE).amount_nanos


def _charge_in_turn(tariff: Tariff, usages: list[Usage]) -> int:
    """What usages cost one after the other."""
    counters: dict[str, int] = {}
    total = 0
    for usage in usages:
        charge = rate(tariff, usage, counters, ZONE)
        total += charge.amount_nanos
        for use in charge.uses:
            counters[use.key] = counters.get(use.key, 0) + use.add
    return total


def _cut(service: str, quantities: list[int], start_ms: int, session: str | None = None) -> list[Usage]:
    usages = []
    for quantity in quantities:
        usages.append(usage_of(service, quantity, start_ms, 0, session))
        start_ms += quantity if service == "voice" else 0
    return usages


LINEAR: list[dict[str, Any]] = [
    {"increment_scope": "carry-over"},
    {"increment_scope": "event", "first": 1, "next": 1},
    {"increment_scope": "session"},
    {"increment_scope": "carry-over", "tier_scope": "cycle", "tiered": True},
]


@pytest.mark.parametrize("fields", LINEAR, ids=["carry-over", "smallest unit", "session", "carry-over and cycle tiers"])
@given(data=st.data())
def test_cutting_usage_into_pieces_does_not_change_its_total(fields: dict[str, Any], data: st.DataObject) -> None:
    """Where the tariff says so: carried-over or session steps, or none. Prices are even, so rounding is not seen."""
    service = data.draw(st.sampled_from(["data", "voice"]))
    quantities = data.draw(st.lists(st.integers(1, 300_000), min_size=1, max_size=6))
    start_ms = data.draw(st.sampled_from(STARTS))
    left = dict(fields)
    prices = data.draw(schedules(even_prices)) if left.pop("tiered", False) else (Tier(None, data.draw(even_prices)),)
    step = data.draw(steps)
    unit = 10**6 if service == "data" else 60_000
    rate_ = Rate(**{"name": "r", "service": service, "per": "x", "unit": unit, "prices": prices, "first": step,
                    "next": step, **left})  # fmt: skip
    if service == "voice":
        rate_ = msgspec.structs.replace(rate_, per="min")
    else:
        rate_ = msgspec.structs.replace(rate_, per="MB")
    tariff = tariff_of(("2026-01-01T00:00:00Z", rate_))

    at_once = _charge_in_turn(tariff, _cut(service, [sum(quantities)], start_ms, "s1"))
    assert _charge_in_turn(tariff, _cut(service, quantities, start_ms, "s1")) == at_once


def test_small_sessions_share_a_carried_step() -> None:
    """Ten sessions of 10 kB pay one step of 100 kB, the eleventh the next."""
    increments = {"next": "100 kB", "scope": "carry-over"}
    tariff = rates_tariff({"name": "d", "service": "data", "price": "1.00", "per": "MB", "increments": increments})
    sessions = _cut("data", [10_000] * 11, STARTS[0])

    assert _charge_in_turn(tariff, sessions[:10]) == 100_000_000
    assert _charge_in_turn(tariff, sessions) == 200_000_000


def test_an_amount_past_the_ledger_is_still_exact() -> None:
    tariff = rates_tariff({"service": "message", "price": "999999999999.99"})
    usage = example_usage({"service": "message", "message_count": 10**9})

    assert rate(tariff, usage, {}, ZONE).amount_nanos == 99999999999999 * 10**7 * 10**9


def test_usage_that_crosses_too_many_boundaries_has_no_rate() -> None:
    case = {
        "bands": {"half": {"from": "00:00", "to": "12:00"}},
        "rates": [{"service": "data", "price": "1", "per": "MB", "bands": {"half": "2"}}],
    }
    usage = example_usage({"service": "data", "volume_bytes": 10**9, "end": "2029-10-20T10:00:00Z"})
    charge = rate(example_tariff(case), usage, {}, ZONE)

    assert charge.outcome == "no_rate"
    assert charge.reason_detail == "the usage crosses more than 1000 boundaries of bands, versions or cycles"


def test_no_rate_says_what_was_looked_up() -> None:
    tariff = rates_tariff({"service": "data", "price": "1", "per": "MB"})
    usage = example_usage({"service": "voice", "duration_ms": 1, "mcc": "262", "mnc": "01", "called_number": "+81312"})
    charge = rate(tariff, usage, {}, ZONE)

    assert charge.parts == ()
    assert charge.reason_detail == 'no rate for outgoing voice in 262-01 or DE to +81312 or JP in version "1"'


def test_a_usage_that_begins_free_and_becomes_priced_is_priced_in_part() -> None:
    """A version change in the middle of a call: nothing for the first minute, a price for the second."""
    case = {
        "versions": [
            {"version": "a", "effective_from": "2026-01-01T00:00", "rates": [{"service": "voice", "answer": "free"}]},
            {
                "version": "b",
                "effective_from": "2026-10-16T00:00",
                "rates": [{"service": "voice", "price": "0.30", "per": "min"}],
            },
        ]
    }
    usage = example_usage({"service": "voice", "duration_ms": 120_000, "start": "2026-10-15T21:59:00Z"})
    charge = rate(example_tariff(case), usage, {}, ZONE)

    assert charge.outcome == "priced"
    assert [(part.tariff_version, part.amount_nanos) for part in charge.parts] == [("a", 0), ("b", 300_000_000)]
