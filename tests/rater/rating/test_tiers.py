"""Tiers: bounds belong to the lower one, and the stated ranges are true."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from rater.rating.tiers import graduated, graduated_range, tier_of, volume_range
from rater.tariff.model import Schedule, Tier

PRICES = [Fraction(3), Fraction(2), Fraction(1)]


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    bounds = sorted(draw(st.sets(st.integers(1, 30), max_size=2)))
    return tuple(Tier(bound, PRICES[place]) for place, bound in enumerate([*bounds, None]))


def test_a_bound_belongs_to_the_lower_tier() -> None:
    low, high = Tier(100, Fraction(2)), Tier(None, Fraction(1))

    assert tier_of((low, high), 100) == (-1, low)
    assert tier_of((low, high), 101) == (100, high)
    assert graduated((low, high), 99, 3) == [(1, low), (2, high)]


@given(schedules(), st.integers(0, 40), st.integers(0, 40))
def test_each_unit_has_the_price_of_its_own_tier(schedule: Schedule, before: int, quantity: int) -> None:
    one_by_one = sum(tier_of(schedule, unit)[1].price for unit in range(before + 1, before + quantity + 1))

    assert sum(part * tier.price for part, tier in graduated(schedule, before, quantity)) == one_by_one


@given(schedules(), st.integers(0, 40), st.integers(1, 40))
def test_a_graduated_range_holds_all_totals_with_the_same_single_tier(
    schedule: Schedule, before: int, quantity: int
) -> None:
    low, high = graduated_range(schedule, before, quantity)
    here = graduated(schedule, before, quantity)

    assert low <= before <= high
    assert all(graduated(schedule, total, quantity) == here for total in range(low, min(high, 80) + 1))
    if len(here) == 1:
        assert low == 0 or graduated(schedule, low - 1, quantity) != here
        assert graduated(schedule, high + 1, quantity) != here or high > 80


@given(schedules(), st.integers(0, 40), st.integers(1, 40))
def test_a_volume_range_holds_exactly_the_totals_of_its_tier(schedule: Schedule, before: int, quantity: int) -> None:
    low, high = volume_range(schedule, before, quantity)
    tier = tier_of(schedule, before)[1]

    assert [total for total in range(81) if tier_of(schedule, total)[1] is tier] == list(range(low, min(high, 80) + 1))
