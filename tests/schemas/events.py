"""Good events to start from, in plain JSON and as an emnify record."""

import json
from typing import Any

from schemas.sample.damage import emnify_event, plain_event

PLAIN = plain_event(1)
EMNIFY = emnify_event(1)

#: Every field of a plain event, at least once.
VOICE: dict[str, Any] = {
    "tenant": "acme", "source": "switch-1", "id": "call-7", "service": "voice", "kind": "on-net",
    "direction": "incoming", "subscriber": "sub-1", "iccid": "89883030000080139311", "imsi": "295050901064821",
    "msisdn": "+423663920123456", "session_id": "s-1", "final": True, "mcc": "310", "mnc": "260", "country": "US",
    "called_number": "+4930123456", "destination_country": "DE", "duration_ms": 132_000,
    "start_time": "2026-10-25T02:30:00.125+02:00", "end_time": "2026-10-25T02:32:12.125+02:00",
}  # fmt: skip


def raw(event: object) -> bytes:
    return json.dumps(event).encode()


def with_value(event: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy of the event with another value at "volume.total"."""
    first, _, rest = path.partition(".")
    return {**event, first: with_value(event[first], rest, value) if rest else value}


def without(event: dict[str, Any], path: str) -> dict[str, Any]:
    first, _, rest = path.partition(".")
    if rest:
        return {**event, first: without(event[first], rest)}
    return {name: value for name, value in event.items() if name != first}
