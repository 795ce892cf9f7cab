"""Records as the pipeline publishes them."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.lifecycle import LifecycleEvent, WalletEntry
from schemas.rated import RatedRecord
from streams.topics import JOURNAL, LIFECYCLE, RATED, TopicRecord

START_MS = 1_793_000_000_000  # 2026-10-26


def rated(event_id: str = "e1", **changes: Any) -> RatedRecord:
    """A rated record of 1 EUR."""
    values: dict[str, Any] = {
        "tenant": "acme", "source": "emnify", "id": event_id, "part": 0, "parts": 1, "fate": "rated",
        "service": "data", "direction": "outgoing", "subscriber": "8949", "account": "a1", "wallet": "w1",
        "epoch": 1, "n": 1, "plan": "basic", "plan_version": "1", "tariff": "eu", "tariff_version": "1",
        "period": "2026-10-01", "rate": "data/zone:eu", "zone": "eu", "unit": "bytes", "quantity": 1000,
        "billable_quantity": 1000, "amount_nanos": 10**9, "charged_nanos": 10**9, "uncovered_nanos": 0,
        "currency": "EUR", "balance_before_nanos": 10**10, "balance_after_nanos": 9 * 10**9,
        "start_ms": START_MS, "end_ms": START_MS + 1000, "rated_ms": START_MS + 2000, "door": "kafka:usage/0",
        "position": 7, "country": "DE", "fingerprint": "00ff00ff00ff00ff",
        "explanation": ("1000 bytes", "x 0.001 = 1.00 EUR"),
    }  # fmt: skip
    return RatedRecord(**(values | changes))


def entry(**changes: Any) -> WalletEntry:
    """A top-up of 10 EUR that opened the wallet."""
    values: dict[str, Any] = {
        "tenant": "acme", "wallet": "w1", "epoch": 1, "n": 0, "kind": "create", "source": "command", "id": "c1",
        "amount_nanos": 10**10, "balance_before_nanos": 0, "balance_after_nanos": 10**10, "currency": "EUR",
        "occurred_ms": START_MS,
    }  # fmt: skip
    return WalletEntry(**(values | changes))


def suspended(**changes: Any) -> LifecycleEvent:
    """A SIM's first suspend."""
    values: dict[str, Any] = {
        "type": "suspended", "tenant": "acme", "wallet": "w1", "subscriber": "8949", "reason": "balance",
        "holds": ("balance",), "status_version": 1, "balance_nanos": 0, "currency": "EUR", "epoch": 1, "n": 2,
        "cause": "emnify/e1", "occurred_ms": START_MS,
    }  # fmt: skip
    return LifecycleEvent(**(values | changes))


def message(topic: str, struct: msgspec.Struct, offset: int = 0) -> TopicRecord:
    """A struct as its topic holds it."""
    return TopicRecord(topic, 0, offset, msgspec.json.encode(struct))


__all__ = ["JOURNAL", "LIFECYCLE", "RATED", "START_MS", "entry", "message", "rated", "suspended"]
