"""Builds tariffs and usage for tests from as little as a case states."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rater.tariff.load import load_tariff
from rater.tariff.model import Tariff
from schemas.usage import Usage

QUANTITIES = {"data": "volume_bytes", "voice": "duration_ms", "message": "message_count"}


def unix_ms(text: str) -> int:
    """Milliseconds of "2026-10-20T10:00:00Z"."""
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()) * 1000


def example_tariff(case: Mapping[str, Any]) -> Tariff:
    """A tariff with the case's fields over the usual ones."""
    tariff = {"tariff": "example", "currency": "EUR", "zone": "Europe/Berlin"}
    tariff |= {name: case[name] for name in ("rounding", "precision", "bands", "zones", "zone") if name in case}
    version = {"version": "1", "effective_from": "2026-01-01T00:00", "rates": case.get("rates")}
    version |= {name: case[name] for name in ("emergency", "blocked") if name in case}
    return load_tariff(json.dumps({**tariff, "versions": case.get("versions", [version])}, indent=1))


def rates_tariff(*rates: dict[str, Any], **fields: Any) -> Tariff:
    """A tariff of one version with these rates."""
    return example_tariff({"rates": list(rates), **fields})


def example_usage(fields: Mapping[str, Any]) -> Usage:
    """A usage in Germany on 2026-10-20T10:00Z, with the case's fields over it; `start` and `end` are texts."""
    left = dict(fields)
    start_ms = unix_ms(left.pop("start", "2026-10-20T10:00:00Z"))
    end = left.pop("end", None)
    end_ms = unix_ms(end) if end else start_ms + left.get("duration_ms", 0)
    usual: dict[str, Any] = {"tenant": "t", "source": "test", "id": "1", "iccid": "8949", "country": "DE"}
    return Usage(**{**usual, "start_ms": start_ms, "end_ms": end_ms, **left})
