"""What commands share: the opened parts, and running a coroutine to its end."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from rater.settings import Settings

T = TypeVar("T")


def with_parts(settings: Settings, act: Callable[[Any], Awaitable[T]]) -> T:
    """Open Redis as the settings say, run `act(parts)`, publish what it put in the outbox, close.

    `parts` has `redis`, `store`, `directory`, `outbox` and `clock_ms`; see streams/parts.py. It is loaded by name
    because the engine's package imports nothing of the streams package.
    """
    engine = importlib.import_module("streams.engine")

    async def run() -> T:
        async with engine.open_parts(settings) as parts:
            result = await act(parts)
            await engine.publish_outbox(parts)
            return result

    return asyncio.run(run())
