"""Damage: what real feeds bring besides good records, and what must become of each."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from random import Random
from typing import Any, Final, NamedTuple

from schemas.fates import Fate, Reason

_ICCID: Final = re.compile(r'("iccid":"[0-9]{10})[0-9]+"')
_TOTAL: Final = re.compile(r'"total":[0-9.]+')


def damage(random: Random, line: str) -> str:
    """The line, damaged: JSON in one of these ways; a CSV row is cut off or loses its volume.

    Truncated, a wrong type, negative volume, the same id with another volume (`id_conflict`), a SIM nobody knows
    (parked), a network code that is none, the year 9999 (`future`), a NUL character.
    """
    if not line.startswith("{"):
        if random.random() < 0.5:
            return line[: random.randrange(20, len(line) - 20)]
        return re.sub(r'"[0-9]+\.[0-9]{6}"', '"n/a"', line, count=1)
    ways: tuple[Callable[[], str], ...] = (
        lambda: line[: random.randrange(5, len(line) - 5)],
        lambda: re.sub(r'"mcc":"([0-9]+)"', r'"mcc":\1', line),
        lambda: line.replace('"total":', '"total":-', 1),
        lambda: _TOTAL.sub(f'"total":{random.randrange(2, 90)}.000001', line) if '"id":5' in line else line[:-1],
        lambda: _fresh(random, _ICCID.sub(rf'\g<1>{random.randrange(10**9):09d}"', line)),
        lambda: _fresh(random, re.sub(r'"mcc":"[0-9]+"', '"mcc":"9X9"', line)),
        lambda: _fresh(random, re.sub(r'"(start|end)_timestamp":"2026', r'"\1_timestamp":"9999', line)),
        lambda: line.replace('"iccid":"', '"iccid":"\\u0000', 1),
    )
    return random.choice(ways)()


def _fresh(random: Random, line: str) -> str:
    """The line under an id of its own, that it may not be taken for a repeat."""
    return re.sub(r'("cost":[^,]*,"id":)[0-9]+', rf"\g<1>{9 * 10**12 + random.randrange(10**12)}", line, count=1)


class Damaged(NamedTuple):
    """One damaged raw record (format "auto", tenant from the door), and what must become of it."""

    raw: bytes
    fate: Fate
    reason: Reason
    #: The field that must be named; "" where none can be.
    field: str


Event = dict[str, Any]


def damaged(seed: int, count: int = 1000) -> list[Damaged]:
    """`count` damaged records, none with a newline in it: every kind in turn, over plain events and emnify records.

    Intake's clock is meant to be `schemas.sample.CLOCK`, and the SIMs are unknown to every wallet.
    """
    random = Random(f"{seed}-damaged")  # noqa: S311 - a sample, not a secret
    kinds: list[Callable[[Random, int], Damaged]] = [*_BYTES, *_fields()]
    lines = [kinds[number % len(kinds)](random, number) for number in range(count)]
    random.shuffle(lines)
    return lines


def plain_event(number: int) -> Event:
    """A good event in plain JSON."""
    return {
        "tenant": "demo", "source": "probe", "id": f"damaged-{number}", "service": "data",
        "iccid": "89883039999999999999", "imsi": "295059999999999",
        "msisdn": "+4915199999999", "mcc": "262", "mnc": "01", "country": "DE",
        "start_time": "2026-10-20T10:00:00Z", "end_time": "2026-10-20T10:05:00Z", "volume_bytes": 4200 + number,
    }  # fmt: skip


def emnify_event(number: int) -> Event:
    """A good emnify record."""
    return {
        "id": 700_000_000 + number, "traffic_type": {"id": 5, "description": "Data"},
        "sim": {"id": 1, "iccid": "89883039999999999999", "msisdn": "423663999999999"}, "imsi": "295059999999999",
        "operator": {"id": 5, "name": "O2", "mnc": "07", "country": {"id": 74, "mcc": "262", "name": "Germany"}},
        "volume": {"total": 0.219933, "rx": 0.172848, "tx": 0.047085},
        "start_timestamp": "2026-10-20T10:00:00Z", "end_timestamp": "2026-10-20T10:05:00.260Z",
    }  # fmt: skip


def _bytes_of(event: Event) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


def _dead(reason: Reason, make: Callable[[Random, int], bytes]) -> Callable[[Random, int], Damaged]:
    return lambda random, number: Damaged(make(random, number), Fate.DEAD_LETTERED, reason, "")


#: Records that are damaged as bytes.
_BYTES: Final = [
    _dead(Reason.MALFORMED, lambda random, number: _bytes_of(plain_event(number))[: random.randrange(1, 200)]),
    _dead(Reason.MALFORMED, lambda random, number: _bytes_of(emnify_event(number))[: random.randrange(1, 200)]),
    _dead(Reason.MALFORMED, lambda _, number: _bytes_of(plain_event(number)).replace(b"probe", b"pro\0be")),
    _dead(Reason.MALFORMED, lambda _, number: _bytes_of(plain_event(number)).replace(b"probe", b"pro\xff\xfebe")),
    _dead(Reason.MALFORMED, lambda _, number: _bytes_of(plain_event(number)) + b"}"),
    _dead(Reason.MALFORMED, lambda random, _: random.choice([b"null", b"42", b'"text"', b"true", b"NaN", b"\0\0\0\0"])),
    _dead(Reason.MALFORMED, lambda random, _: random.randbytes(80).replace(b"\n", b"").replace(b"\r", b"") + b"\xff"),
    _dead(Reason.MALFORMED, lambda _, __: b'{"id": ' + b"[" * 60_000),
    _dead(Reason.TOO_LARGE, lambda _, number: _bytes_of(plain_event(number) | {"kind": "x" * 1_100_000})),
    lambda _, number: Damaged(
        _bytes_of(plain_event(number) | {"kind": "x" * (10_000_000 if number < 100 else 1_050_000)}),
        Fate.DEAD_LETTERED, Reason.TOO_LARGE, "",
    ),
]  # fmt: skip

#: Field of a plain event, and a value that is wrong there.
_PLAIN: Final[tuple[tuple[str, Any], ...]] = (
    ("tenant", ""), ("source", 7), ("id", None), ("id", "x" * 300), ("id", "a\0b"), ("service", "fax"),
    ("direction", "up"), ("iccid", "8988"), ("iccid", "8988303999999999999x"), ("imsi", 295059999999999),
    ("imsi", "٢٩٥٠٥٩٩٩٩٩٩٩٩٩٩"),
    ("msisdn", "015199999999"), ("mcc", "26"), ("mnc", "1"), ("country", "ZZ"), ("country", "de"),
    ("destination_country", "Germany"), ("called_number", "+0"), ("start_time", "2026-10-20T10:00:00"),
    ("start_time", "1999-12-31T23:59:59Z"), ("start_time", 1_792_490_400), ("end_time", "2026-10-20T09:00:00Z"),
    ("end_time", "2026-02-30T09:00:00Z"), ("end_time", "yesterday"), ("volume_bytes", -1), ("volume_bytes", 4.2),
    ("volume_bytes", "4200"), ("volume_bytes", 2**53 + 1), ("volume_bytes", True), ("volume_bytes", None),
    ("duration_ms", 5), ("volume_byte", 5), ("final", "yes"), ("session_id", {}),
)  # fmt: skip

#: The same of an emnify record, by path.
_EMNIFY: Final[tuple[tuple[str, Any], ...]] = (
    ("id", -1), ("id", []), ("traffic_type.id", 7), ("traffic_type.id", "5"), ("volume.total", -0.219933),
    ("volume.total", 0.2199335), ("volume.total", "NaN"), ("volume.total", None), ("volume.total", 1e300),
    ("volume", 5), ("sim.iccid", "8988\0"), ("sim.msisdn", "n/a"), ("imsi", "<imsi>"), ("operator.mnc", "0x"),
    ("operator.country.mcc", 262), ("start_timestamp", None), ("end_timestamp", "2026-10-20T09:00:00Z"),
)  # fmt: skip


def _fields() -> list[Callable[[Random, int], Damaged]]:
    kinds = [_wrong(plain_event, path, value) for path, value in _PLAIN]
    kinds += [_wrong(emnify_event, path, value) for path, value in _EMNIFY]
    kinds += [_missing(plain_event, path) for path in ("tenant", "source", "id", "service", "start_time", "end_time")]
    kinds += [_missing(emnify_event, path) for path in ("id", "traffic_type", "volume", "start_timestamp")]
    for time, reason, field in (
        ("9999-12-31T23:59:59Z", Reason.FUTURE, "start_time"),
        ("2026-11-03T00:00:00Z", Reason.FUTURE, "start_time"),
        ("2026-07-01T00:00:00Z", Reason.TOO_OLD, "end_time"),
    ):
        kinds.append(_at(time, reason, field))
    kinds.append(lambda _, number: Damaged(
        _bytes_of(plain_event(number)), Fate.PARKED, Reason.UNKNOWN_SUBSCRIBER, ""))  # fmt: skip
    kinds.append(lambda _, number: Damaged(
        _bytes_of(emnify_event(number)), Fate.PARKED, Reason.UNKNOWN_SUBSCRIBER, ""))  # fmt: skip
    return kinds


def _wrong(good: Callable[[int], Event], path: str, value: object) -> Callable[[Random, int], Damaged]:
    def make(_: Random, number: int) -> Damaged:
        event = good(number)
        *parents, last = path.split(".")
        inner = event
        for parent in parents:
            inner = inner[parent]
        inner[last] = value
        return Damaged(_bytes_of(event), Fate.DEAD_LETTERED, Reason.INVALID, path)

    return make


def _missing(good: Callable[[int], Event], field: str) -> Callable[[Random, int], Damaged]:
    def make(_: Random, number: int) -> Damaged:
        event = good(number)
        del event[field]
        return Damaged(_bytes_of(event), Fate.DEAD_LETTERED, Reason.INVALID, field)

    return make


def _at(time: str, reason: Reason, field: str) -> Callable[[Random, int], Damaged]:
    def make(_: Random, number: int) -> Damaged:
        event = plain_event(number) | {"start_time": time, "end_time": time}
        return Damaged(_bytes_of(event), Fate.DEAD_LETTERED, reason, field)

    return make
