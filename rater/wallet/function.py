"""Loads the wallet function into Redis, under a name that carries its version.

Two versions of the engine side by side each call their own functions, so an upgrade needs no pause. `VERSION` is raised
whenever what stands in Redis (keys, packed states, verdicts), or an answer, could be read differently by the version
before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from redis.asyncio import RedisCluster

VERSION = 7
LIBRARY = f"rater_{VERSION}"

#: In the order in which they are joined: each uses what those before it define.
FILES = ("money", "state", "holds", "usage", "plans", "commands", "functions")
_FOLDER = Path(__file__).with_name("lua")


def source(library: str = LIBRARY) -> str:
    """The library as it is loaded."""
    body = "\n".join((_FOLDER / f"{name}.lua").read_text() for name in FILES)
    return f"#!lua name={library}\n" + body.replace("NAME_", f"{library}_")


async def load(redis: Any) -> None:
    """Load the wallet's library."""
    await load_library(redis, LIBRARY, source())


async def load_library(redis: Any, library: str, code: str) -> None:
    """Load a library on every primary, unless it stands there already, to the letter."""
    for node in nodes(redis):
        stored = await redis.execute_command("FUNCTION LIST", "LIBRARYNAME", library, "WITHCODE", **node)
        if code.encode() not in _flat(stored):
            await redis.execute_command("FUNCTION LOAD", "REPLACE", code, **node)


def nodes(redis: Any) -> list[dict[str, Any]]:
    """For each primary the options that send a command to it; one without options if there is no cluster."""
    if isinstance(redis, RedisCluster):
        return [{"target_nodes": node} for node in redis.get_primaries()]
    return [{}]


def _flat(reply: Any) -> list[bytes]:
    if isinstance(reply, dict):
        reply = [part for pair in reply.items() for part in pair]
    if isinstance(reply, list | tuple):
        return [leaf for part in reply for leaf in _flat(part)]
    return [reply] if isinstance(reply, bytes) else [str(reply).encode()]
