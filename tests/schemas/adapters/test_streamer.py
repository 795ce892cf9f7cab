"""Data Streamer records of emnify and 1NCE: the published samples, exact volumes, and wrong fields by their path."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.adapters.csv_records import CsvRecords
from schemas.adapters.streamer import exact_bytes
from schemas.decode import UsageError, decoder
from schemas.fates import Reason
from schemas.usage import Usage
from tests.schemas.events import EMNIFY, raw, with_value, without

FIXTURES = Path(__file__).parents[2] / "fixtures"


def one(format: str, data: bytes) -> Usage:
    (usage,) = decoder(format, "acme")(data)
    assert isinstance(usage, Usage), usage
    return usage


def refusal(format: str, event: object) -> UsageError:
    (wrong,) = decoder(format, "acme")(raw(event))
    assert isinstance(wrong, UsageError)
    return wrong


@pytest.mark.parametrize("format", ["emnify", "auto"])
def test_the_data_sample_of_emnify(format: str) -> None:
    assert one(format, (FIXTURES / "emnify-data.json").read_bytes()) == Usage(
        tenant="acme", source="emnify", id="333333333333333", service="data", volume_bytes=219_933,
        iccid="89883030000080139311", imsi="295050901064821", msisdn="+423663920123456", mcc="262", mnc="07",
        start_ms=1_650_974_023_000, end_ms=1_708_008_975_260, session_id="722aeb56-c4de-4753-ac23-4f99c1980c5e",
    )  # fmt: skip


@pytest.mark.parametrize("format", ["emnify", "auto"])
def test_the_sms_sample_of_emnify_counts_rx_as_sent_by_the_device(format: str) -> None:
    usage = one(format, (FIXTURES / "emnify-sms.json").read_bytes())
    assert (usage.service, usage.kind, usage.direction, usage.message_count) == ("message", "sms", "outgoing", 1)


@pytest.mark.parametrize("format", ["1nce", "auto"])
def test_the_data_sample_of_1nce(format: str) -> None:
    assert one(format, (FIXTURES / "1nce-data.json").read_bytes()) == Usage(
        tenant="acme", source="1nce", id="1234567890", service="data", volume_bytes=1176, mcc="262", mnc="01",
        iccid="8988280666001000001", imsi="901405101000001", msisdn="+882285101000001",
        start_ms=1_628_513_480_000, end_ms=1_628_513_945_000,
    )  # fmt: skip


@pytest.mark.parametrize("format", ["1nce", "auto"])
def test_the_sms_sample_of_1nce_counts_rx_as_received_by_the_device(format: str) -> None:
    usage = one(format, (FIXTURES / "1nce-sms.json").read_bytes())
    assert (usage.service, usage.kind, usage.direction, usage.message_count) == ("message", "sms", "incoming", 1)


def test_the_data_sample_of_1nce_as_printed_ends_before_it_starts() -> None:
    printed = json.loads((FIXTURES / "1nce-data.json").read_text())
    printed["start_timestamp"], printed["end_timestamp"] = printed["end_timestamp"], printed["start_timestamp"]
    wrong = refusal("1nce", printed)
    assert (wrong.field, wrong.detail, wrong.identity) == (
        "end_timestamp",
        "before the start",
        ("acme", "1nce", "1234567890"),
    )


@pytest.mark.parametrize("format", ["1nce", "auto"])
def test_the_csv_sample_of_1nce(format: str) -> None:
    with (FIXTURES / "1nce-cdr.csv").open("rb") as file:
        first, second = (one(format, row) for row in CsvRecords().take(file))
    assert first == Usage(
        tenant="acme", source="1nce", id="4427264001", service="data", volume_bytes=741, mcc="262", mnc="03",
        iccid="8988280666001000001", imsi="901405101000001", msisdn="+882285101000001",
        start_ms=1_620_731_845_000, end_ms=1_620_731_991_000,
    )  # fmt: skip
    assert (second.id, second.volume_bytes) == ("4427320001", 3210)


def test_a_record_and_its_csv_row_are_the_same_event() -> None:
    record = {
        "id": 4427264001, "traffic_type": {"id": 5}, "volume": {"total": 0.000741, "tx": 0.000395, "rx": 0.000346},
        "sim": {"iccid": "8988280666001000001", "msisdn": "882285101000001"}, "imsi": "901405101000001",
        "operator": {"mnc": "03", "country": {"mcc": "262"}},
        "start_timestamp": "2021-05-11T11:17:25Z", "end_timestamp": "2021-05-11T11:19:51.000Z",
    }  # fmt: skip
    with (FIXTURES / "1nce-cdr.csv").open("rb") as file:
        row = CsvRecords().take(file)[0]
    assert one("1nce", raw(record)) == one("1nce", row)


@given(st.integers(0, 2**53))
def test_a_volume_of_six_decimals_is_the_exact_number_of_bytes(count: int) -> None:
    text = f"{count // 1_000_000}.{count % 1_000_000:06d}"
    assert exact_bytes(Decimal(text)) == count
    record = raw(EMNIFY).replace(b"0.219933", text.encode())
    assert one("emnify", record).volume_bytes == count


@pytest.mark.parametrize(
    "text",
    ["0.2199330", "2.19933e-1", '"0.219933"', "0.21993300000000000000000000000000000000000000000000000000000000"],
)
def test_the_same_volume_written_another_way_is_the_same(text: str) -> None:
    assert one("emnify", raw(EMNIFY).replace(b"0.219933", text.encode())).volume_bytes == 219_933


@pytest.mark.parametrize(
    "text",
    ["-0.000001", "0.0000001", "1e999999999", "1e-999999999", "9007199254.740993", '"NaN"', '"sNaN"', '"-Infinity"'],
)
def test_a_volume_that_is_no_number_of_bytes_is_refused(text: str) -> None:
    (wrong,) = decoder("emnify", "acme")(raw(EMNIFY).replace(b"0.219933", text.encode()))
    assert isinstance(wrong, UsageError)
    assert (wrong.field, wrong.reason) == ("volume.total", Reason.INVALID)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("id", -1), ("id", ""), ("id", None), ("traffic_type", 5), ("traffic_type.id", 4), ("traffic_type.id", "5"),
        ("start_timestamp", "2026"), ("end_timestamp", "2026-10-19T10:00:00Z"), ("sim", "x"), ("sim.iccid", "<iccid>"),
        ("sim.msisdn", "+"), ("imsi", "<imsi>"), ("operator.mnc", "7"), ("operator.country.mcc", "0"), ("volume", []),
        ("volume.total", None), ("volume.tx", "none"), ("session_id", 5),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_by_its_path(path: str, value: object) -> None:
    wrong = refusal("emnify", with_value(EMNIFY, path, value))
    assert (wrong.field, wrong.reason) == (path, Reason.INVALID)


@pytest.mark.parametrize("path", ["id", "traffic_type", "traffic_type.id", "volume", "volume.total", "start_timestamp"])
def test_a_missing_field_is_named_by_its_path(path: str) -> None:
    assert refusal("emnify", without(EMNIFY, path)).field == path


@pytest.mark.parametrize("path", ["operator", "operator.country", "operator.mnc", "sim", "imsi", "session_id"])
@pytest.mark.parametrize("value", [None, ...])
def test_what_the_platform_may_leave_out_may_be_missing_or_null(path: str, value: object) -> None:
    event = {**EMNIFY, "session_id": "s"}
    one("emnify", raw(without(event, path) if value is ... else with_value(event, path, value)))


def test_a_record_of_no_sim_is_refused() -> None:
    assert refusal("emnify", without(without(EMNIFY, "sim"), "imsi")).field == "sim.iccid"


def test_an_operator_of_several_networks_leaves_the_network_open() -> None:
    usage = one("emnify", raw(with_value(EMNIFY, "operator.mnc", "01,06")))
    assert (usage.mcc, usage.mnc) == ("262", None)


@pytest.mark.parametrize(
    "volume", [{"total": 2, "tx": 1, "rx": 1}, {"total": 1, "tx": 0, "rx": 0}, {"total": 1.5, "rx": 1.5}, {"total": 1}]
)
def test_an_sms_record_that_does_not_say_who_sent_is_refused(volume: dict[str, Any]) -> None:
    event = {**EMNIFY, "traffic_type": {"id": 6}, "volume": volume}
    assert refusal("emnify", event).field.startswith("volume.")


def test_no_tenant_anywhere_is_an_error_that_says_so() -> None:
    (wrong,) = decoder("emnify")(raw(EMNIFY))
    assert isinstance(wrong, UsageError)
    assert (wrong.field, wrong.detail) == ("tenant", "missing")


def test_a_source_can_be_given_for_a_second_feed_of_the_same_platform() -> None:
    (usage,) = decoder("emnify", "acme", "emnify-eu")(raw(EMNIFY))
    assert isinstance(usage, Usage)
    assert usage.source == "emnify-eu"


def test_the_session_of_1nce_version_2_has_another_name() -> None:
    assert one("1nce", raw({**EMNIFY, "ipcan_session_id": "8ec7b8d0"})).session_id == "8ec7b8d0"


@pytest.mark.parametrize("format", ["emnify", "auto"])
@pytest.mark.parametrize("text", ["traffic_type_id", "row_error", "start_time", "specversion"])
def test_a_name_that_reads_like_a_field_of_another_form_changes_nothing(format: str, text: str) -> None:
    assert one(format, raw({**EMNIFY, "organisation": {"name": text}})) == one(format, raw(EMNIFY))
    assert one(format, raw({**EMNIFY, "organisation": {text: "5"}})) == one(format, raw(EMNIFY))


@pytest.mark.parametrize("format", ["emnify", "1nce", "auto"])
def test_a_record_alone_is_decoded_as_one_among_others(format: str) -> None:
    decode, event = decoder(format, "acme"), raw(EMNIFY)
    assert [decode.record(event)] == decode(event)
    assert decode.record(b"[" + event + b"]") is None
    assert decode.record(raw({**EMNIFY, "imsi": "x"})) is None
    assert decode.record(raw({**EMNIFY, "row_error": "cut short"})) is None
