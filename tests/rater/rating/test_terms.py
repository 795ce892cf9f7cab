"""Compiled terms give the numbers of `rate`, for all usage of their shape between their two bounds."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rater.money import NANOS, Rounding, round_exact
from rater.rating.rate import rate
from rater.rating.split import charged_until
from rater.rating.terms import Terms, terms_at
from rater.rating.timeline import LATEST_MS
from rater.tariff.model import Tariff
from schemas.usage import Usage
from tests.rater.rating.building import example_tariff, example_usage, rates_tariff, unix_ms
from tests.rater.rating.strategies import ZONE, counters_of, placed_cases, plain_rates, rates, usage_of

CYCLE_ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata")
any_rates = st.sampled_from([rates, plain_rates])


def _terms(tariff: Tariff, usage: Usage, cycle_zone: str = ZONE) -> Terms:
    return terms_at(tariff, usage, usage.start_ms, cycle_zone)


def _holds(terms: Terms, usage: Usage) -> bool:
    return terms.low_ms <= usage.start_ms and charged_until(usage) <= terms.high_ms


def _assert_the_same(terms: Terms, tariff: Tariff, usage: Usage, counters: dict[str, int], cycle_zone: str) -> None:
    """What terms say of a usage they hold for is what `rate` says."""
    charge = rate(tariff, usage, counters, cycle_zone)
    assert (terms.outcome, terms.currency) == (charge.outcome, charge.currency)
    for part in charge.parts:
        assert (terms.tariff_version, terms.period) == (part.tariff_version, part.period)
        assert (terms.rate_name, terms.zone, terms.tax_category) == (part.rate, part.zone, part.tax_category)
    answer = terms.rate(usage.quantity, counters)
    if answer is None:
        return
    (part,) = charge.parts
    assert answer[:2] == (part.billable_quantity, charge.amount_nanos)
    assert terms.keys == tuple(use.key for use in charge.uses)
    assert answer[2] == tuple(counters.get(key, 0) for key in terms.keys)
    assert answer[3] == tuple(before + use.add for before, use in zip(answer[2], charge.uses, strict=True))


@settings(max_examples=1_000)
@given(st.data())
def test_terms_give_the_numbers_of_rate(data: st.DataObject) -> None:
    tariff, usage = data.draw(placed_cases(data.draw(any_rates)))
    cycle_zone = data.draw(st.sampled_from(CYCLE_ZONES))
    terms = _terms(tariff, usage, cycle_zone)
    assert terms.low_ms <= usage.start_ms
    assume(_holds(terms, usage))

    _assert_the_same(terms, tariff, usage, data.draw(counters_of(tariff, usage, cycle_zone)), cycle_zone)


@settings(max_examples=1_000)
@given(st.data())
def test_terms_hold_for_all_usage_between_their_bounds(data: st.DataObject) -> None:
    """Made for one usage they answer for another as terms of its own would, from the first instant to the last."""
    tariff, usage = data.draw(placed_cases(data.draw(any_rates)))
    cycle_zone = data.draw(st.sampled_from(CYCLE_ZONES))
    terms = _terms(tariff, usage, cycle_zone)
    low_ms, high_ms = terms.low_ms, terms.high_ms
    start_ms = data.draw(
        st.sampled_from([low_ms, high_ms, max(low_ms, high_ms - 60_000)]) | st.integers(low_ms, high_ms)
    )
    assume(start_ms < high_ms or usage.service != "voice")
    longest_ms = high_ms - start_ms
    quantity = data.draw(st.integers(1, min(longest_ms, 400_000) if usage.service == "voice" else 400_000))
    length_ms = data.draw(st.sampled_from([0, min(longest_ms, 3_600_000), longest_ms]))
    other = usage_of(usage.service, quantity, start_ms, length_ms)
    other = msgspec.structs.replace(other, country=usage.country, mcc=usage.mcc, mnc=usage.mnc)
    assert _holds(terms, other)

    counters = data.draw(counters_of(tariff, other, cycle_zone))
    _assert_the_same(terms, tariff, other, counters, cycle_zone)
    fresh = _terms(tariff, other, cycle_zone)
    assert fresh.rate(quantity, counters) == terms.rate(quantity, counters)
    assert _said(fresh) == _said(terms)


def _said(terms: Terms) -> tuple[Any, ...]:
    """All but the bounds (a band's are found piece by piece) and the function."""
    _, _, *said, _, steps = msgspec.structs.astuple(terms)
    return *said, steps


@given(placed_cases(plain_rates))
def test_a_plain_rate_is_always_answered(case: tuple[Tariff, Usage]) -> None:
    tariff, usage = case
    terms = _terms(tariff, usage)
    assume(terms.outcome == "priced")

    assert (terms.rate(usage.quantity, {}) is None) == (usage.quantity == 0)


@settings(max_examples=300)
@given(st.data())
def test_the_words_and_a_pencil_come_to_the_amount(data: st.DataObject) -> None:
    tariff, usage = data.draw(placed_cases(plain_rates))
    terms = _terms(tariff, usage)
    counters = data.draw(counters_of(tariff, usage, ZONE))
    answer = terms.rate(usage.quantity, counters)
    assume(terms.outcome == "priced" and answer is not None)

    assert answer is not None
    in_cycle = dict(zip(terms.keys, answer[2], strict=True)).get(f"{terms.period}:tier:r", 0)
    unit = tariff.versions[0].rates[0].unit
    assert _pencil(terms.explanation, Fraction(in_cycle, unit), Fraction(answer[0], unit)) == answer[1]


def _pencil(words: tuple[str, ...], in_cycle: Fraction, billed: Fraction) -> int:
    """The nanos that the words come to; quantities are in the unit of the price."""
    prices = next(line for line in words if " per " in line)
    tiers = [
        (Fraction(price), Fraction(bound) if bound else None)
        for price, bound in re.findall(r"([0-9./]+) EUR per \w+(?: up to ([0-9./]+) \w+)?", prices)
    ]
    before = in_cycle if "cycle" in prices else Fraction(0)
    if "(all by" in prices:
        decides = before if "total before" in prices else billed
        total = billed * next(price for price, bound in tiers if bound is None or decides <= bound)
    else:
        total, position = Fraction(0), before
        for price, bound in tiers:
            end = before + billed if bound is None else min(before + billed, bound)
            total += max(end - position, Fraction(0)) * price
            position = max(position, end)
    total += sum(Fraction(line.split()[2]) for line in words if line.startswith("set-up fee"))
    method, step = re.fullmatch(r"(\S+) to (\S+) EUR", words[-1]).groups()  # type: ignore[union-attr]
    return round_exact(total * NANOS, method, int(Fraction(step) * NANOS))


CARRIED = {"next": "100 kB", "scope": "carry-over"}
TIERS = [{"up_to": "100 MB", "price": "0.008"}, {"up_to": "1 GB", "price": "0.005"}, {"price": "0.003"}]


def test_a_call_pays_its_steps_and_its_fee() -> None:
    tariff = rates_tariff(
        {"service": "voice", "price": "0.10", "per": "min", "setup": "0.05", "increments": ["60 s", "1 s"]}
    )
    terms = _terms(tariff, example_usage({"service": "voice", "duration_ms": 132_000}))

    assert terms.rate(132_000, {}) == (132_000, 270_000_000, (), ())
    assert terms.rate(5_000, {}) == (60_000, 150_000_000, (), ())
    assert terms.keys == ()
    assert terms.explanation == (
        "a step of 60 s, then steps of 1 s",
        "0.10 EUR per min",
        "set-up fee 0.05 EUR",
        "half-up to 0.000000001 EUR",
    )


def test_data_in_carried_steps_and_tiers_of_the_month_reads_two_counters() -> None:
    rate_ = {"name": "d", "service": "data", "per": "MB", "tiers": TIERS, "tier_scope": "cycle", "increments": CARRIED}
    terms = _terms(
        rates_tariff(rate_), example_usage({"service": "data", "volume_bytes": 1, "mcc": "262", "mnc": "01"})
    )
    carry, tier = "2026-10-01:carry:d:26201", "2026-10-01:tier:d"

    assert terms.keys == (carry, tier)
    # 50 kB of a paid step are left; 120 kB start one step of 100 kB, half of it in each tier: 0.0004 + 0.00025.
    assert terms.rate(120_000, {carry: 250_000, tier: 99_950_000}) == (
        100_000, 650_000, (250_000, 99_950_000), (370_000, 100_050_000),
    )  # fmt: skip
    assert terms.explanation == (
        "steps of 100 kB, carried over",
        "0.008 EUR per MB up to 100 MB, 0.005 EUR per MB up to 1000 MB, then 0.003 EUR per MB (of the cycle)",
        "half-up to 0.000000001 EUR",
    )


def test_the_words_name_the_band_and_what_decides_a_tier() -> None:
    peak = {"days": "mon-fri", "from": "08:00", "to": "20:00"}
    rate_ = {
        "service": "data",
        "price": "0.02",
        "per": "MB",
        "tier_mode": "volume",
        "bands": {"peak": {"tiers": TIERS[1:]}},
    }
    terms = _terms(rates_tariff(rate_, bands={"peak": peak}), example_usage({"service": "data", "volume_bytes": 1}))

    assert (
        terms.explanation[0] == "peak: 0.005 EUR per MB up to 1000 MB, then 0.003 EUR per MB (all by the event's total)"
    )
    assert (terms.low_ms, terms.high_ms) == (unix_ms("2026-10-20T06:00:00Z"), unix_ms("2026-10-20T18:00:00Z") - 1)


def test_what_starts_at_the_end_of_a_month_is_of_the_next() -> None:
    """A call may end there; a message sent there may not be taken for one of the month before."""
    tariff = rates_tariff({"service": "message", "price": "0.1"}, {"service": "voice", "price": "0.1", "per": "min"})
    message = _terms(tariff, example_usage({"service": "message", "message_count": 1}))
    call = _terms(tariff, example_usage({"service": "voice", "duration_ms": 1}))
    november_ms = unix_ms("2026-10-31T23:00:00Z")

    assert (message.low_ms, message.high_ms) == (unix_ms("2026-09-30T22:00:00Z"), november_ms - 1)
    assert call.high_ms == november_ms


@pytest.mark.parametrize(
    "fields",
    [
        {"minimum": "0.10"},
        {"maximum": "5.00"},
        {"minimum_quantity": "30 s"},
        {"scope": "session"},
        {"increments": {"next": "60 s", "scope": "session"}},
        {"answer": "blocked"},
        {"where": "FR"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_is_no_closed_formula_is_left_to_rate(fields: dict[str, Any]) -> None:
    tariff = rates_tariff({"service": "voice", "price": "0.10", "per": "min", **fields})
    terms = _terms(tariff, example_usage({"service": "voice", "duration_ms": 1}))

    assert terms.rate(60_000, {}) is None
    assert terms.keys == ()


def test_an_emergency_call_is_free() -> None:
    tariff = rates_tariff({"service": "voice", "price": "0.10", "per": "min"}, emergency=["112"])
    terms = _terms(tariff, example_usage({"service": "voice", "duration_ms": 1, "called_number": "112"}))

    assert terms.outcome == "free"
    assert terms.rate(60_000, {}) == (0, 0, (), ())
    assert terms.rate(0, {}) is None
    assert terms.explanation == ("112 is an emergency number: 0.00 EUR",)


@pytest.mark.parametrize("start_ms", [-1, 0, unix_ms("2025-12-31T22:59:59Z"), LATEST_MS - 1, LATEST_MS, 10**18])
def test_there_are_terms_at_any_instant(start_ms: int) -> None:
    tariff = rates_tariff({"service": "message", "price": "0.1"})
    usage = usage_of("message", 1, start_ms)
    terms = _terms(tariff, usage)

    assert terms.low_ms <= start_ms
    assert terms.outcome == rate(tariff, usage, {}, ZONE).outcome
    assert (terms.rate(1, {}) is None) == (terms.outcome == "no_rate")


def test_terms_end_where_the_next_version_begins() -> None:
    versions = [
        {"version": "a", "effective_from": "2026-10-06T00:00", "rates": [{"service": "message", "price": "0.1"}]},
        {"version": "b", "effective_from": "2026-10-16T00:00", "rates": [{"service": "message", "price": "0.2"}]},
    ]
    tariff = example_tariff({"versions": versions})
    terms = _terms(tariff, example_usage({"service": "message", "start": "2026-10-10T10:00:00Z", "message_count": 1}))

    assert (terms.low_ms, terms.high_ms) == (unix_ms("2026-10-05T22:00:00Z"), unix_ms("2026-10-15T22:00:00Z") - 1)
    assert terms.tariff_version == "a"


@pytest.mark.parametrize(
    ("rounding", "cents"), [("down", [2, 3, 2]), ("up", [3, 4, 3]), ("half-up", [3, 4, 2]), ("half-even", [2, 4, 2])]
)
def test_each_method_of_rounding_is_a_formula(rounding: Rounding, cents: list[int]) -> None:
    """0.025, 0.035 and 0.021 to the cent."""
    tariff = rates_tariff({"service": "message", "price": "0.001"}, rounding=rounding, precision="0.01")
    terms = _terms(tariff, example_usage({"service": "message", "message_count": 1}))
    answers = [terms.rate(count, {}) for count in (25, 35, 21)]

    assert [answer and answer[1] // 10_000_000 for answer in answers] == cents
