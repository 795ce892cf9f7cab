"""The tables a writer fills, and the check that a topic's value fits its table exactly.

ClickHouse reads JSON leniently: a missing field becomes a zero, a number too large for its column wraps around in
silence, a null becomes the default, a number becomes text. So each value is decoded into a struct that has the columns'
own limits, and only what passes goes on: to the embedded engine as the bytes that were checked, to a server as columns
of what was decoded. The struct's strictness is what makes the bytes safe: what it accepts, ClickHouse reads as the same
values (a test compares them) or refuses loudly, and then the rows are written anew from what was decoded.

A field that is left out has the default of its struct, whatever ClickHouse would take for it.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from schemas.faults import DeadLetter, ParkedEvent
from schemas.lifecycle import LifecycleEvent, WalletEntry
from schemas.rated import RatedRecord
from streams.clickhouse.statement import quote
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
#: UInt32 and UInt64, which stops at what an int64 holds: nothing counts further.
_SMALL = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
_COUNT = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
#: Columns that are not Int64.
_NARROWER: dict[str, Any] = {
    **dict.fromkeys(("part", "parts", "epoch", "revision", "element"), _SMALL),
    **dict.fromkeys(("n", "status_version"), _COUNT),
}
#: How a field's type is kept in a column: bytes stay the base64 they are in JSON, an object stays JSON.
_KEPT_AS: dict[Any, Any] = {int: _INT64, bytes: str, tuple[str, ...]: list[str], dict[str, str]: msgspec.Raw}
_COLUMN_TYPES: dict[Any, str] = {
    _INT64: "Int64",
    bool: "UInt8",
    str: "String",
    list[str]: "Array(String)",
    msgspec.Raw: "String",
}


class Table:
    """One table's columns and its rows' exact shape."""

    def __init__(self, name: str, struct: type[msgspec.Struct]) -> None:
        fields = msgspec.structs.fields(struct)
        self.name = name
        self.columns = [field.name for field in fields]
        kinds = [_NARROWER.get(field.name, _KEPT_AS.get(field.type, field.type)) for field in fields]
        defaults = [_default(field) for field in fields]
        #: A column is an object of JSON, kept as text.
        self.has_raw = msgspec.Raw in kinds
        definition: list[Any] = [
            (field.name, kind) if field.required else (field.name, kind, default)
            for field, kind, default in zip(fields, kinds, defaults, strict=True)
        ]
        self.row = msgspec.defstruct(f"{struct.__name__}Row", definition, kw_only=True, gc=False)
        #: Decodes one value; raises what blocks.MISFIT has, with the field's name and what is wrong with it.
        self.decode = msgspec.json.Decoder(self.row).decode
        self.types = [_column_type(name, kind) for name, kind in zip(self.columns, kinds, strict=True)]
        #: For ClickHouse's table functions: names, types, and what a missing field means.
        self.structure = ", ".join(
            f"{field.name} {kind}" + ("" if field.required else f" DEFAULT {_literal(default)}")
            for field, kind, default in zip(fields, self.types, defaults, strict=True)
        )


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.type == dict[str, str]:
        return msgspec.Raw(b"{}")
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def _column_type(name: str, kind: Any) -> str:
    if name in _NARROWER:
        return "UInt64" if _NARROWER[name] is _COUNT else "UInt32"
    return _COLUMN_TYPES[kind]


def _literal(default: Any) -> str:
    """A default as ClickHouse writes it."""
    if isinstance(default, bool | int):
        return str(int(default))
    if isinstance(default, list | tuple):
        return f"[{', '.join(map(_literal, default))}]"
    return quote(bytes(default).decode() if isinstance(default, msgspec.Raw) else default)


TABLES = {name: Table(name, struct) for name, struct in _STRUCTS.items()}
