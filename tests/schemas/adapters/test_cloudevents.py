"""CloudEvents: whichever way an event is wrapped, it is the same event."""

import base64
from typing import Any

import pytest

from schemas.decode import UsageError, decode_kafka, decode_usage, decoder
from schemas.fates import Reason
from schemas.usage import Usage
from tests.schemas.events import PLAIN, VOICE, raw, without

DATA = without(without(without(VOICE, "tenant"), "source"), "id")
STRUCTURED: dict[str, Any] = {
    "specversion": "1.0", "type": "com.example.usage", "source": "switch-1", "id": "call-7", "tenant": "acme",
    "time": "2026-10-25T00:32:12Z", "datacontenttype": "application/json", "traceparent": "00-4bf9", "data": DATA,
}  # fmt: skip
HEADERS = [
    ("ce_specversion", b"1.0"), ("ce_type", b"com.example.usage"), ("ce_source", b"switch-1"), ("ce_id", b"call-7"),
    ("ce_tenant", b"acme"), ("content-type", b"application/json; charset=utf-8"),
]  # fmt: skip


def headers(**changed: bytes | None) -> list[tuple[str, bytes]]:
    merged = dict(HEADERS) | {name.replace("__", "-"): value for name, value in changed.items()}
    return [(name, value) for name, value in merged.items() if value is not None]


@pytest.mark.parametrize("format", ["cloudevents", "auto"])
@pytest.mark.parametrize(
    "event",
    [
        STRUCTURED,
        STRUCTURED | {"data": VOICE},
        without(STRUCTURED, "data") | {"data_base64": base64.b64encode(raw(DATA)).decode()},
        without(STRUCTURED, "tenant") | {"data": VOICE},
    ],
)
def test_structured_mode_is_the_plain_event(format: str, event: dict[str, Any]) -> None:
    assert decoder(format)(raw(event)) == [decode_usage(raw(VOICE))]


@pytest.mark.parametrize("data", [DATA, VOICE])
def test_binary_mode_is_the_plain_event(data: dict[str, Any]) -> None:
    assert decode_kafka(raw(data), HEADERS, decoder("auto")) == [decode_usage(raw(VOICE))]


def test_structured_mode_on_kafka_is_known_by_its_content_type() -> None:
    content_type = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
    assert decode_kafka(raw(STRUCTURED), content_type, decoder("emnify")) == [decode_usage(raw(VOICE))]


def test_a_record_with_other_headers_is_in_the_format_of_its_topic() -> None:
    assert decode_kafka(raw(PLAIN), [("trace", b"1")], decoder("usage")) == [decode_usage(raw(PLAIN))]


def test_the_tenant_of_the_door_stands_in() -> None:
    (structured,) = decoder("cloudevents", "acme")(raw(without(STRUCTURED, "tenant")))
    (binary,) = decode_kafka(raw(DATA), headers(ce_tenant=None), decoder("auto", "acme"))
    assert structured == binary == decode_usage(raw(VOICE))


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"specversion": "0.3"}, "specversion"), ({"id": ""}, "id"), ({"source": None}, "source"), ({"type": ""},
        "type"),
        ({"datacontenttype": "application/xml"}, "datacontenttype"), ({"data": None}, "data"),
        ({"data": {**DATA, "id": "call-8"}}, "data.id"), ({"data": {**DATA, "duration_ms": -1}}, "data.duration_ms"),
        ({"data": {**DATA, "duration": 1}}, "data.duration"), ({"data": {**DATA, "iccid": "1"}}, "data.iccid"),
        ({"data": without(DATA, "start_time")}, "data.start_time"), ({"data": 5}, "data"), ({"tenant": 5}, "tenant"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_path(changed: dict[str, Any], field: str) -> None:
    (wrong,) = decoder("cloudevents")(raw(STRUCTURED | changed))
    assert isinstance(wrong, UsageError)
    assert wrong.field == field


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"ce_specversion": b"1.1"}, "ce_specversion"), ({"ce_id": None}, "ce_id"), ({"ce_source": b""}, "ce_source"),
        ({"ce_type": None}, "ce_type"), ({"ce_id": b"\xff"}, "ce_id"), ({"ce_id": b"a\0"}, "ce_id"),
        ({"ce_tenant": None}, "ce_tenant"), ({"content__type": b"text/csv"}, "content-type"),
        ({"ce_source": b"x" * 300}, "ce_source"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_header_is_named(changed: dict[str, bytes | None], field: str) -> None:
    (wrong,) = decode_kafka(raw(DATA), headers(**changed), decoder("auto"))
    assert isinstance(wrong, UsageError)
    assert (wrong.field, wrong.reason) == (field, Reason.INVALID)


def test_what_is_wrong_in_the_value_is_named_with_whose_event_it_was() -> None:
    (wrong,) = decode_kafka(raw({**DATA, "mcc": "1"}), HEADERS, decoder("auto"))
    assert isinstance(wrong, UsageError)
    assert (wrong.field, wrong.identity) == ("mcc", ("acme", "switch-1", "call-7"))


@pytest.mark.parametrize("name", ["content-type", "ce_id", "ce_tenant", "trace"])
@pytest.mark.parametrize("others", [[], HEADERS])
def test_a_header_without_a_value_is_as_good_as_none(name: str, others: list[tuple[str, bytes]]) -> None:
    present: list[tuple[str, bytes]] = [header for header in others if header[0] != name]
    with_null: list[Any] = [*present, (name, None)]
    (first,) = decode_kafka(raw(VOICE), with_null, decoder("auto"))
    (second,) = decode_kafka(raw(VOICE), present, decoder("auto"))
    assert str(first) == str(second)


def test_a_tombstone_is_malformed() -> None:
    (wrong,) = decode_kafka(b"", HEADERS, decoder("auto"))
    assert isinstance(wrong, UsageError)
    assert wrong.reason is Reason.MALFORMED


def test_a_value_too_large_is_refused_in_binary_mode_too() -> None:
    (wrong,) = decode_kafka(b" " * 2_000_000, HEADERS, decoder("auto"))
    assert isinstance(wrong, UsageError)
    assert wrong.reason is Reason.TOO_LARGE


def test_an_array_of_cloudevents_is_several_events() -> None:
    events = decoder("auto")(raw([STRUCTURED, STRUCTURED | {"id": "call-8"}]))
    assert [event.id for event in events if isinstance(event, Usage)] == ["call-7", "call-8"]
