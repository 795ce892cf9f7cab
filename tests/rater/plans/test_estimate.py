"""Past usage by another plan: its allowances first, then its tariff, a fee a month; what has no price is named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rater.catalogue import Catalogue
from rater.money import NANOS, format_nanos
from rater.plans.calendar import month_end_ms
from rater.plans.estimate import Estimator, Sort, as_sold
from rater.rating.rate import rate
from schemas.usage import Usage
from tests.rater.plans.test_calendar import at

ZONE = "UTC"
TARIFF = """
tariff: t
currency: EUR
zone: UTC
zones: {eu: [DE, FR]}
versions:
  - version: "old"
    effective_from: "2026-01-01T00:00"
    rates: [{service: message, price: "0.50"}]
  - version: "new"
    effective_from: "2026-10-20T00:00"
    blocked: [KP]
    emergency: ["112"]
    rates:
      - {service: message, where: eu, price: "0.10"}
      - {service: message, direction: incoming, answer: free}
      - name: data
        service: data
        where: eu
        per: MB
        tiers: [{up_to: 10 MB, price: "1.00"}, {price: "0.10"}]
        tier_scope: cycle
        increments: {next: 100 kB, scope: carry-over}
      - {service: voice, price: "0.60", per: min, setup: "0.05", increments: {first: 60 s, next: 1 s}}
"""
PLAN = """
plan: p
currency: EUR
zone: UTC
versions:
  - version: "1"
    effective_from: "2026-01-01T00:00"
    tariff: t
    TERMS
"""
QUANTITY = {"data": "volume_bytes", "voice": "duration_ms", "message": "message_count"}
NOW = at("2026-11-10 12:00", ZONE)
BOUNDS = [month_end_ms(ZONE, NOW, -before) for before in (2, 1, 0)]  # September, October


def estimator(terms: str = "", *, is_one: bool = False, volume: int | None = None) -> Estimator:
    """Of September and October, by a plan with these terms."""
    catalogue = Catalogue({"tariffs/t.yaml": TARIFF, "plans/p.yaml": PLAN.replace("TERMS", terms)})
    plan = catalogue.plan("p", NOW)
    assert plan is not None
    return Estimator(plan, as_sold(catalogue.tariff("t"), NOW), ZONE, BOUNDS, volume=volume, is_one=is_one)


def used(service: str, quantity: int, when: str = "2026-10-05 10:00", until: str = "", sim: str = "s", **more: Any):
    """An event in Germany."""
    start_ms = at(when, ZONE)
    place = {"country": "DE"} | more
    end_ms = at(until, ZONE) if until else start_ms
    made = Usage("t", "f", "1", service, start_ms, end_ms, subscriber=sim, **place)  # type: ignore[arg-type]
    return Usage(**{name: getattr(made, name) for name in Usage.__struct_fields__} | {QUANTITY[service]: quantity})


def amounts(found: Estimator) -> list[str]:
    """What usage costs in each month."""
    return [format_nanos(month.usage_nanos) for month in found.months]


def test_an_allowance_is_used_before_money_and_anew_each_month():
    """1,200 and 300 messages by a plan of 1,000: 200 at 0.10."""
    found = estimator("allowances: [{name: m, quantity: 1000 messages}]")
    for count, when in ((300, "2026-09-10 10:00"), (900, "2026-10-05 10:00"), (300, "2026-10-06 10:00")):
        found.add(used("message", count, when))
    assert amounts(found) == ["0.00", "20.00"]
    assert [(month.events, month.covered_events) for month in found.months] == [(1, 1), (2, 2)]


def test_a_plan_that_refuses_overage_prices_nothing_beyond_its_allowance():
    found = estimator("overage: refused\n    allowances: [{name: texts, quantity: 3 messages}]")
    for count in (2, 2, 1, 1):
        found.add(used("message", count))
    assert found.unpriced_events == 2
    (sort,) = found.unpriced
    assert (sort.reason, found.unpriced[sort].quantity, found.months[1].covered_events) == ("allowance_used_up", 3, 2)


def test_todays_prices_hold_for_all_of_the_past():
    """In September a message cost 0.50; the plan is sold at 0.10 now."""
    found = estimator()
    found.add(used("message", 1, "2026-09-10 10:00"))
    assert amounts(found) == ["0.10", "0.00"]


def test_steps_and_tiers_go_on_by_subscriber_and_begin_anew_each_month():
    found = estimator()
    for sim in ("a", "b"):
        for when in ("2026-09-10 10:00", "2026-09-11 10:00", "2026-10-02 10:00"):
            found.add(used("data", 6_000_000, when, sim=sim))
    # 10 MB at 1.00 and 2 at 0.10, of each; then 6 at 1.00.
    assert amounts(found) == ["20.40", "12.00"]
    assert found.subscribers == 2


def test_the_rest_of_a_call_is_priced_once_with_its_set_up_fee():
    found = estimator("allowances: [{name: min, quantity: 10 min}]")
    found.add(used("voice", 12 * 60_000, "2026-10-05 10:00", "2026-10-05 10:12", called_number="+4930123456"))
    assert amounts(found) == ["0.00", "1.25"]


def test_usage_over_a_months_end_takes_from_both_months_and_counts_in_the_first():
    found = estimator("allowances: [{name: d, quantity: 3 MB}]")
    found.add(used("data", 8_000_000, "2026-09-30 23:00", "2026-10-01 01:00"))
    found.add(used("data", 1_000_000, "2026-10-02 10:00"))
    # 4 MB lie on each side; a MB of each is not covered. Nothing of October is left for the last.
    assert amounts(found) == ["2.00", "1.00"]


def test_what_rolls_over_is_there_in_the_next_month():
    found = estimator("allowances: [{name: m, quantity: 100 messages, roll_over: true}]")
    found.add(used("message", 40, "2026-09-10 10:00"))
    found.add(used("message", 170, "2026-10-10 10:00"))
    assert amounts(found) == ["0.00", "1.00"]


@pytest.mark.parametrize(("shared", "is_one", "october"), [(False, False, "0.00"), (True, False, "5.00"),
                                                          (False, True, "5.00")])  # fmt: skip
def test_an_allowance_is_each_sims_own_unless_it_is_shared_or_the_account_has_the_plan(shared, is_one, october):
    terms = f"allowances: [{{name: m, quantity: 100 messages, shared: {str(shared).lower()}}}]"
    found = estimator(terms, is_one=is_one)
    assert found.is_common is (shared or is_one)
    found.add(used("message", 80, "2026-10-05 10:00", sim="a"))
    found.add(used("message", 70, "2026-10-05 11:00", sim="b"))
    assert amounts(found)[1] == october


def test_a_volume_of_the_scale_is_granted_and_is_the_fee():
    terms = """allowances: [{name: m, quantity: 10 messages}]
    scale: {allowance: m, volumes: [{quantity: 10 messages, price: "1.00"}, {quantity: 50 messages, price: "4.00"}]}"""
    found = estimator(terms, volume=1)
    found.add(used("message", 51))
    assert (amounts(found)[1], found.fee_nanos()) == ("0.10", 4 * NANOS)


def test_the_fee_of_a_longer_period_is_shared_by_its_months():
    found = estimator('billing: {months: 12}\n    recurring_fee: "100.00"')
    assert format_nanos(found.fee_nanos()) == "8.33"


def test_what_has_no_price_is_named_and_counted_and_costs_nothing():
    found = estimator("entitlements: [data, message]")
    found.add(used("message", 2, country="US"))
    found.add(used("message", 3, country="US"))
    found.add(used("message", 1, country="KP"))
    found.add(used("voice", 60_000, called_number="+4930123456"))
    assert found.unpriced_events == 4
    assert {sort: (one.events, one.quantity) for sort, one in found.unpriced.items()} == {
        Sort("no_rate", "message", "", "US", ""): (2, 5),
        Sort("region_blocked", "message", "", "KP", ""): (1, 1),
        Sort("not_entitled", "voice", "", "DE", "DE"): (1, 60_000),
    }
    assert [one.detail for one in found.unpriced.values()] == [
        'no rate for outgoing message in US in version "new"', "service is blocked in KP", "plan p has no voice",
    ]  # fmt: skip
    assert amounts(found) == ["0.00", "0.00"]


def test_what_has_no_price_takes_nothing_from_an_allowance():
    """The first does not fit into what is left and has no price for the rest."""
    found = estimator("allowances: [{name: m, quantity: 100 messages}]")
    found.add(used("message", 101, country="US"))
    found.add(used("message", 100, country="US"))
    assert (found.unpriced_events, found.months[1].covered_events) == (1, 1)


def test_emergency_calls_and_what_is_free_take_nothing_from_an_allowance():
    found = estimator("entitlements: [message]\n    allowances: [{name: m, quantity: 10 messages}]")
    found.add(used("voice", 60_000, called_number="112"))
    found.add(used("message", 10, direction="incoming", country="US"))
    found.add(used("message", 10))
    assert (amounts(found)[1], found.unpriced_events, found.months[1].covered_events) == ("0.00", 0, 1)


def test_sorts_without_a_price_are_bounded_but_all_are_counted():
    found = estimator()
    for number in range(150):
        found.add(used("message", 1, country="US", kind=f"kind-{number}"))
    assert (found.unpriced_events, len(found.unpriced)) == (150, 100)


events = st.lists(
    st.tuples(
        st.sampled_from(["data", "voice", "message"]), st.integers(0, 20_000_000), st.integers(0, 60 * 24 * 60),
        st.integers(0, 300), st.sampled_from(["a", "b"]), st.sampled_from(["DE", "FR"]),
    ),
    max_size=12,
)  # fmt: skip


@given(events)
def test_without_allowances_an_estimate_is_the_sum_of_what_rate_says(drawn):
    found = estimator()
    tariff, counters = found._tariff, {"a": {}, "b": {}}
    total = 0
    for service, quantity, minute, length, sim, country in sorted(drawn, key=lambda event: (event[4], event[2])):
        start_ms = BOUNDS[0] + minute * 60_000
        end_ms = start_ms + length * 60_000
        usage = Usage("t", "f", "1", service, start_ms, end_ms, subscriber=sim, country=country,
                      **{QUANTITY[service]: quantity})  # fmt: skip
        found.add(usage)
        charge = rate(tariff, usage, counters[sim], ZONE)
        total += charge.amount_nanos
        for use in charge.uses:
            counters[sim][use.key] = counters[sim].get(use.key, 0) + use.add
    assert sum(month.usage_nanos for month in found.months) == total
    assert sum(month.events for month in found.months) == len(drawn)


@given(events, st.integers(0, 40))
def test_an_allowance_never_makes_usage_dearer_than_its_price_and_never_covers_more_than_it_grants(drawn, granted):
    """Of messages, which have no steps: what is not covered is priced, and no more than the quantity is covered."""
    found = estimator(f"allowances: [{{name: m, quantity: {granted} messages}}]")
    count: dict[tuple[str, int], int] = {}
    for service, quantity, minute, _, sim, _ in sorted(drawn, key=lambda event: (event[4], event[2])):
        if service == "message":
            start_ms = BOUNDS[0] + minute * 60_000
            month = int(start_ms >= BOUNDS[1])
            count[sim, month] = count.get((sim, month), 0) + quantity % 100
            found.add(Usage("t", "f", "1", "message", start_ms, start_ms, subscriber=sim, country="DE",
                            message_count=quantity % 100))  # fmt: skip
    priced = sum(max(0, messages - granted) for messages in count.values())
    assert sum(month.usage_nanos for month in found.months) == priced * NANOS // 10
