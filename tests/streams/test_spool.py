"""Topics as files keep whole lines, order and cursors, whatever is killed when."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.spool import SpoolSink, SpoolSource


def _pairs(*values: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"k", value) for value in values]


async def _read_all(source: SpoolSource, rows_max: int = 1000) -> list[bytes]:
    values: list[bytes] = []
    while pages := await source.read(rows_max, 0):
        values += [value for page in pages for value in page.values]
    return values


async def test_what_is_published_is_read_back_in_order(tmp_path: Path) -> None:
    sink, source = SpoolSink(tmp_path), SpoolSource(tmp_path, "reader")
    await sink.publish({"rated": _pairs(b"1", b"2")})
    await sink.publish({"rated": _pairs(b"3")})
    assert await _read_all(source) == [b"1", b"2", b"3"]


async def test_a_reader_that_did_not_commit_reads_again(tmp_path: Path) -> None:
    sink = SpoolSink(tmp_path)
    await sink.publish({"rated": _pairs(b"1", b"2")})
    first = SpoolSource(tmp_path, "reader")
    assert len(await first.read(1, 0)) == 1
    await first.commit()
    assert len(await first.read(1, 0)) == 1
    assert await _read_all(SpoolSource(tmp_path, "reader")) == [b"2"]


async def test_half_a_line_of_a_killed_writer_is_never_read_and_is_cut_off(tmp_path: Path) -> None:
    sink, source = SpoolSink(tmp_path), SpoolSource(tmp_path, "reader")
    await sink.publish({"rated": _pairs(b"whole")})
    segment = tmp_path / "rated" / "00000000.jsonl"
    with segment.open("ab") as file:
        file.write(b"x" * 200_000)
    assert await _read_all(source) == [b"whole"]
    await sink.publish({"rated": _pairs(b"next")})
    assert await _read_all(source) == [b"next"]
    assert segment.read_bytes() == b"whole\nnext\n"


async def test_half_a_line_does_not_close_its_segment_where_readers_would_wait_for_its_end(tmp_path: Path) -> None:
    sink, source = SpoolSink(tmp_path, segment_bytes=10), SpoolSource(tmp_path, "reader")
    await sink.publish({"rated": _pairs(b"one")})
    (segment,) = (tmp_path / "rated").glob("*.jsonl")
    with segment.open("ab") as file:
        file.write(b"torn, and past the size of a segment")
    await sink.publish({"rated": _pairs(b"two", b"three")})
    await sink.publish({"rated": _pairs(b"four")})
    assert await _read_all(source) == [b"one", b"two", b"three", b"four"]


async def test_writers_at_the_same_time_keep_lines_whole(tmp_path: Path) -> None:
    sinks = [SpoolSink(tmp_path, segment_bytes=4096) for _ in range(4)]
    values = [[f"{writer}-{number}".encode() * 50 for number in range(50)] for writer in range(4)]

    async def write(writer: int) -> None:
        for value in values[writer]:
            await sinks[writer].publish({"rated": _pairs(value)})

    await asyncio.gather(*(write(writer) for writer in range(4)))
    read = await _read_all(SpoolSource(tmp_path, "reader"), rows_max=7)
    assert sorted(read) == sorted(value for chosen in values for value in chosen)
    assert len(list((tmp_path / "rated").glob("*.jsonl"))) > 1, "segments were closed on the way"


@settings(max_examples=25, deadline=None)
@given(blocks=st.lists(st.lists(st.binary(min_size=1, max_size=30).map(lambda b: b.hex().encode()), max_size=5)))
def test_any_blocks_come_back_whole_across_segments(blocks: list[list[bytes]]) -> None:
    async def check() -> None:
        with tempfile.TemporaryDirectory() as folder:
            sink = SpoolSink(Path(folder), segment_bytes=64)
            for block in blocks:
                await sink.publish({"rated": _pairs(*block)})
            read = await _read_all(SpoolSource(Path(folder), "reader"), rows_max=3)
            assert read == [value for block in blocks for value in block]

    asyncio.run(check())
