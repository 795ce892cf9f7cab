"""The embedded Redis and ClickHouse of one data folder, shared by every command that works on it.

    DATA/redis/        Valkey's append-only file, log
    DATA/clickhouse/   chdb's tables, log
    DATA/parts.lock    held shared by every command while it uses the parts
    DATA/start.lock    held for the moment in which parts are started or stopped
    DATA/sockets       where the unix sockets are, if not in DATA itself

The first command starts what is not running, the last one to leave stops it. A command that is killed just drops its
lock: the parts go on, the next command finds them and, when it leaves as the last one, stops them.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from streams.embedded.chdb import Chdb
from streams.embedded.valkey import Fsync, Valkey

#: A unix socket's path ends at 108 bytes on Linux and 104 elsewhere, terminator included.
SOCKET_PATH_BYTES_MAX = 100
REDIS_SOCKET = "redis.sock"
CLICKHOUSE_SOCKET = "clickhouse.sock"


class EmbeddedParts:
    """Use the parts of a data folder; a context manager, plain or async.

    Redis runs from entry. ClickHouse starts when its socket is first asked for, so that a command which only looks at a
    wallet does not wait for it.

    Args:
        data: the folder, made when missing.
        appendfsync: `no` or `always`; a server that already runs keeps what it was started with.

    Raises:
        PartsError: a part did not start.
    """

    def __init__(self, data: Path, *, appendfsync: Fsync = "no") -> None:
        self._data = data.absolute()
        self._appendfsync = appendfsync
        self._use: int | None = None
        self._redis: Valkey | None = None
        self._clickhouse: Chdb | None = None
        self._sockets = self._data

    @property
    def redis_socket(self) -> Path:
        """The unix socket of the running Redis."""
        assert self._use is not None, "enter first"
        return self._sockets / REDIS_SOCKET

    @property
    def clickhouse_runs(self) -> bool:
        """Whether anybody has asked for ClickHouse."""
        return self._clickhouse is not None and self._clickhouse.is_running()

    @property
    def clickhouse_socket(self) -> Path:
        """The unix socket of ClickHouse (speak chdb_client); starts it if it does not run."""
        assert self._use is not None, "enter first"
        assert self._clickhouse is not None
        with self._locked_start():
            self._clickhouse.ensure()
        return self._sockets / CLICKHOUSE_SOCKET

    def __enter__(self) -> Self:
        self._data.mkdir(parents=True, exist_ok=True)
        with self._locked_start():
            self._use = os.open(self._data / "parts.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(self._use, fcntl.LOCK_SH)
                self._sockets = self._socket_folder()
                self._redis = Valkey(self._data / "redis", self._sockets / REDIS_SOCKET, appendfsync=self._appendfsync)
                self._clickhouse = Chdb(self._data / "clickhouse", self._sockets / CLICKHOUSE_SOCKET)
                self._redis.ensure()
            except BaseException:
                self._drop_use()
                raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._use is not None
        with self._locked_start():
            try:
                fcntl.flock(self._use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # others use them; the last one stops them
            else:
                self._stop()
            finally:
                self._drop_use()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, at)

    def _stop(self) -> None:
        assert self._redis is not None
        assert self._clickhouse is not None
        try:
            if self._clickhouse.is_running():
                self._clickhouse.stop()
        finally:
            if self._redis.is_running():
                self._redis.stop()

    def _drop_use(self) -> None:
        if self._use is not None:
            os.close(self._use)
            self._use = None

    @contextmanager
    def _locked_start(self) -> Iterator[None]:
        """One command at a time starts or stops parts."""
        lock = os.open(self._data / "start.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _socket_folder(self) -> Path:
        """DATA, or where its path is too long for a socket a short folder that is remembered in DATA/sockets."""
        if len(os.fsencode(self._data / CLICKHOUSE_SOCKET)) <= SOCKET_PATH_BYTES_MAX:
            return self._data
        note = self._data / "sockets"
        if note.exists() and (known := Path(note.read_text())).is_dir() and known.stat().st_uid == os.getuid():
            return known
        made = Path(tempfile.mkdtemp(prefix="rater-"))
        note.write_text(str(made))
        return made
