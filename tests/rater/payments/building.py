"""A payment as tests write it: 100.00 EUR paid, 120.00 given."""

from __future__ import annotations

from typing import Any

from rater.money import parse_nanos
from rater.payments.model import Payment, Purpose

NOW_MS = 1_793_491_200_000  # 2026-11-01T00:00:00Z


def nanos(text: str) -> int:
    return parse_nanos(text)


def payment(payment_id: str = "pay_1", amount: str = "100", balance: str = "120", **fields: Any) -> Payment:
    """A refill of wallet "w" of tenant "t" by card, just written down."""
    made: dict[str, Any] = {
        "tenant": "t", "id": payment_id, "account": "w", "wallet": "w", "purpose": Purpose("refill", "large", "payg"),
        "amount_nanos": nanos(amount), "balance_nanos": nanos(balance), "currency": "EUR", "method": "card",
        "created_ms": NOW_MS,
    }  # fmt: skip
    return Payment(**(made | fields))
