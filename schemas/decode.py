"""From raw bytes to usage events: the one entry to every format.

`decoder(format)` answers a function from one raw record to the events in it, each a `Usage` or the `UsageError` that
says what is wrong with it. A JSON array holds several events; a bad one costs the others nothing. Whatever the bytes,
nothing else is ever raised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from schemas.adapters import cloudevents, usage_json
from schemas.adapters.csv_records import ROW_ERROR
from schemas.adapters.emnify import EMNIFY
from schemas.adapters.once import ONCE, is_once
from schemas.adapters.streamer import Dialect, decode_record, decode_row
from schemas.checks import TEXT_MAX, check
from schemas.errors import Identity, UsageError, explain
from schemas.fates import Reason
from schemas.usage import Usage

__all__ = ["FORMATS", "RAW_MAX_BYTES", "Decoder", "UsageError", "decode_kafka", "decode_usage", "decoder"]

#: Larger records are refused unread: an event takes about 1 kB, so this is an array of a thousand.
RAW_MAX_BYTES: Final = 1024 * 1024

#: Longer arrays are refused whole: half a million bad elements fit into a record, each a dead letter of its own.
ARRAY_MAX: Final = 5_000

#: "normalised" is a Usage as it stands in parked events; "auto" tells the others apart by their fields.
FORMATS: Final = ("usage", "cloudevents", "emnify", "1nce", "auto", "normalised")

_DIALECTS: Final = {"emnify": EMNIFY, "1nce": ONCE}

Result = Usage | UsageError

_elements: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_normalised: Final = msgspec.json.Decoder(Usage).decode


class _Named(msgspec.Struct):
    """What can be read of an identity where the rest is wrong."""

    tenant: Any = ""
    source: Any = ""
    id: Any = ""


_named: Final = msgspec.json.Decoder(_Named).decode


class Decoder:
    """Decodes raw records of one format. `tenant` and `source` stand in where the format carries none."""

    def __init__(self, format: str, tenant: str = "", source: str = "") -> None:
        one: dict[str, Callable[[bytes], Usage]] = {
            "usage": usage_json.decode,
            "cloudevents": self._cloudevent,
            "emnify": lambda raw: self._streamer(raw, EMNIFY),
            "1nce": lambda raw: self._streamer(raw, ONCE),
            "auto": self._auto,
            "normalised": lambda raw: check(_normalised(raw)),
        }
        if format not in one:
            raise ValueError(f'no format "{format}"; there are {", ".join(FORMATS)}')
        self.format = format
        self.tenant = tenant
        self.source = source
        self._decode = one[format]

    def __call__(self, raw: bytes) -> list[Result]:
        """The events of one raw record, in order."""
        if len(raw) > RAW_MAX_BYTES:
            detail = f"{len(raw)} bytes; a record has at most {RAW_MAX_BYTES}"
            return [UsageError("", detail, Reason.TOO_LARGE, (self.tenant, self.source, ""))]
        if _is_array(raw):
            return self._array(raw)
        return [self._one(raw)]

    def record(self, raw: bytes) -> Usage | None:
        """A Data Streamer record of an event by itself, as the call answers it; None for all others, and wrong ones."""
        if raw[:1] != b"{" or len(raw) > RAW_MAX_BYTES:
            return None
        dialect = _DIALECTS.get(self.format)
        if dialect is None:
            if self.format != "auto" or not _is_streamer(raw):
                return None
            # No need to ask whether it is plain JSON all the same: that has none of the fields it cannot do without.
            dialect = ONCE if is_once(raw) else EMNIFY
        try:
            return self._streamer(raw, dialect)
        except (ValueError, RecursionError):
            return None

    @staticmethod
    def elements(raw: bytes) -> list[bytes]:
        """The elements of an array, each to be decoded by itself; any other record, and a bad array, as it is."""
        if not _is_array(raw) or len(raw) > RAW_MAX_BYTES:
            return [raw]
        try:
            elements = _elements(raw)
        except (ValueError, RecursionError):
            return [raw]
        return [bytes(element) for element in elements] if 0 < len(elements) <= ARRAY_MAX else [raw]

    def _one(self, raw: bytes) -> Result:
        try:
            return self._decode(raw)
        except (ValueError, RecursionError) as error:
            return self.explained(error, raw)

    def _array(self, raw: bytes) -> list[Result]:
        try:
            elements = _elements(raw)
        except (ValueError, RecursionError) as error:
            return [self.explained(error, raw)]
        if not elements:
            return [UsageError("", "an empty array holds no event", Reason.MALFORMED, (self.tenant, self.source, ""))]
        if len(elements) > ARRAY_MAX:
            detail = f"{len(elements)} events; an array has at most {ARRAY_MAX}"
            return [UsageError("", detail, Reason.TOO_LARGE, (self.tenant, self.source, ""))]
        return [self._one(bytes(element)) for element in elements]

    def explained(self, error: Exception, raw: bytes) -> UsageError:
        """What was raised as a UsageError, with as much of the identity as can be read."""
        wrong = explain(error)
        if wrong.reason == Reason.INVALID:
            wrong = _malformed(raw) or wrong
        tenant, source, id_ = wrong.identity
        if not id_:
            tenant, source, id_ = _read_identity(raw)
        source = source or self.source or self._platform(raw)
        wrong.identity = ((tenant or self.tenant)[:TEXT_MAX], source[:TEXT_MAX], id_[:TEXT_MAX])
        return wrong

    def _platform(self, raw: bytes) -> str:
        """The source that a Data Streamer record has by default; "" of any other."""
        if self.format == "auto" and _is_streamer(raw):
            return (ONCE if is_once(raw) else EMNIFY).source
        return self.format if self.format in (EMNIFY.source, ONCE.source) else ""

    def _auto(self, raw: bytes) -> Usage:
        is_streamer = _is_streamer(raw)
        if not (is_streamer or b'"specversion"' in raw) or _is_plain(raw):
            return usage_json.decode(raw)
        return self._streamer(raw, ONCE if is_once(raw) else EMNIFY) if is_streamer else self._cloudevent(raw)

    def _cloudevent(self, raw: bytes) -> Usage:
        return cloudevents.decode(raw, self.tenant)

    def _streamer(self, raw: bytes, dialect: Dialect) -> Usage:
        decode = decode_row if _is_row(raw) else decode_record
        try:
            return decode(raw, self.tenant, self.source, dialect)
        except (ValueError, RecursionError):
            if b'"row_error"' in raw:
                _refuse_broken_row(raw)  # that it is broken says more than which field is missing
            raise


def _is_array(raw: bytes) -> bool:
    return raw[:1] != b"{" and raw.lstrip()[:1] == b"["


def decoder(format: str, tenant: str = "", source: str = "") -> Decoder:
    """A function from one raw record to its events: list[Usage | UsageError]. An unknown format is a ValueError."""
    return Decoder(format, tenant, source)


def decode_usage(raw: bytes) -> Usage:
    """Decode one event in plain JSON; raises UsageError."""
    result = Decoder("usage")._one(raw)
    if isinstance(result, UsageError):
        raise result
    return result


def decode_kafka(raw: bytes, headers: Sequence[tuple[str, bytes]], decode: Decoder) -> list[Result]:
    """The events of a Kafka record: a CloudEvent in binary or structured mode by its headers, else as `decode` does."""
    if cloudevents.is_binary(headers):
        if len(raw) > RAW_MAX_BYTES:
            return decode(raw)
        try:
            return [cloudevents.decode_binary(raw, headers, decode.tenant)]
        except (ValueError, RecursionError) as error:
            return [decode.explained(error, raw)]
    for name, value in headers:
        # A Kafka header may have no value at all.
        if name == "content-type" and (value or b"").startswith(b"application/cloudevents+json"):
            return Decoder("cloudevents", decode.tenant, decode.source)(raw)
    return decode(raw)


def _is_streamer(raw: bytes) -> bool:
    """Whether a record has fields that only the Data Streamer's have, or is a row of its CSV files."""
    return b'"traffic_type' in raw or b'"start_timestamp"' in raw or b'"row_error"' in raw


def _is_row(raw: bytes) -> bool:
    """Whether a Data Streamer record is a row of its CSV files: they have no `traffic_type`, which comes early."""
    first = raw.find(b'"traffic_type')
    return not raw.startswith(b'"traffic_type"', first) and b'"traffic_type_id"' in raw


def _is_plain(raw: bytes) -> bool:
    """Whether it is plain JSON all the same: an id or a name may say what other formats are told by."""
    if b'"start_time"' not in raw:
        return False
    try:
        usage_json.quick(raw)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_broken_row(raw: bytes) -> None:
    if wrong := msgspec.json.decode(raw, type=dict[str, Any]).get(ROW_ERROR):
        raise UsageError("row", str(wrong)[:200], Reason.MALFORMED)


def _malformed(raw: bytes) -> UsageError | None:
    """What is wrong with the JSON as such: a record that was cut off is that, whatever field the decoder was at."""
    try:
        raw.decode()
        # Read over, not evaluated: a number may be as large as it likes here.
        msgspec.json.decode(raw, type=msgspec.Raw)
    except (ValueError, RecursionError) as error:
        return explain(error)
    return None


def _read_identity(raw: bytes) -> Identity:
    try:
        named = _named(raw)
    except (ValueError, RecursionError):
        return "", "", ""
    return _text(named.tenant), _text(named.source), _text(named.id)


def _text(value: object) -> str:
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
