"""The closed formula of an amount is the exact sum over its tiers, rounded once."""

from __future__ import annotations

from fractions import Fraction
from typing import get_args

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.money import NANOS, Rounding, round_exact
from rater.rating.formula import amount_formula
from rater.rating.pricer import Pricer
from rater.rating.tiers import graduated, tier_of
from rater.tariff.model import Rate, Tier
from tests.rater.rating.strategies import plain_rates

methods = st.sampled_from(get_args(Rounding))
#: A nano, a number of them that no price fits, and a cent.
precisions = st.sampled_from([1, 7, 10_000_000])


@settings(max_examples=500)
@given(plain_rates("data"), methods, precisions, st.integers(0, 500_000), st.integers(0, 500_000))
def test_a_formula_is_the_sum_over_tiers_rounded_once(
    rate: Rate, method: Rounding, step_nanos: int, before: int, billed: int
) -> None:
    cards = Pricer(rate).cards(None)
    before = before if rate.tier_scope == "cycle" else 0
    if rate.tier_mode == "volume":
        exact = billed * tier_of(cards, before if rate.tier_scope == "cycle" else billed).price
    else:
        exact = sum((quantity * card.price for quantity, card in graduated(cards, before, billed)), Fraction(0))

    amount = amount_formula(rate, cards, method, step_nanos)[0](before, billed)
    assert amount == round_exact((exact + rate.setup) * NANOS, method, step_nanos)


def test_a_third_of_a_nano_stays_exact_over_a_cycle_of_terabytes() -> None:
    rate = Rate("r", "data", "B", 1, (Tier(10**15, Fraction(1, 3 * NANOS)), Tier(None, Fraction(1, 7 * NANOS))))
    rate = msgspec.structs.replace(rate, tier_scope="cycle")

    amount, _ = amount_formula(rate, Pricer(rate).cards(None), "down", 1)
    assert amount(10**15 - 1, 10**15) == (7 + 3 * (10**15 - 1)) // 21
