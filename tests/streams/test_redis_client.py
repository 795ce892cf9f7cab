"""The client of Redis, as the settings say."""

from __future__ import annotations

import socket
from pathlib import Path

from redis.asyncio import Redis, UnixDomainSocketConnection

from rater.settings import RedisSettings
from streams.redis_client import redis_at, redis_of


async def room_of(client: Redis) -> int:
    connection = await client.connection_pool.get_connection()
    assert isinstance(connection, UnixDomainSocketConnection)
    assert connection._writer is not None
    room: int = connection._writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    await connection.disconnect()
    await client.aclose()
    return room


async def test_a_unix_socket_takes_a_whole_call(redis_socket: Path) -> None:
    usual = await room_of(Redis(unix_socket_path=str(redis_socket)))
    assert await room_of(redis_at(redis_socket)) > usual
    assert await room_of(redis_of(RedisSettings(url=f"unix://{redis_socket}"))) > usual
