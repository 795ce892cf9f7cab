"""Records of the Data Streamer, written anew as plain JSON, say what their decoder reads in them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rater import compiled
from schemas.adapters import csv_records, usage_json
from schemas.decode import Decoder
from schemas.usage import Usage
from tests.rater.pipeline.test_quick_records import DATA, ROW, SMS, raws

pytestmark = pytest.mark.skipif(not compiled.IS_ON, reason="nothing is compiled here")

#: What makes a record hard to read.
PIECES = [
    b"\\", b'\\"', b"\\u0031", b'"', b"{", b"}", b"[", b"]", b",", b":", b" ", b"\n", b"\x00", b"\xff", "é".encode(),
    b"0", b"1", b"-", b"+", b".", b"e3", b"E", b"null", b"true", b"false",
    b'"x":[1,{"y":[]},-0.5e-7],', b'"id":7,', b'"sim":null,',
    b'"traffic_type_id":"5",', b'"traffic_type":{"id":6},', b'"imsi":"262010000000001",', b'"x":"8988280",', b"T", b"Z",
    b"+02:00", b".123456", b".1234567", b'"x":"\\"8988228",',
]  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A record with some bytes of it replaced, mostly between two of its tokens."""
    raw = draw(raws())
    for _ in range(draw(st.integers(0, 2))):
        places = [place for place, byte in enumerate(raw) if byte in b'{}[],:"'] or [0]
        at = draw(st.sampled_from(places)) + draw(st.integers(0, 1))
        raw = raw[:at] + draw(st.sampled_from(PIECES)) + raw[at + draw(st.integers(0, 2)) :]
    return raw


def read(decoder: Decoder, raw: bytes) -> tuple[bytes | None, Usage | None]:
    """How it is written anew, and what that says where it is an event."""
    from rater.compiled.streamer import plain

    text = plain(decoder, raw)
    try:
        return text, usage_json.decode(text) if text is not None else None
    except ValueError:
        return text, None


@settings(max_examples=3_000)
@given(damaged(), st.sampled_from(["emnify", "1nce", "auto"]), st.sampled_from(["t", 'a"é', ""]))
@example(msgspec.json.encode(DATA), "auto", "t")
def test_what_is_written_anew_says_what_the_decoder_reads(raw: bytes, format: str, tenant: str) -> None:
    decoder = Decoder(format, tenant)
    text, usage = read(decoder, raw)
    assert text is None or usage == decoder.record(raw)


@pytest.mark.parametrize("record", [DATA, SMS, ROW, DATA | {"name": 'a "quoted" one', "tags": [1, {"x": None}]}])
@pytest.mark.parametrize("format", ["emnify", "1nce", "auto"])
def test_a_good_record_is_written_anew(record: dict[str, object], format: str) -> None:
    assert read(Decoder(format, "t"), msgspec.json.encode(record))[1] is not None


def test_other_formats_are_none_of_its_business() -> None:
    for format in ("usage", "cloudevents", "normalised"):
        assert read(Decoder(format, "t"), msgspec.json.encode(DATA)) == (None, None)


cells = st.text(st.sampled_from("ab1é€ ")) | st.text(st.sampled_from('ab1é€ \\"\t\n\x00\x7f,'), max_size=4)


@settings(max_examples=2_000)
@given(
    st.lists(st.sampled_from(["id", "volume", "a b", 'q"x', "é"]), min_size=1, max_size=4, unique=True),
    st.lists(st.sampled_from(["{}", '"{}"']).flatmap(lambda form: cells.map(form.format)), min_size=1, max_size=5),
    st.sampled_from(["utf-8", "latin-1"]),
)
def test_a_plain_row_of_csv_is_written_as_any_other(header: list[str], row: list[str], encoding: str) -> None:
    line = ",".join(row).encode(encoding, "replace")
    found = csv_records.plain_row([msgspec.json.encode(name) + b":" for name in header], line)
    assert found in (None, csv_records._record(header, line))


def test_usual_rows_of_csv_are_plain() -> None:
    names = [b'"id":', b'"volume":', b'"name":']
    assert csv_records.plain_row(names, '"1",0.5,"Télé"'.encode()) == '{"id":"1","volume":"0.5","name":"Télé"}'.encode()
    assert csv_records.plain_row(names, b",,") == b"{}"
    assert csv_records.plain_row(names, b'"1","2"') is None
