"""Tiers: bounds belong to the lower one, and each tier prices its own."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from rater.rating.tiers import graduated, tier_of
from rater.tariff.model import Schedule, Tier

PRICES = [Fraction(3), Fraction(2), Fraction(1)]


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    bounds = sorted(draw(st.sets(st.integers(1, 30), max_size=2)))
    return tuple(Tier(bound, PRICES[place]) for place, bound in enumerate([*bounds, None]))


def test_a_bound_belongs_to_the_lower_tier() -> None:
    low, high = Tier(100, Fraction(2)), Tier(None, Fraction(1))

    assert tier_of((low, high), 100) is low
    assert tier_of((low, high), 101) is high
    assert graduated((low, high), 99, 3) == [(1, low), (2, high)]


@given(schedules(), st.integers(0, 40), st.integers(0, 40))
def test_each_unit_has_the_price_of_its_own_tier(schedule: Schedule, before: int, quantity: int) -> None:
    one_by_one = sum(tier_of(schedule, unit).price for unit in range(before + 1, before + quantity + 1))

    assert sum(part * tier.price for part, tier in graduated(schedule, before, quantity)) == one_by_one
