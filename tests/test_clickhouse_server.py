"""The ClickHouse server that the driver's tests use."""

from __future__ import annotations

from clickhouse_driver import Client

from tests.clickhouse_server import ClickHouseServer


def test_what_was_inserted_survives_a_kill(clickhouse_server: ClickHouseServer) -> None:
    client = Client.from_url(clickhouse_server.url)
    client.execute("CREATE DATABASE IF NOT EXISTS survives")
    client.execute("CREATE TABLE survives.t (n Int64) ENGINE = MergeTree ORDER BY n")
    client.execute("INSERT INTO survives.t VALUES", [(2**63 - 1,)])
    clickhouse_server.kill()
    clickhouse_server.start()
    assert Client.from_url(clickhouse_server.url).execute("SELECT n FROM survives.t") == [(2**63 - 1,)]
