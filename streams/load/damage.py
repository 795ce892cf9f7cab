"""Damage: an event spoilt so that every door must dead-letter it, whatever the balances."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Final

_QUANTITY: Final = re.compile(rb'("(?:volume_bytes|duration_ms|message_count)":)([0-9]+)')

#: Still JSON, but no event.
_FIELDS: Final[tuple[Callable[[Random, bytes], bytes], ...]] = (
    lambda _, value: _QUANTITY.sub(rb"\1-\2", value),
    lambda _, value: _QUANTITY.sub(rb"\1\2.5", value),
    lambda _, value: value.replace(b'"service":"', b'"service":"tele', 1),
    lambda _, value: re.sub(rb'"mcc":"([0-9]+)"', rb'"mcc":\1', value),
    lambda _, value: value.replace(b'"mnc":', b'"mnc_":', 1),
    lambda _, value: value.replace(b'Z","end_time"', b'","end_time"', 1),
    lambda _, value: re.sub(rb'"start_time":"[0-9]{4}', b'"start_time":"9999', value),
)
#: No JSON any more.
_BYTES: Final[tuple[Callable[[Random, bytes], bytes], ...]] = (
    lambda random, value: value[: random.randrange(1, len(value))],
    lambda _, value: value.replace(b'"id":"', b'"id":"\0', 1),
    lambda _, value: value.replace(b'"id":"', b'"id":"\xff', 1),
)


def damage(random: Random, value: bytes, *, is_json: bool) -> bytes:
    """The event, spoilt in one of the ways."""
    return random.choice(_FIELDS if is_json else _FIELDS + _BYTES)(random, value)
