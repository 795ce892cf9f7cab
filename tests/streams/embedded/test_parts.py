"""The embedded Redis and ClickHouse: shared by commands, stopped by the last, intact after any kill."""

from __future__ import annotations

import ctypes.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from rater.errors import PartsError
from streams.embedded.chdb_client import ChdbClient
from streams.embedded.child import Child
from streams.embedded.parts import SOCKET_PATH_BYTES_MAX, EmbeddedParts
from streams.embedded.valkey import allocator

USER = """
import sys
from pathlib import Path
import redis
from streams.embedded.parts import EmbeddedParts
with EmbeddedParts(Path(sys.argv[1])) as parts:
    client = redis.Redis(unix_socket_path=str(parts.redis_socket))
    client.incr("entered")
    print(client.info("server")["process_id"], flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data folder whose parts are gone after the test, however it ends."""
    folder = tmp_path / "data"
    yield folder
    for pid_file in folder.glob("*/*.pid"):
        if Child(pid_file.stem, pid_file.parent, [], lambda: True).is_running():
            with suppress(ProcessLookupError):
                os.kill(int(pid_file.read_text()), signal.SIGKILL)


class User:
    """Another process that uses the parts until told to leave."""

    def __init__(self, data: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def redis_pid(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def leave(self) -> None:
        self.process.communicate("\n")
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def test_what_is_written_is_there_next_time(data: Path) -> None:
    with EmbeddedParts(data) as parts:
        open_redis(parts).set("balance", "9223372036854775807")
        clickhouse = open_clickhouse(parts)
        clickhouse.query("CREATE TABLE t (n Int64) ENGINE = MergeTree ORDER BY n")
        clickhouse.insert("t", ["n"], "JSONEachRow", b'{"n":9223372036854775807}')
    with EmbeddedParts(data) as parts:
        assert open_redis(parts).get("balance") == b"9223372036854775807"
        assert open_clickhouse(parts).query("SELECT n FROM t", "TabSeparated") == b"9223372036854775807\n"


def test_redis_has_the_allocator_of_a_packaged_one_where_the_machine_does(data: Path) -> None:
    with EmbeddedParts(data) as parts:
        pid = open_redis(parts).info("server")["process_id"]
        loaded = Path(f"/proc/{pid}/maps").read_text()
    assert ("libjemalloc" in loaded) == bool(ctypes.util.find_library("jemalloc"))


def test_an_allocator_that_somebody_chose_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "")
    assert allocator() == {}


async def test_the_async_form_is_the_same(data: Path) -> None:
    async with EmbeddedParts(data) as parts:
        assert open_redis(parts).ping()
    assert not running(data)


def test_two_commands_share_and_the_last_one_stops(data: Path) -> None:
    first, second = User(data), User(data)
    pids = {first.redis_pid(), second.redis_pid()}
    assert len(pids) == 1
    first.leave()
    assert running(data) == ["valkey"]
    with EmbeddedParts(data) as parts:
        assert open_redis(parts).get("entered") == b"2"
        open_clickhouse(parts)
    assert running(data) == ["clickhouse", "valkey"]
    second.leave()
    assert running(data) == []


def test_commands_that_start_at_once_start_one_server(data: Path) -> None:
    users = [User(data) for _ in range(6)]
    assert len({user.redis_pid() for user in users}) == 1
    for user in users:
        user.leave()
    assert running(data) == []


def test_a_killed_command_leaves_its_parts_to_the_next(data: Path) -> None:
    user = User(data)
    pid = user.redis_pid()
    user.kill()
    assert running(data) == ["valkey"]
    with EmbeddedParts(data) as parts:
        assert open_redis(parts).info("server")["process_id"] == pid
        assert open_redis(parts).get("entered") == b"1"
    assert running(data) == []


def test_a_killed_redis_comes_back_with_every_acknowledged_write(data: Path) -> None:
    with EmbeddedParts(data) as parts:
        client = open_redis(parts)
        for number in range(2000):
            client.rpush("acknowledged", number)
        kill(data, "valkey")
    with EmbeddedParts(data) as parts:
        assert open_redis(parts).lrange("acknowledged", 0, -1) == [b"%d" % number for number in range(2000)]


def test_a_killed_clickhouse_comes_back_at_its_next_use(data: Path) -> None:
    with EmbeddedParts(data) as parts:
        client = open_clickhouse(parts)
        client.query("CREATE TABLE t (n Int64) ENGINE = MergeTree ORDER BY n")
        client.insert("t", ["n"], "JSONEachRow", b'{"n":1}')
        kill(data, "clickhouse")
        assert open_clickhouse(parts).query("SELECT n FROM t", "TabSeparated") == b"1\n"


def test_both_killed_at_once_are_recovered(data: Path) -> None:
    user = User(data)
    user.redis_pid()
    with EmbeddedParts(data) as parts:
        open_clickhouse(parts)
        user.kill()
        kill(data, "clickhouse")
        kill(data, "valkey")
    with EmbeddedParts(data) as parts:
        assert open_redis(parts).get("entered") == b"1"
        assert open_clickhouse(parts).query("SELECT 1", "TabSeparated") == b"1\n"


def test_a_long_path_gets_its_sockets_elsewhere_and_finds_them_again(data: Path) -> None:
    deep = data / ("d" * SOCKET_PATH_BYTES_MAX)
    with EmbeddedParts(deep) as parts:
        first = parts.redis_socket
        open_redis(parts).set("kept", 1)
        with EmbeddedParts(deep) as again:
            assert again.redis_socket == first
    assert len(os.fsencode(first)) <= SOCKET_PATH_BYTES_MAX
    with EmbeddedParts(deep) as parts:
        assert open_redis(parts).get("kept") == b"1"
    first.parent.rmdir()


def test_settings_are_those_an_acknowledged_debit_needs(data: Path) -> None:
    with EmbeddedParts(data, appendfsync="always") as parts:
        settings = open_redis(parts).config_get("appendonly", "appendfsync", "maxmemory-policy", "save", "port")
    assert settings == {
        "appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "save": "", "port": "0",
    }  # fmt: skip


class Reading(Child):
    """A server that does not answer yet; it reads its data, or hangs."""

    def __init__(self, folder: Path, *, hangs: bool) -> None:
        self.looks = 0
        self.hangs = hangs
        super().__init__("server", folder, ["sleep", "60"], lambda: self.looks > 30)

    def progress(self) -> object:
        self.looks += 1
        time.sleep(0.02)
        return 0 if self.hangs else self.looks


def test_a_server_that_reads_its_data_for_long_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.embedded.child.START_SECONDS", 0.2)
    server, hanging = Reading(tmp_path / "reads", hangs=False), Reading(tmp_path / "hangs", hangs=True)
    try:
        server.ensure()
        with pytest.raises(PartsError, match="does not answer"):
            hanging.ensure()
    finally:
        server.stop()
        hanging.stop()


def open_redis(parts: EmbeddedParts) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(parts.redis_socket))


def open_clickhouse(parts: EmbeddedParts) -> ChdbClient:
    return ChdbClient(parts.clickhouse_socket)


def running(data: Path) -> list[str]:
    """Names of the parts that live."""
    children = [Child("clickhouse", data / "clickhouse", [], bool), Child("valkey", data / "redis", [], bool)]
    return [child.name for child in children if child.is_running()]


def kill(data: Path, name: str) -> None:
    """SIGKILL, and wait until it is gone."""
    child = Child(name, data / ("redis" if name == "valkey" else name), [], bool)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    while child.is_running():
        time.sleep(0.01)
