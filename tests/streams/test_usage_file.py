"""Usage files are read in blocks; where a block ends is nowhere to be seen in the records."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rater.errors import UsageFileError
from schemas.adapters.csv_records import CsvRecords
from streams import usage_file
from streams.usage_file import UsageFile

LINES = st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=12)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\n\n"])


@given(lines=LINES, end=ENDS, is_closed=st.booleans(), block=st.integers(1, 40), zipped=st.booleans())
def test_every_line_is_a_record_wherever_blocks_end(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], end: bytes, is_closed: bool, block: int, zipped: bool
) -> None:
    data = end.join(lines) + (end if is_closed else b"")
    path = tmp_path_factory.mktemp("lines") / ("usage.jsonl" + ".gz" * zipped)
    path.write_bytes(gzip.compress(data) if zipped else data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(usage_file, "BLOCK_BYTES", block)
        file = UsageFile(path)
        assert list(file.records()) == [line for raw in lines if (line := raw.rstrip(b"\r"))]
    file.check()
    assert file.count() == data.count(b"\n") + (not data.endswith(b"\n") and data != b"")


@given(block=st.integers(1, 200))
def test_rows_of_csv_are_the_same_wherever_blocks_end(tmp_path_factory: pytest.TempPathFactory, block: int) -> None:
    rows = [b"id,iccid", b"", *(b"%d,8988%d" % (number, number) for number in range(30)), b'"9"x,', b"1"]
    path = tmp_path_factory.mktemp("rows") / "usage.csv"
    path.write_bytes(b"\n".join(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(usage_file, "BLOCK_BYTES", block)
        assert list(UsageFile(path).records()) == CsvRecords().take(rows)


@pytest.mark.parametrize("damage", ["cut off", "flipped", "none of it gzip"])
def test_a_damaged_file_says_how_many_records_could_be_read(tmp_path: Path, damage: str) -> None:
    data = bytearray(gzip.compress(b"".join(b'{"id":"%d"}\n' % number for number in range(50_000))))
    if damage == "cut off":
        del data[60_000:]
    elif damage == "flipped":
        data[60_000] ^= 0xFF
    else:
        data = bytearray(b'{"id":"1"}\n' * 1_000)
    path = tmp_path / "usage.jsonl.gz"
    path.write_bytes(data)
    file = UsageFile(path)
    read = [record for block in file.blocks() for record in block]
    told = f"usage.jsonl.gz: damaged behind record {len(read):,}: "
    with pytest.raises(UsageFileError, match=told):
        file.check()
    with pytest.raises(UsageFileError, match=told):
        list(file.records())
    if damage == "cut off":
        assert 10_000 < len(read) < 50_000
        assert read == [b'{"id":"%d"}' % number for number in range(len(read))], "none of them half a record"
