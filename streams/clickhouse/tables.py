"""The tables a writer fills, and the check that a topic's value fits its table exactly.

ClickHouse reads JSON leniently: a missing field becomes a zero, a number too large for its column wraps around in
silence, a name that comes twice fails the whole block. So each value is decoded into a struct that has the columns' own
limits, and what goes on is written from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Annotated, Any

import msgspec

from schemas.faults import DeadLetter, ParkedEvent
from schemas.lifecycle import LifecycleEvent, WalletEntry
from schemas.rated import RatedRecord
from streams.topics import DEAD_LETTERS, JOURNAL, LIFECYCLE, PARKED, RATED, REFUSED

TABLE_OF_TOPIC = {
    RATED: "rated_records",
    REFUSED: "rated_records",
    PARKED: "parked_events",
    DEAD_LETTERS: "dead_letters",
    LIFECYCLE: "lifecycle_events",
    JOURNAL: "wallet_entries",
}

#: The struct whose JSON a table holds; its fields are the columns.
_STRUCTS: dict[str, type[msgspec.Struct]] = {
    "rated_records": RatedRecord,
    "wallet_entries": WalletEntry,
    "lifecycle_events": LifecycleEvent,
    "parked_events": ParkedEvent,
    "dead_letters": DeadLetter,
}

_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
#: Columns that are not Int64. UInt64 stops at what an int64 holds: nothing counts further.
_NARROWER: dict[str, Any] = {
    **dict.fromkeys(("part", "parts", "epoch", "revision"), Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]),
    **dict.fromkeys(("n", "status_version"), Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]),
}
#: How a field's type is kept in a column: bytes stay the base64 they are in JSON, an object stays JSON.
_KEPT_AS: dict[Any, Any] = {int: _INT64, bytes: str, tuple[str, ...]: list[str], dict[str, str]: msgspec.Raw}


_encode_lines = msgspec.json.Encoder().encode_lines


class Table:
    """One table's columns and its rows' exact shape."""

    def __init__(self, name: str, struct: type[msgspec.Struct]) -> None:
        fields = msgspec.structs.fields(struct)
        self.name = name
        self.columns = [field.name for field in fields]
        definition = []
        for field in fields:
            kind = _NARROWER.get(field.name, _KEPT_AS.get(field.type, field.type))
            default = msgspec.Raw(b"{}") if kind is msgspec.Raw else field.default
            definition.append((field.name, kind) if field.required else (field.name, kind, default))
        self.row = msgspec.defstruct(f"{struct.__name__}Row", definition, kw_only=True, gc=False)
        #: Decodes one value; raises msgspec.DecodeError with the field's name and what is wrong with it.
        self.decode = msgspec.json.Decoder(self.row).decode

    def as_json(self, rows: Sequence[Any]) -> bytes:
        """One JSON object a line; what is omitted is a zero or empty in ClickHouse too."""
        return _encode_lines(rows)

    def by_column(self, rows: Sequence[Any]) -> list[list[Any]]:
        """Values by column, as the native protocol takes them."""
        columns = [list(map(attrgetter(name), rows)) for name in self.columns]
        for values in columns:
            if values and isinstance(values[0], msgspec.Raw):
                values[:] = [bytes(value).decode() for value in values]
        return columns


TABLES = {name: Table(name, struct) for name, struct in _STRUCTS.items()}
