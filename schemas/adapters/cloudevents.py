"""CloudEvents 1.0 around a usage event: structured JSON, and the binary mode of the Kafka protocol binding.

`source` and `id` are the event's identity and `tenant` is an extension attribute; `data` is a usage event in plain
JSON without them. Where `data` repeats one of the three it must say the same.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from schemas.adapters.usage_json import NAMES, Text, UsageBody, to_usage
from schemas.checks import check
from schemas.errors import UsageError, explain
from schemas.usage import Usage

Headers = Sequence[tuple[str, bytes]]


class CloudEventData(UsageBody, kw_only=True, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    """The data of a usage CloudEvent: a usage event whose identity may stand in the attributes only."""

    tenant: Text | None = None
    source: Text | None = None
    id: Text | None = None


class CloudEvent(msgspec.Struct, kw_only=True, gc=False):
    """The attributes that matter here; others are allowed by the specification and left aside."""

    specversion: Literal["1.0"]
    id: Text
    source: Text
    type: Annotated[str, Meta(min_length=1)]
    tenant: Text | None = None
    datacontenttype: str | None = None
    data: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    data_base64: bytes | None = None


_decode_event: Final = msgspec.json.Decoder(CloudEvent).decode
_decode_data: Final = msgspec.json.Decoder(CloudEventData).decode

_IDENTITY: Final = ("tenant", "source", "id")
_DATA_NAMES: Final = {
    field: f"data.{NAMES.get(field, field)}" for field in Usage.__struct_fields__ if field not in _IDENTITY
}
_HEADER_NAMES: Final = NAMES | {field: f"ce_{field}" for field in _IDENTITY}


def decode(raw: bytes, tenant: str = "") -> Usage:
    """Decode a structured event. `tenant` stands in where neither attributes nor data name one."""
    event = _decode_event(raw)
    _check_content_type(event.datacontenttype, "datacontenttype")
    data = bytes(event.data) if event.data_base64 is None else event.data_base64
    if data in (b"", b"null"):
        raise UsageError("data", "missing", identity=(event.tenant or tenant, event.source, event.id))
    attributes = {"tenant": event.tenant, "source": event.source, "id": event.id}
    return _usage(data, attributes, tenant, "data.", _DATA_NAMES)


def is_binary(headers: Headers) -> bool:
    """Whether a Kafka record is a CloudEvent in binary mode."""
    return any(name == "ce_specversion" for name, _ in headers)


def decode_binary(raw: bytes, headers: Headers, tenant: str = "") -> Usage:
    """Decode a Kafka record whose headers are the attributes and whose value is the data."""
    texts = _texts(headers)
    if texts["ce_specversion"] != "1.0":
        raise UsageError("ce_specversion", f"{ascii(texts['ce_specversion'])[:40]} is not 1.0")
    for name in ("ce_id", "ce_source", "ce_type"):
        if not texts.get(name):
            raise UsageError(name, "missing", identity=_identity(texts, tenant))
    _check_content_type(texts.get("content-type"), "content-type")
    attributes = {"tenant": texts.get("ce_tenant") or None, "source": texts["ce_source"], "id": texts["ce_id"]}
    return _usage(raw, attributes, tenant, "", _HEADER_NAMES)


def _usage(
    raw: bytes, attributes: Mapping[str, str | None], tenant: str, prefix: str, names: Mapping[str, str]
) -> Usage:
    source, id_ = attributes["source"] or "", attributes["id"] or ""
    known = (attributes["tenant"] or tenant, source, id_)
    try:
        data = _decode_data(raw)
    except (ValueError, RecursionError) as error:
        wrong = explain(error, prefix)
        raise UsageError(wrong.field, wrong.detail, wrong.reason, known) from error
    for field in _IDENTITY:
        said, attribute = getattr(data, field), attributes[field]
        if said is not None and attribute is not None and said != attribute:
            raise UsageError(prefix + field, "differs from the attribute of the same name", identity=known)
    return check(to_usage(data, attributes["tenant"] or data.tenant or tenant, source, id_), names)


def _texts(headers: Headers) -> dict[str, str]:
    texts = {}
    for name, value in headers:
        if name.startswith("ce_") or name == "content-type":
            try:
                texts[name] = bytes(value or b"").decode()
            except UnicodeDecodeError as error:
                raise UsageError(name, "not valid UTF-8") from error
    return texts


def _identity(texts: Mapping[str, str], tenant: str) -> tuple[str, str, str]:
    return texts.get("ce_tenant") or tenant, texts.get("ce_source", ""), texts.get("ce_id", "")


def _check_content_type(text: str | None, field: str) -> None:
    if text:
        media = text.partition(";")[0].strip().lower()
        if media != "application/json" and not media.endswith("+json"):
            raise UsageError(field, f"{ascii(media)[:60]} is not JSON")
