"""`POST /v1/usage`: events in, one answer for each, given only when it is safe.

A request is checked as a whole first: JSON, so many events, each with its identity, all of the key's tenant. If that
fails nothing was taken. From there on each event is judged alone, and a bad one costs the others nothing.

The bytes of an event go to the pipeline as they came, except that the key's tenant is written in where none is named.
Then no decoder behind this one finds another tenant: in a CloudEvent, one that stands in `data` must be the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec import UNSET

from rater.money import format_nanos
from rater.pipeline.batch import RawEvent
from rater.pipeline.tally import Verdict
from schemas.decode import RAW_MAX_BYTES
from schemas.fates import Fate
from streams.http.endpoint import JSON, Call, Endpoint, NoForm
from streams.http.first import first_told
from streams.http.flow import DOOR
from streams.http.forms import CloudEventIn, CloudEvents, Events, EventVerdict, UsageIn, UsageVerdicts
from streams.http.keys import TENANT
from streams.http.problems import Problem, of_decoding
from streams.http.whose import check_usage

CLOUDEVENT, CLOUDEVENTS = "application/cloudevents+json", "application/cloudevents-batch+json"


class _Identity(msgspec.Struct, gc=False):
    tenant: Any = UNSET
    source: Any = UNSET
    id: Any = UNSET


_decode_one = msgspec.json.Decoder(_Identity).decode
_decode_many = msgspec.json.Decoder(list[_Identity]).decode
_decode_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode
#: Most events of a batch cost one of a few amounts.
_money = lru_cache(4096)(format_nanos)


async def take(call: Call[NoForm]) -> UsageVerdicts:
    """Decide the events of a request."""
    media = call.headers["content-type"].partition(";")[0].strip().lower()
    binary = media == JSON and "ce-specversion" in call.headers
    format = "cloudevents" if media != JSON or binary else "usage"
    values, identities = _split(call.body, media)
    if len(values) > call.desk.settings.batch_max:
        detail = f"{len(values)} events; a request has at most {call.desk.settings.batch_max}"
        raise Problem("too-large", detail)
    headers = _attributes(call, identities[0]) if binary else ()
    prefix = b'{"tenant":' + msgspec.json.encode(call.tenant) + b","
    events = []
    for index, identity in enumerate(identities):
        raw = bytes(values[index])
        if identity.tenant is UNSET and call.tenant and not binary:
            raw = prefix + raw[1:]
        else:
            _check_tenant(call, identity.tenant, index, len(values))
        if len(raw) > RAW_MAX_BYTES:
            raise Problem("too-large", f"an event has at most {RAW_MAX_BYTES} bytes", _at(index, len(values), ""))
        if identity.source.__class__ is not str or identity.id.__class__ is not str:
            _refuse_nameless(identity, index, len(values))
        events.append(RawEvent(raw, DOOR, 0, headers))
    if call.is_bound:
        await check_usage(call, format, events)
    if call.idempotency_key:  # the events remember themselves; it only has to be the same request
        content = blake2b(call.body, digest_size=16).hexdigest()
        await call.desk.claims.claim(call.tenant, call.idempotency_key, call.subject, content)
    verdicts = await call.desk.flow.decide(events, format)
    return await _answer(call, identities, verdicts)


def _split(body: bytes, media: str) -> tuple[Sequence[bytes | msgspec.Raw], list[_Identity]]:
    """The events of a body, each as its bytes and as far as it says who it is."""
    many = body.lstrip()[:1] == b"["
    if many != (media == CLOUDEVENTS) and media != JSON:
        raise Problem("invalid", f"{media} is {'an array' if media == CLOUDEVENTS else 'one object'}")
    try:
        if not many:
            return [body.lstrip()], [_decode_one(body)]
        identities = _decode_many(body)
        values = _decode_raws(body)
    except (ValueError, RecursionError) as error:
        raise of_decoding(error) from error
    if not values:
        raise Problem("invalid", "an empty array holds no event")
    return values, identities


def _check_tenant(call: Call[NoForm], tenant: Any, index: int, count: int) -> None:
    if tenant is UNSET:
        if call.tenant:
            return
        raise Problem("invalid", "missing; this key is of no tenant", _at(index, count, "tenant"))
    if not isinstance(tenant, str) or not TENANT.fullmatch(tenant):
        raise Problem("invalid", 'is no name of a tenant (text without "/" and ":")', _at(index, count, "tenant"))
    if call.tenant not in ("", tenant):
        raise Problem("not-allowed", f"this key is of {call.tenant}", _at(index, count, "tenant"))


def _refuse_nameless(identity: _Identity, index: int, count: int) -> None:
    name = "id" if isinstance(identity.source, str) else "source"
    detail = "needed as text: with it a repeat of the event is known, and is charged once"
    raise Problem("invalid", detail, _at(index, count, name))


def _at(index: int, count: int, name: str) -> str:
    """The path of a field of one event."""
    return name if count == 1 else f"/{index}/{name}".rstrip("/")


def _attributes(call: Call[NoForm], identity: _Identity) -> Sequence[tuple[str, bytes]]:
    """The attributes of a CloudEvent in binary mode, named as over Kafka; the identity is theirs."""
    found = {name: unquote(value) for name, value in call.headers.items() if name.startswith("ce-")}
    identity.tenant = found.get("ce-tenant", UNSET)
    identity.source, identity.id = found.get("ce-source", UNSET), found.get("ce-id", UNSET)
    found.setdefault("ce-tenant", call.tenant)
    return [(name.replace("ce-", "ce_", 1), value.encode()) for name, value in found.items()]


async def _answer(call: Call[NoForm], identities: Sequence[_Identity], verdicts: Sequence[Verdict]) -> UsageVerdicts:
    answers = [
        EventVerdict(
            identity.source,
            identity.id,
            verdict.fate.label,
            verdict.reason.label if verdict.reason else "",
            verdict.detail,
            _money(verdict.charged_nanos),
            verdict.currency,
            _money(verdict.uncovered_nanos) if verdict.uncovered_nanos else "",
            verdict.first is not None,
        )
        for identity, verdict in zip(identities, verdicts, strict=True)
    ]
    if any(verdict.fate is Fate.DUPLICATE for verdict in verdicts):
        await first_told(call.desk.engine.clickhouse, call.tenant, identities, verdicts, answers)
    return UsageVerdicts(answers, dict(Counter([answer.fate for answer in answers])))


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/usage",
        handler=take,
        scope="ingest",
        summary="Send usage events; each is answered once it is debited and recorded",
        answer=UsageVerdicts,
        any_tenant=True,
        may_be_keyed=True,
        raw={JSON: UsageIn | Events, CLOUDEVENT: CloudEventIn, CLOUDEVENTS: CloudEvents},
        problems=(403, 404),
    ),
)
