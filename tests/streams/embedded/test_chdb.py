"""The ClickHouse process and its clients."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.errors import PartsError
from streams.embedded.chdb import Chdb
from streams.embedded.chdb_client import AsyncChdbClient, ChdbClient, ClickHouseRefused
from streams.embedded.chdb_wire import HEADER, MESSAGE_BYTES_MAX


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One process for the module."""
    folder = tmp_path_factory.mktemp("ch")
    child = Chdb(folder / "it's data", folder / "s")
    child.ensure()
    yield folder / "s"
    child.stop()


@pytest.fixture
def client(server: Path) -> Iterator[ChdbClient]:
    """A client."""
    client = ChdbClient(server)
    yield client
    client.close()


rows = st.lists(
    st.fixed_dictionaries({"n": st.integers(-(2**63), 2**63 - 1), "t": st.text(st.characters(codec="utf-8"))}),
    max_size=30,
)


@settings(max_examples=25, deadline=None)
@given(rows=rows)
def test_rows_come_back_as_they_were_inserted(server: Path, rows: list[dict[str, object]]) -> None:
    client = ChdbClient(server)
    client.query("CREATE OR REPLACE TABLE r (i UInt32, n Int64, t String) ENGINE = MergeTree ORDER BY i")
    data = b"\n".join(json.dumps({"i": i, **row}).encode() for i, row in enumerate(rows))
    client.insert("r", ["i", "n", "t"], "JSONEachRow", data)
    sql = "SELECT n, t FROM r ORDER BY i SETTINGS output_format_json_quote_64bit_integers = 0"
    assert [json.loads(line) for line in client.query(sql).splitlines()] == rows
    client.close()


def test_columns_that_are_not_inserted_take_their_default(client: ChdbClient) -> None:
    client.query("CREATE OR REPLACE TABLE d (n Int64, twice Int64 DEFAULT n * 2) ENGINE = MergeTree ORDER BY n")
    client.insert("d", ["n"], "JSONCompactEachRow", b"[21]")
    assert client.query("SELECT twice FROM d", "TabSeparated") == b"42\n"


def test_a_wrong_statement_is_refused_with_clickhouses_own_words(client: ChdbClient) -> None:
    with pytest.raises(ClickHouseRefused, match="no_such_column"):
        client.query("SELECT no_such_column")
    assert client.query("SELECT 1", "TabSeparated") == b"1\n"


def test_a_wrong_row_inserts_none_of_its_batch(client: ChdbClient) -> None:
    client.query("CREATE OR REPLACE TABLE w (n Int64) ENGINE = MergeTree ORDER BY n")
    with pytest.raises(ClickHouseRefused, match="row 2"):
        client.insert("w", ["n"], "JSONEachRow", b'{"n":1}\n{"n":"x"}')
    assert client.query("SELECT count() FROM w", "TabSeparated") == b"0\n"


async def test_many_clients_and_tasks_get_their_own_answers(server: Path) -> None:
    clients = [AsyncChdbClient(server) for _ in range(3)]
    numbers = range(60)
    answers = await asyncio.gather(*(clients[n % 3].query(f"SELECT {n}", "TabSeparated") for n in numbers))
    assert answers == [b"%d\n" % n for n in numbers]
    for client in clients:
        await client.close()


async def test_a_cancelled_call_does_not_shift_the_answers(server: Path) -> None:
    client = AsyncChdbClient(server)
    await client.query("SELECT 0")
    slow = asyncio.create_task(client.query("SELECT sleep(0.3)", "TabSeparated"))
    await asyncio.sleep(0.05)
    slow.cancel()
    assert await client.query("SELECT 7", "TabSeparated") == b"7\n"
    await client.close()


@pytest.mark.parametrize("junk", [b"\x00", HEADER.pack(10) + b"abc", HEADER.pack(MESSAGE_BYTES_MAX + 1), b"GET / HTTP"])
def test_a_client_that_talks_nonsense_harms_nobody_else(server: Path, client: ChdbClient, junk: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(server))
        stranger.sendall(junk)
    assert client.query("SELECT 1", "TabSeparated") == b"1\n"


def test_where_no_process_is_the_error_names_the_place(tmp_path: Path) -> None:
    with pytest.raises(PartsError, match="nobody-here"):
        ChdbClient(tmp_path / "nobody-here").query("SELECT 1")


async def test_where_no_process_is_the_async_error_names_the_place(tmp_path: Path) -> None:
    with pytest.raises(PartsError, match="nobody-here"):
        await AsyncChdbClient(tmp_path / "nobody-here").query("SELECT 1")


def test_a_config_xml_where_the_command_runs_is_none_of_its_business(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.xml").write_text("<clickhouse><path>/nowhere/</path></clickhouse>")
    monkeypatch.chdir(tmp_path)
    child = Chdb(Path("data"), Path("s"))
    child.ensure()
    child.stop()
