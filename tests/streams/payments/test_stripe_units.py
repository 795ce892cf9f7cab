"""Amounts as Stripe counts them."""

from __future__ import annotations

import pytest

from rater.money import parse_nanos
from streams.payments.stripe_units import UnitsError, nanos_of, units_of


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        ("12.50", "EUR", 1_250),
        ("500", "JPY", 500),
        ("5.12", "KWD", 5_120),
        ("5", "ISK", 500),
        ("5", "UGX", 500),
        ("5", "MGA", 5),
        ("9000000000.01", "USD", 900_000_000_001),
    ],
)
def test_an_amount_is_whole_minor_units(amount: str, currency: str, units: int) -> None:
    assert units_of(parse_nanos(amount), currency) == units
    assert nanos_of(units, currency) == parse_nanos(amount)


@pytest.mark.parametrize(
    ("amount", "currency", "smallest"),
    [
        ("12.505", "EUR", "0.01"),
        ("0.5", "JPY", "1.00"),
        ("5.124", "KWD", "0.01"),
        ("5.5", "ISK", "1.00"),
        ("0", "EUR", "0.01"),
        ("-1", "EUR", "0.01"),
    ],
)
def test_anything_else_is_refused_and_never_rounded(amount: str, currency: str, smallest: str) -> None:
    with pytest.raises(UnitsError, match=f"multiple of {smallest}$"):
        units_of(parse_nanos(amount), currency)
