"""Plain JSON: each field as it is, each wrong field by its name."""

import pytest

from schemas.decode import UsageError, decode_usage, decoder
from schemas.fates import Reason
from schemas.usage import Usage
from tests.schemas.events import PLAIN, VOICE, raw, with_value, without


def test_every_field_arrives_and_times_become_utc_milliseconds() -> None:
    assert decode_usage(raw(VOICE)) == Usage(
        tenant="acme", source="switch-1", id="call-7", service="voice", kind="on-net", direction="incoming",
        subscriber="sub-1", iccid="89883030000080139311", imsi="295050901064821", msisdn="+423663920123456",
        session_id="s-1", final=True, mcc="310", mnc="260", country="US", called_number="+4930123456",
        destination_country="DE", duration_ms=132_000, start_ms=1_792_888_200_125, end_ms=1_792_888_332_125,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tenant", ""), ("tenant", "x" * 257), ("source", "a\0"), ("id", ""), ("id", 5), ("service", "fax"),
        ("kind", ""),
        ("direction", "mo"), ("subscriber", "x" * 257), ("iccid", "8" * 17), ("iccid", "8" * 23),
        ("iccid", "8" * 18 + "a"),
        ("imsi", "1" * 5), ("imsi", "1" * 16), ("imsi", "٢" * 15), ("msisdn", "4930123456"), ("msisdn", "+0301234"),
        ("msisdn", "+1234"), ("msisdn", "+" + "1" * 16), ("msisdn", "+49 3012345"), ("session_id", ""),
        ("session_id", "\0"),
        ("final", "true"), ("mcc", "26"), ("mcc", "2620"), ("mcc", "26a"), ("mnc", "1"), ("mnc", "0001"),
        ("country", "ZZ"),
        ("country", "de"), ("country", "DEU"), ("called_number", "+"), ("called_number", "1" * 9),
        ("called_number", "11a"),
        ("destination_country", ""), ("duration_ms", -1), ("duration_ms", 2**53 + 1), ("duration_ms", 1.5),
        ("duration_ms", "1"), ("duration_ms", True), ("start_time", "2026-10-25T02:30:00"),
        ("start_time", "1999-12-31T00:00Z"),
        ("start_time", "1970-01-01T00:00:00Z"), ("start_time", 1_792_888_200), ("end_time", "2026-10-25T00:30:00Z"),
        ("end_time", "2029-10-25T00:30:00Z"), ("end_time", "2026-13-01T00:00:00Z"), ("durationms", 4),
        ("volume_bytes", 4),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(field: str, value: object) -> None:
    with pytest.raises(UsageError) as caught:
        decode_usage(raw({**VOICE, field: value}))
    assert (caught.value.field, caught.value.reason) == (field, Reason.INVALID)
    assert caught.value.detail


@pytest.mark.parametrize("field", ["tenant", "source", "id", "service", "start_time", "end_time", "duration_ms"])
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(UsageError, match=f"^{field}: missing"):
        decode_usage(raw(without(VOICE, field)))


def test_a_network_code_needs_its_country_code() -> None:
    with pytest.raises(UsageError, match=r"^mcc: missing"):
        decode_usage(raw(without(VOICE, "mcc")))


def test_an_event_of_nobody_is_refused() -> None:
    nobody = VOICE
    for field in ("subscriber", "iccid", "imsi", "msisdn"):
        nobody = without(nobody, field)
    with pytest.raises(UsageError, match=r"^subscriber: no subscriber"):
        decode_usage(raw(nobody))


@pytest.mark.parametrize("number", ["112", "*100#", "+49301234567", "11"])
def test_short_codes_are_taken_as_dialled(number: str) -> None:
    assert decode_usage(raw({**VOICE, "called_number": number})).called_number == number


@pytest.mark.parametrize("quantity", [0, 1, 2**53])
def test_quantities_from_nothing_to_two_to_the_53(quantity: int) -> None:
    assert decode_usage(raw({**VOICE, "duration_ms": quantity})).quantity == quantity


def test_the_year_9999_is_a_time_which_intake_then_refuses_as_future() -> None:
    event = {**VOICE, "start_time": "9999-12-31T23:59:59-05:00", "end_time": "9999-12-31T23:59:59.999-05:00"}
    assert decode_usage(raw(event)).start_ms == 253_402_318_799_000


def test_an_error_says_whose_event_it_was() -> None:
    (wrong,) = decoder("usage")(raw(with_value(PLAIN, "volume_bytes", -1)))
    assert isinstance(wrong, UsageError)
    assert wrong.identity == ("demo", "probe", "damaged-1")


def test_an_error_of_an_event_without_a_readable_identity_says_nothing_of_it() -> None:
    (wrong,) = decoder("usage")(raw({**PLAIN, "id": {"a": 1}}))
    assert isinstance(wrong, UsageError)
    assert wrong.identity == ("demo", "probe", "")
