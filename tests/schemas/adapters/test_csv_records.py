"""CSV rows become raw records that lose nothing; a broken row costs itself only."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.adapters.csv_records import CsvRecords
from schemas.decode import UsageError, decoder
from schemas.fates import Reason
from schemas.usage import Usage

HEADER = b"id,traffic_type_id,event_start_timestamp,event_stop_timestamp,volume,volume_tx,volume_rx,iccid\n"
ROW = b"1,5,2026-10-01 00:00:00,2026-10-01 00:01:00,0.000005,,,8988303000000000001\n"


def decoded(*lines: bytes, format: str = "emnify") -> list[Usage | UsageError]:
    decode = decoder(format, "acme")
    return [result for record in CsvRecords().take(lines) for result in decode(record)]


def test_a_row_keeps_every_cell_under_its_column() -> None:
    (record,) = CsvRecords().take([b'"id","endpoint_name","note"\r\n', b'"7","a, ""quoted"" name",\r\n'])
    assert json.loads(record) == {"id": "7", "endpoint_name": 'a, "quoted" name'}


@pytest.mark.parametrize("header", [HEADER, b"\xef\xbb\xbf" + HEADER, HEADER.upper(), HEADER.replace(b"\n", b"\r\n")])
def test_a_byte_order_mark_case_and_line_ends_change_nothing(header: bytes) -> None:
    assert decoded(header, ROW) == decoded(HEADER, ROW)
    assert isinstance(decoded(header, ROW)[0], Usage)


def test_the_names_of_the_json_records_are_understood_as_columns() -> None:
    flat = b"id,traffic_type.id,start_timestamp,end_timestamp,volume.total,volume.tx,volume.rx,sim.iccid\n"
    assert decoded(flat, ROW) == decoded(HEADER, ROW)


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        (ROW[:30] + b"\n", "4 cells where the header names 8"),
        (ROW.rstrip() + b",,\n", "10 cells where the header names 8"),
        (b'"' + ROW, "not a row of CSV: unexpected end of data"),
        (ROW.replace(b"898", b"\xff98"), "not valid UTF-8"),
        (b'"' + b"x" * 200_000 + b'"\n', "not a row of CSV: field larger than field limit (131072)"),
    ],
)
@pytest.mark.parametrize("format", ["emnify", "auto"])
def test_a_broken_row_is_malformed_and_costs_the_next_one_nothing(row: bytes, detail: str, format: str) -> None:
    first, second = decoded(HEADER, row, ROW, format=format)
    assert isinstance(first, UsageError)
    assert (first.field, first.reason, first.detail) == ("row", Reason.MALFORMED, detail)
    assert isinstance(second, Usage)


@pytest.mark.parametrize(
    ("column", "cell"),
    [("volume", "-1"), ("volume", "n/a"), ("iccid", "12"), ("traffic_type_id", "7"), ("event_stop_timestamp", "noon")],
)
def test_a_wrong_cell_is_named_by_its_column(column: str, cell: str) -> None:
    cells = dict(zip(HEADER.decode().strip().split(","), ROW.decode().strip().split(","), strict=True)) | {column: cell}
    (wrong,) = decoded(HEADER, ",".join(cells.values()).encode())
    assert isinstance(wrong, UsageError)
    assert (wrong.field, wrong.reason, wrong.identity) == (column, Reason.INVALID, ("acme", "emnify", "1"))


def test_a_missing_column_is_named() -> None:
    (wrong,) = decoded(b"id,traffic_type_id,iccid\n", b"1,5,8988303000000000001\n")
    assert isinstance(wrong, UsageError)
    assert (wrong.field, wrong.detail) == ("event_start_timestamp", "missing")


@given(st.lists(st.binary(max_size=60).map(lambda line: line.replace(b"\n", b"")), max_size=5))
def test_any_lines_at_all_become_one_result_each(lines: list[bytes]) -> None:
    rows = [line for line in lines if line.rstrip(b"\r\n")]
    assert len(decoded(HEADER, *(line + b"\n" for line in lines))) == len(rows)
