"""Quantities with their unit become whole bytes, milliseconds or messages."""

from __future__ import annotations

import re

import pytest

from rater.tariff.units import QUANTITY_MAX, parse_quantity
from schemas.usage import Service


@pytest.mark.parametrize(
    ("text", "service", "quantity"),
    [
        ("100 kB", "data", 100_000),
        ("100kB", "data", 100_000),
        ("1 MB", "data", 10**6),
        ("1 MiB", "data", 2**20),
        ("1.5 GiB", "data", 3 * 2**29),
        ("0.001 kB", "data", 1),
        ("60 s", "voice", 60_000),
        ("0.5 min", "voice", 30_000),
        ("1 h", "voice", 3_600_000),
        ("2 message", "message", 2),
    ],
)
def test_a_quantity_is_exact(text: str, service: Service, quantity: int) -> None:
    assert parse_quantity(text, service) == quantity


@pytest.mark.parametrize(
    ("text", "service", "says"),
    [
        ("100", "data", "is no quantity"),
        (100, "data", "is no quantity"),
        ("-1 MB", "data", "is no quantity"),
        ("1e3 MB", "data", "is no quantity"),
        ("٣ MB", "data", "is no quantity"),
        ("1 Mb", "data", "write one of B, kB, MB, GB, TB, KiB, MiB, GiB"),
        ("60 s", "data", '"s" is no unit of data'),
        ("0.5 B", "data", "is no whole number of bytes"),
        ("0.3 MiB", "data", "is no whole number of bytes"),
        ("9007199254740992 B", "data", f"past the largest quantity, {QUANTITY_MAX} bytes"),
    ],
)
def test_what_is_no_quantity_says_why(text: object, service: Service, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_quantity(text, service)
