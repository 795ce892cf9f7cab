from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from prometheus_client import REGISTRY

from streams.clickhouse import queries
from streams.clickhouse.blocks import Block
from streams.clickhouse.ledger import open_clickhouse
from streams.clickhouse.server import AwayError, ClickHouse
from streams.clickhouse.writer import Writer
from streams.clickhouse.written import Written
from streams.spool import SpoolCursor, SpoolSource
from streams.spool_sink import SpoolSink
from streams.topics import JOURNAL, LIFECYCLE, RATED, TopicRecord
from tests.streams.clickhouse.conftest import Server, connect
from tests.streams.clickhouse.rows import entry, message, rated, suspended
from tests.streams.clickhouse.servers import DebianServer, EmbeddedServer
from tests.streams.clickhouse.source import ListSource


class KilledError(Exception):
    """The process died here."""


@pytest.fixture(params=["chdb", pytest.param("18.16", marks=pytest.mark.slow)])
def stopped_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """An engine of the test's own that does not run yet."""
    with tempfile.TemporaryDirectory(prefix="rater-ch-") as folder:
        server: Server = EmbeddedServer(Path(folder)) if request.param == "chdb" else DebianServer(Path(folder))
        yield server
        with contextlib.suppress(AssertionError):
            server.stop()


async def open_ledger(server: Server) -> ClickHouse:
    """As a worker opens it."""
    if isinstance(server, EmbeddedServer):
        return await open_clickhouse("", server.socket)
    return await open_clickhouse(f"clickhouse://default@127.0.0.1:{server.port}/rater", None)


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


async def publish(sink: SpoolSink, first: int, last: int) -> None:
    values = [(b"", msgspec.json.encode(rated(f"e{number:05d}", n=number))) for number in range(first, last)]
    await sink.publish({RATED: values})


async def ids(clickhouse: ClickHouse) -> list[str]:
    return [row["id"] for row in await clickhouse.query("SELECT id FROM rated_records FINAL ORDER BY id")]


async def test_each_topic_goes_to_its_table_and_the_cursor_follows(clickhouse: ClickHouse) -> None:
    source = ListSource([[message(RATED, rated()), message(LIFECYCLE, suspended())], [message(JOURNAL, entry())]])
    writer = Writer(source, clickhouse)
    before = metric("rater_clickhouse_rows_total", table="rated_records")
    assert (await writer.write_once(0), source.committed) == (2, 1)
    assert (await writer.write_once(0), source.committed) == (1, 2)
    assert await writer.write_once(0) == 0
    assert metric("rater_clickhouse_rows_total", table="rated_records") == before + 1
    for table in ("rated_records", "lifecycle_events", "wallet_entries"):
        assert await clickhouse.query(f"SELECT count() AS rows FROM {table}") == [{"rows": 1}]


@pytest.mark.parametrize("dies_after", ["nothing", "one table", "both tables"])
async def test_killed_before_the_cursor_moved_the_round_is_written_again_and_collapses(
    clickhouse: ClickHouse, dies_after: str
) -> None:
    class Mortal:
        """The engine, until the process dies."""

        inserts_left = {"nothing": 0, "one table": 1, "both tables": 2}[dies_after]
        block = staticmethod(clickhouse.block)

        async def insert(self, block: Block) -> None:
            if not self.inserts_left:
                raise KilledError
            self.inserts_left -= 1
            await clickhouse.insert(block)

    class MortalSource(ListSource):
        async def commit(self) -> None:
            raise KilledError

    batch = [message(RATED, rated("e1")), message(RATED, rated("e2")), message(LIFECYCLE, suspended())]
    source = MortalSource([batch])
    with pytest.raises(KilledError):
        await Writer(source, Mortal()).write_once(0)  # type: ignore[arg-type]
    assert source.committed == 0

    restarted = ListSource([batch], source.committed)
    await Writer(restarted, clickhouse).write_once(0)
    assert restarted.committed == 1
    assert await ids(clickhouse) == ["e1", "e2"]
    assert await queries.suspended_counts(clickhouse) == (1, 0)


async def test_clickhouse_away_and_back_loses_nothing_and_repeats_nothing(
    stopped_server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stopped_server.start()
    clickhouse = await open_ledger(stopped_server)
    sink, cursor = SpoolSink(tmp_path), tmp_path / ".cursors" / "writer.json"
    writer = Writer(SpoolSource(tmp_path, "writer"), clickhouse)
    await publish(sink, 0, 10)
    await writer.write_once(0)
    stood_at = cursor.read_text()

    stopped_server.stop()
    await publish(sink, 10, 30)
    failures = metric("rater_clickhouse_failures_total")
    writing = asyncio.create_task(writer.write_once(0))
    while metric("rater_clickhouse_failures_total") < failures + 3:
        assert not writing.done()
        await asyncio.sleep(0.01)
    assert cursor.read_text() == stood_at
    assert [record.getMessage()[:18] for record in caplog.records] == ["clickhouse is away"]

    stopped_server.start()
    assert await writing == 20
    assert cursor.read_text() != stood_at
    assert await ids(clickhouse) == [f"e{number:05d}" for number in range(30)]
    assert await clickhouse.query("SELECT count() AS rows FROM rated_records") == [{"rows": 30}]
    await clickhouse.close()


async def test_a_worker_starts_without_its_server_and_writes_once_it_is_there(stopped_server: Server) -> None:
    clickhouse = await open_ledger(stopped_server)
    with pytest.raises(AwayError):
        await clickhouse.query("SELECT 1")
    source = ListSource([[message(RATED, rated())]])
    writing = asyncio.create_task(Writer(source, clickhouse).write_once(0))
    failures = metric("rater_clickhouse_failures_total")
    while metric("rater_clickhouse_failures_total") == failures:
        await asyncio.sleep(0.01)
    assert source.committed == 0
    stopped_server.start()
    await writing
    assert source.committed == 1
    assert await ids(clickhouse) == ["e1"]
    await clickhouse.close()


async def test_a_refused_insert_keeps_its_place_until_it_is_repaired(clickhouse: ClickHouse) -> None:
    await clickhouse.execute("RENAME TABLE wallet_entries TO wallet_entries_moved")
    source = ListSource([[message(JOURNAL, entry())]])
    writing = asyncio.create_task(Writer(source, clickhouse).write_once(0))
    failures = metric("rater_clickhouse_failures_total")
    try:
        while metric("rater_clickhouse_failures_total") < failures + 2:
            assert not writing.done()
            await asyncio.sleep(0.01)
    finally:
        await clickhouse.execute("RENAME TABLE wallet_entries_moved TO wallet_entries")
    await writing
    assert source.committed == 1
    assert await clickhouse.query("SELECT count() AS rows FROM wallet_entries") == [{"rows": 1}]


GOOD = msgspec.to_builtins(rated())
WRONG_VALUES = {
    "no JSON": b'{"tenant":',
    "empty": b"",
    "another object": b"{}",
    "a list": b"[]",
    "no UTF-8": msgspec.json.encode(rated("x")).replace(b"acme", b"\xff\xfe"),
    "a float of money": msgspec.json.encode(GOOD | {"charged_nanos": 1.5}),
    "past int64": msgspec.json.encode(GOOD | {"charged_nanos": 2**63}),
    "below int64": msgspec.json.encode(GOOD | {"balance_after_nanos": -(2**63) - 1}),
    "a negative part": msgspec.json.encode(GOOD | {"part": -1}),
    "past uint32": msgspec.json.encode(GOOD | {"epoch": 2**32}),
    "a missing wallet": msgspec.json.encode({name: value for name, value in GOOD.items() if name != "wallet"}),
}


async def test_a_value_that_is_no_row_is_kept_as_a_dead_letter_and_stops_nothing(clickhouse: ClickHouse) -> None:
    batch = [TopicRecord(RATED, 3, number, value) for number, value in enumerate(WRONG_VALUES.values())]
    source = ListSource([[message(RATED, rated("e1")), *batch, message(RATED, rated("e2"))], batch])
    writer = Writer(source, clickhouse)
    await writer.write_once(0)
    await writer.write_once(0)
    assert source.committed == 2
    assert await ids(clickhouse) == ["e1", "e2"]
    letters = await clickhouse.query("SELECT * FROM dead_letters FINAL ORDER BY position")
    assert [msgspec.json.decode(f'"{row["raw"]}"', type=bytes) for row in letters] == list(WRONG_VALUES.values())
    assert {(row["door"], row["format"], row["reason"]) for row in letters} == {("topic:rated/3", "rated", "malformed")}
    details = [row["detail"] for row in letters]
    assert "charged_nanos" in details[list(WRONG_VALUES).index("past int64")]
    assert "wallet" in details[list(WRONG_VALUES).index("a missing wallet")]


async def test_fields_of_a_later_version_and_names_that_come_twice_do_no_harm(clickhouse: ClickHouse) -> None:
    value = msgspec.json.encode(GOOD | {"of_a_later_version": {"x": [1]}})
    twice = value[:-1] + b',\n "id": "e2" }'
    await Writer(
        ListSource([[TopicRecord(RATED, 0, 0, value), TopicRecord(RATED, 0, 1, twice)]]), clickhouse
    ).write_once(0)
    assert await ids(clickhouse) == ["e1", "e2"]


async def test_a_cancelled_call_disturbs_no_later_one(server: Server) -> None:
    clickhouse = connect(server)
    for _ in range(3):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(clickhouse.query("SELECT count() AS n FROM numbers(300000000)"), 0.01)
        assert await clickhouse.query("SELECT 42 AS n") == [{"n": 42}]
    await clickhouse.close()


async def test_caught_up_waits_for_what_is_in_the_topics(clickhouse: ClickHouse, tmp_path: Path) -> None:
    await publish(SpoolSink(tmp_path), 0, 100)
    written = Written(SpoolCursor(tmp_path, "writer"), lambda: 5)
    waiting = asyncio.create_task(written.caught_up())
    await asyncio.sleep(0.2)
    assert not waiting.done()
    assert written.caught_up_ms == 0
    running = asyncio.create_task(Writer(SpoolSource(tmp_path, "writer"), clickhouse).run())
    await waiting
    assert len(await ids(clickhouse)) == 100
    assert written.caught_up_ms == 5
    assert metric("rater_clickhouse_lag_seconds") < 60
    running.cancel()


async def test_a_look_answers_for_the_moment_of_an_earlier_one(tmp_path: Path) -> None:
    """Under a load that never ends there is always more to write; what stood there a minute ago is written."""
    now_ms = 10
    sink, source = SpoolSink(tmp_path), SpoolSource(tmp_path, "writer")
    written = Written(SpoolCursor(tmp_path, "writer"), lambda: now_ms)
    await publish(sink, 0, 10)
    await written.look()
    now_ms = 20
    await written.look()
    assert written.caught_up_ms == 0, "nothing is written yet"
    while await source.read(7, 0):
        await source.commit()
    await publish(sink, 10, 20)
    await written.look()
    assert written.caught_up_ms == 10
    now_ms = 30
    await written.look()
    assert written.caught_up_ms == 10, "the last ten are not written"
    while await source.read(7, 0):
        await source.commit()
    await written.look()
    assert written.caught_up_ms == 20
