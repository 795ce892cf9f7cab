"""Every test of the ledger runs on both engines; the server's share is marked slow."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from streams.clickhouse.migrate import migrate
from streams.clickhouse.server import ChdbClickHouse, ClickHouse, DriverClickHouse
from tests.streams.clickhouse.servers import DebianServer, EmbeddedServer

Server = EmbeddedServer | DebianServer
TABLES = ("rated_records", "decided_ids", "wallet_entries", "lifecycle_events", "parked_events", "dead_letters")


@pytest.fixture(scope="session", params=["chdb", pytest.param("18.16", marks=pytest.mark.slow)])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A running engine."""
    with tempfile.TemporaryDirectory(prefix="rater-ch-") as folder:
        server: Server = EmbeddedServer(Path(folder)) if request.param == "chdb" else DebianServer(Path(folder))
        server.start()
        yield server
        server.stop()


def connect(server: Server) -> ClickHouse:
    """The engine's face for a server."""
    if isinstance(server, EmbeddedServer):
        return ChdbClickHouse(server.socket)
    return DriverClickHouse(f"clickhouse://default@127.0.0.1:{server.port}/rater")


@pytest.fixture
async def clickhouse(server: Server) -> AsyncIterator[ClickHouse]:
    """A ledger without rows."""
    engine = connect(server)
    await migrate(engine)
    await empty(engine)
    yield engine
    await engine.close()


async def empty(engine: ClickHouse) -> None:
    """Take all rows out."""
    for table in TABLES:
        await engine.execute(f"TRUNCATE TABLE {table}")
