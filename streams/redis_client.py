"""The client of Redis, as the settings say."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, Final

from redis.asyncio import ConnectionPool, Redis, RedisCluster, UnixDomainSocketConnection

from rater.settings import RedisSettings

#: A call of a full batch is 0.7 MB, three times what a socket takes by default. The system may allow less
#: (`net.core.wmem_max`).
CALL_BYTES: Final = 4 * 1024 * 1024


class RoomyConnection(UnixDomainSocketConnection):
    """Its socket takes a whole call: else the server waits for the rest until the worker's loop comes around."""

    async def on_connect(self) -> None:
        """Make room, then what is usual."""
        assert self._writer is not None
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CALL_BYTES)
        await super().on_connect()


def redis_at(path: Path) -> Redis:
    """A client of the server at a Unix socket."""
    return Redis.from_pool(ConnectionPool(connection_class=RoomyConnection, path=str(path)))


def redis_of(settings: RedisSettings) -> Any:
    """A client of the user's own server, or cluster. TCP makes its own room."""
    if settings.cluster:
        return RedisCluster.from_url(settings.url)
    pool = ConnectionPool.from_url(settings.url)
    if pool.connection_class is UnixDomainSocketConnection:
        pool.connection_class = RoomyConnection
    return Redis.from_pool(pool)
