"""Units a tariff is written in. MB is 10^6 bytes and MiB is 2^20: they are different units, never synonyms."""

from __future__ import annotations

import re
from typing import Final

from schemas.usage import BASE_UNIT, Service

#: Unit -> how many bytes, milliseconds or messages it is.
UNITS: Final[dict[Service, dict[str, int]]] = {
    "data": {
        "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
    },
    "voice": {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000},
    "message": {"message": 1},
}  # fmt: skip

#: Quantities stay below 2^53, so that counters of them are exact everywhere.
QUANTITY_MAX: Final = 2**53 - 1

_QUANTITY = re.compile(r"([0-9]{1,16})(?:\.([0-9]{1,9}))? ?([A-Za-z]+)")


def unit_size(unit: str, service: Service) -> int:
    """How many bytes, milliseconds or messages a unit is.

    Raises:
        ValueError: the service has no such unit; the text lists those it has.
    """
    size = UNITS[service].get(unit)
    if size is None:
        raise ValueError(f'"{unit}" is no unit of {service}; write one of {", ".join(UNITS[service])}')
    return size


def parse_quantity(text: object, service: Service) -> int:
    """Read "100 kB", "1.5 MiB", "60 s" or "1 message" as whole bytes, milliseconds or messages.

    Raises:
        ValueError: not a quantity with a unit of the service, or not a whole number of its smallest unit.
    """
    match = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        first = next(iter(UNITS[service]))
        raise ValueError(f'"{text}" is no quantity; write a number and a unit, such as "100 {first}"')
    whole, decimals, unit = match[1], match[2] or "", match[3]
    quantity, rest = divmod(int(whole + decimals) * unit_size(unit, service), int("1" + "0" * len(decimals)))
    if rest:
        raise ValueError(f'"{text}" is no whole number of {BASE_UNIT[service]}')
    if quantity > QUANTITY_MAX:
        raise ValueError(f'"{text}" is past the largest quantity, {QUANTITY_MAX} {BASE_UNIT[service]}')
    return quantity
