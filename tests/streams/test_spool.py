"""Topics as files keep whole lines, order and cursors, whatever is killed when."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.segments import locked
from streams.spool import PAGE_BYTES, SpoolCursor, SpoolSource
from streams.spool_sink import SpoolSink
from streams.topics import records_of


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


async def test_two_readers_of_a_group_never_move_its_cursor_back(tmp_path: Path) -> None:
    """Two commands at once: the slower one goes on where the faster one stands."""
    sink = SpoolSink(tmp_path)
    await sink.publish({"rated": _pairs(b"1", b"2", b"3"), "lifecycle": _pairs(b"a")})
    fast, slow, cursor = SpoolSource(tmp_path, "w"), SpoolSource(tmp_path, "w"), SpoolCursor(tmp_path, "w")
    ends = await cursor.ends()
    await slow.read(1, 0)
    assert await _read_all(fast) == [b"1", b"2", b"3", b"a"]
    assert not await cursor.reached(ends), "read is not committed"
    await fast.commit()
    assert await cursor.reached(ends)
    await slow.commit()
    assert await cursor.reached(ends), "the cursor never goes back"
    assert await _read_all(slow) == []


async def test_commits_of_many_readers_at_once_leave_a_whole_cursor(tmp_path: Path) -> None:
    await SpoolSink(tmp_path).publish({"rated": _pairs(*(b"%d" % number for number in range(200)))})

    def follow() -> None:
        async def one_by_one() -> None:
            source = SpoolSource(tmp_path, "w")
            while await source.read(3, 0):
                await source.commit()

        asyncio.run(one_by_one())

    ends = await SpoolCursor(tmp_path, "w").ends()
    await asyncio.gather(*(asyncio.to_thread(follow) for _ in range(4)))
    assert await SpoolCursor(tmp_path, "w").reached(ends)


async def test_the_end_of_a_topic_is_its_last_whole_line(tmp_path: Path) -> None:
    sink, cursor = SpoolSink(tmp_path, segment_bytes=10), SpoolCursor(tmp_path, "reader")
    assert await cursor.ends() == {}
    assert await cursor.reached({})
    await sink.publish({"rated": _pairs(b"first segment")})
    await sink.publish({"rated": _pairs(b"two")})
    (tmp_path / "rated" / "00000002.jsonl").write_bytes(b"torn")
    assert await cursor.ends() == {"rated": (1, 4)}
    source = SpoolSource(tmp_path, "reader")
    assert await _read_all(source) == [b"first segment", b"two"]
    await source.commit()
    assert await cursor.reached(await cursor.ends())


async def test_lines_longer_than_a_page_come_whole_and_each_knows_its_place(tmp_path: Path) -> None:
    values = [b"x" * (PAGE_BYTES + 7), b"", b"y", b"z" * PAGE_BYTES]
    await SpoolSink(tmp_path).publish({"rated": _pairs(*values)})
    records = records_of(await SpoolSource(tmp_path, "reader").read(10, 0))
    assert [record.value for record in records] == values
    data = (tmp_path / "rated" / "00000000.jsonl").read_bytes()
    assert all(data[at : at + len(value)] == value for _, _, at, value in records)


async def test_a_topic_that_another_process_is_writing_is_waited_for_and_stops_nothing_else(tmp_path: Path) -> None:
    sink, source = SpoolSink(tmp_path), SpoolSource(tmp_path, "reader")
    await sink.publish({"rated": _pairs(b"1")})
    with locked(tmp_path / "rated"):
        waiting = asyncio.create_task(sink.publish({"rated": _pairs(b"2")}))
        await sink.publish({"refused": _pairs(b"other")})
        assert not waiting.done()
    await waiting
    assert await _read_all(source) == [b"1", b"2", b"other"]


async def test_a_segment_that_another_has_closed_earlier_is_not_written_to(tmp_path: Path) -> None:
    ours, theirs, source = SpoolSink(tmp_path), SpoolSink(tmp_path, segment_bytes=10), SpoolSource(tmp_path, "reader")
    for sink, value in ((ours, b"a long message"), (theirs, b"another"), (ours, b"last")):
        await sink.publish({"rated": _pairs(value)})
        assert await _read_all(source) == [value]


@pytest.mark.parametrize("change", ["taken away", "another in its place", "half a line", "a line"])
async def test_what_happened_to_a_segment_meanwhile_is_noticed(tmp_path: Path, change: str) -> None:
    sink = SpoolSink(tmp_path)
    await sink.publish({"rated": _pairs(b"before")})
    (segment,) = (tmp_path / "rated").glob("*.jsonl")
    if change in ("taken away", "another in its place"):
        segment.rename(tmp_path / "kept")
    if change == "another in its place":
        segment.write_bytes(b"second\n")
    elif change != "taken away":
        with segment.open("ab") as file:
            file.write(b"second\n" if change == "a line" else b"second")
    await sink.publish({"rated": _pairs(b"after")})
    expected = {
        "taken away": b"after\n", "another in its place": b"second\nafter\n",
        "half a line": b"before\nafter\n", "a line": b"before\nsecond\nafter\n",
    }  # fmt: skip
    assert segment.read_bytes() == expected[change]
    await sink.close()
