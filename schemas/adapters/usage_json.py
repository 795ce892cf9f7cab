"""A usage event as plain JSON: the fields of schemas.usage.Usage, with its times written out (RFC 3339, with zone).

An unknown field is refused by its name, so that a typing error is not lost.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from schemas.checks import QUANTITY_MAX, check, unix_ms
from schemas.usage import Direction, Service, Usage

Text = Annotated[str, Meta(min_length=1, max_length=256)]
Time = Annotated[datetime, Meta(tz=True, description="RFC 3339 with a zone.")]
Quantity = Annotated[int, Meta(ge=0, le=QUANTITY_MAX)]


def _digits(pattern: str, description: str) -> Meta:
    """For the JSON Schema only: `schemas.checks` does the check, several times faster than a regular expression."""
    return Meta(description=description, extra_json_schema={"pattern": pattern})


Country = Annotated[str, _digits("^[A-Z]{2}$", "ISO 3166-1 alpha-2, or XK for Kosovo.")]


class UsageBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    """What was used, by whom, where and when; all of an event but its identity."""

    service: Service
    start_time: Time
    end_time: Time
    kind: Annotated[Text | None, Meta(description="sms, whatsapp, email ... for messages; free elsewhere.")] = None
    direction: Direction = "outgoing"
    subscriber: Annotated[Text | None, Meta(description="The platform's own id of the subscriber.")] = None
    iccid: Annotated[str, _digits("^[0-9]{18,22}$", "ITU-T E.118.")] | None = None
    imsi: Annotated[str, _digits("^[0-9]{6,15}$", "ITU-T E.212.")] | None = None
    msisdn: Annotated[str, _digits(r"^\+[1-9][0-9]{4,14}$", "E.164.")] | None = None
    session_id: Text | None = None
    final: Annotated[bool, Meta(description="The session's last record, where that is known.")] = False
    mcc: Annotated[str, _digits("^[0-9]{3}$", "Visited network's country code (E.212).")] | None = None
    mnc: Annotated[str, _digits("^[0-9]{2,3}$", "Visited network's own code; needs mcc.")] | None = None
    country: Country | None = None
    called_number: (
        Annotated[str, _digits(r"^(\+[1-9][0-9]{4,14}|[0-9*#]{2,8})$", "E.164, or a short code as dialled.")] | None
    ) = None
    destination_country: Country | None = None
    volume_bytes: Annotated[Quantity | None, Meta(description="For data; new since the session's last record.")] = None
    duration_ms: Annotated[Quantity | None, Meta(description="For voice; new since the last record.")] = None
    message_count: Annotated[Quantity | None, Meta(description="For messages.")] = None


class UsageEvent(UsageBody, kw_only=True, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    """One usage event. Exactly one quantity is given, the one of its service; at least one subscriber id."""

    tenant: Text
    source: Text
    id: Text


#: How an event in plain JSON calls the fields of Usage, where that differs.
NAMES: Final = {"start_ms": "start_time", "end_ms": "end_time"}

_decode: Final = msgspec.json.Decoder(UsageEvent).decode


def decode(raw: bytes) -> Usage:
    """Decode one event; raises UsageError or what the JSON decoder raises."""
    event = _decode(raw)
    return check(to_usage(event, event.tenant, event.source, event.id), NAMES)


def quick(raw: bytes) -> UsageEvent:
    """Decode one event without checking what only `check` does; raises what the JSON decoder raises.

    The decoder itself has checked types, the names of fields, and the lengths of texts and sizes of numbers.
    """
    return _decode(raw)


def normalised(event: Usage | UsageEvent, start_ms: int, end_ms: int) -> Usage:
    """An event that was decoded quickly, or is a Usage already, in the one normalised form."""
    if isinstance(event, Usage):
        return event
    return _usage(event, event.tenant, event.source, event.id, start_ms, end_ms)


def to_usage(body: UsageBody, tenant: str, source: str, id_: str) -> Usage:
    """The normalised event, not yet checked."""
    return _usage(body, tenant, source, id_, unix_ms(body.start_time), unix_ms(body.end_time))


def _usage(body: UsageBody, tenant: str, source: str, id_: str, start_ms: int, end_ms: int) -> Usage:
    return Usage(
        tenant,
        source,
        id_,
        body.service,
        start_ms,
        end_ms,
        body.kind,
        body.direction,
        body.subscriber,
        body.iccid,
        body.imsi,
        body.msisdn,
        body.session_id,
        body.final,
        body.mcc,
        body.mnc,
        body.country,
        body.called_number,
        body.destination_country,
        body.volume_bytes,
        body.duration_ms,
        body.message_count,
    )
