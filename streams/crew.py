"""Tasks that run beside each other and must not fail: one that does stops whoever waits on the crew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")

#: Longer than any task takes to end in order.
CANCEL_EVERY_S = 15.0


class Crew:
    """Starts its tasks on entry, cancels them at the end. `beside` is another crew whose failure counts as well."""

    def __init__(self, *tasks: Coroutine[Any, Any, None], beside: Crew | None = None) -> None:
        self._coroutines = tasks
        self._tasks: list[asyncio.Task[None]] = []
        self._beside = beside

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(coroutine) for coroutine in self._coroutines]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        # Again in the end: a library may take a cancellation for the end of its own connection, and try once more.
        pending = set(self._tasks)
        while pending:
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=CANCEL_EVERY_S)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """All tasks whose failure counts."""
        return self._tasks + (self._beside.tasks if self._beside else [])

    def check(self) -> None:
        """Raise what a task failed with, if one did."""
        for task in self.tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def wait(self, waiting: Awaitable[T]) -> T:
        """Wait for something, unless a task fails first: then raise what it raised."""
        waiter = asyncio.ensure_future(waiting)
        try:
            await asyncio.wait({waiter, *self.tasks}, return_when=asyncio.FIRST_COMPLETED)
            self.check()
            return await waiter
        finally:
            waiter.cancel()
