"""Whatever the bytes, they become usage or an error that says what is wrong: nothing else is raised."""

import random

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rater.identity import fingerprint, identity
from schemas.checks import check
from schemas.decode import FORMATS, RAW_MAX_BYTES, UsageError, decode_kafka, decode_usage, decoder
from schemas.fates import Reason
from schemas.shape import Shapes
from schemas.usage import Usage
from tests.schemas.adapters.test_cloudevents import STRUCTURED
from tests.schemas.events import EMNIFY, PLAIN, VOICE, raw

GOOD = [
    raw(PLAIN),
    raw(VOICE),
    raw(EMNIFY),
    raw(STRUCTURED),
    raw([PLAIN, EMNIFY]),
    msgspec.json.encode(decode_usage(raw(VOICE))),
]

JUNK = st.binary(max_size=30) | st.sampled_from(
    [
        b"\0",
        b"\\u0000",
        b'"',
        b"null",
        b"-",
        b"1e999",
        b"{",
        b"}",
        b"[",
        b"]",
        b"\\ud800",
        b"\xff",
        b"9" * 400,
        b"true",
        b":",
    ]
)


def judged(data: bytes, format: str, headers: list[tuple[str, bytes]] | None = None) -> None:
    decode = decoder(format, "acme", "feed")
    results = decode_kafka(data, headers, decode) if headers else decode(data)
    assert results
    for result in results:
        if isinstance(result, UsageError):
            assert result.detail
            assert result.reason in (Reason.MALFORMED, Reason.INVALID, Reason.TOO_LARGE)
            assert all(isinstance(part, str) and len(part) <= 256 for part in result.identity)
        else:
            # What passes can be hashed, written and read again.
            identity(result.tenant, result.source, result.id)
            shape = Shapes().of(result, result.called_number).text
            fingerprint(shape, result.called_number, "s", result.session_id, result.quantity, result.start_ms, 0)
            assert msgspec.json.decode(msgspec.json.encode(result), type=Usage) == check(result)


@given(st.binary(max_size=200), st.sampled_from(FORMATS))
@example(b'{"id": ' + b"[" * 100_000, "auto")
@example(b"[" * 100_000, "auto")
@example(b'{"id": ' + b"9" * 5000 + b"}", "emnify")
@example(b"\xef\xbb\xbf{}", "usage")
def test_any_bytes_at_all(data: bytes, format: str) -> None:
    judged(data, format)


@given(st.sampled_from(GOOD), st.integers(0, 2000), st.integers(0, 40), JUNK, st.sampled_from(FORMATS))
def test_good_records_with_a_piece_replaced(good: bytes, at: int, length: int, junk: bytes, format: str) -> None:
    at %= len(good)
    judged(good[:at] + junk + good[at + length :], format)


@given(st.lists(st.tuples(st.sampled_from(["ce_specversion", "ce_id", "ce_type", "ce_source", "content-type"]), JUNK)))
def test_any_headers_at_all(headers: list[tuple[str, bytes]]) -> None:
    judged(raw(PLAIN), "auto", [("ce_specversion", b"1.0"), *headers])


@pytest.mark.parametrize("good", GOOD)
def test_a_record_that_was_cut_off_is_malformed_wherever_it_was_cut(good: bytes) -> None:
    for end in random.Random(1).sample(range(len(good)), 60):
        (wrong,) = decoder("auto", "acme")(good[:end])
        assert isinstance(wrong, UsageError)
        assert wrong.reason is Reason.MALFORMED


def test_a_record_is_read_up_to_the_limit_and_refused_past_it() -> None:
    (good,) = decoder("usage")(raw(PLAIN).ljust(RAW_MAX_BYTES))
    (wrong,) = decoder("usage")(raw(PLAIN).ljust(RAW_MAX_BYTES + 1))
    assert good == decode_usage(raw(PLAIN))
    assert isinstance(wrong, UsageError)
    assert (wrong.reason, wrong.field) == (Reason.TOO_LARGE, "")


def test_a_parked_event_decodes_to_the_event_it_was() -> None:
    usage = decode_usage(raw(VOICE))
    assert decoder("normalised")(msgspec.json.encode(usage)) == [usage]


def test_a_format_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match='no format "tap3"'):
        decoder("tap3")


def test_an_error_reads_as_a_sentence() -> None:
    with pytest.raises(UsageError, match=r"^volume_byte: unknown field; is it a typing error"):
        decode_usage(raw({**PLAIN, "volume_byte": 5}))


@pytest.mark.parametrize("word", ["specversion", "traffic_type", "start_timestamp", "row_error"])
def test_an_event_in_plain_json_may_say_what_other_formats_are_told_by(word: str) -> None:
    event = raw({**VOICE, "id": word})
    assert decoder("auto")(event) == decoder("usage")(event)
    assert isinstance(decoder("auto")(event)[0], Usage)
