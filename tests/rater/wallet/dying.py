"""A wallet store, or a whole Redis, whose user's process dies between two steps."""

from __future__ import annotations

from typing import Any

from rater.wallet.store import WalletStore


class Crash(BaseException):
    """The process is gone; nothing may catch it and go on."""


class _Dying:
    def __init__(self, store: WalletStore, steps: int) -> None:
        self._store = store
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in ("apply", "replace"):
            return method

        async def step(*arguments: Any, **options: Any) -> Any:
            if self._steps == 0:
                raise Crash
            self._steps -= 1
            return await method(*arguments, **options)

        return step


def dying(store: WalletStore, steps: int) -> Any:
    """The store for a process that dies after so many calls that change something."""
    return _Dying(store, steps)


class DyingRedis:
    """A client of a process that dies at one of its commands: before Redis has it, or after, unaware of the answer."""

    def __init__(self, redis: Any, steps: int, *, after: bool = False) -> None:
        self._redis = redis
        self._steps = steps
        self._after = after

    def pipeline(self, **options: Any) -> Any:
        pipeline = self._redis.pipeline(**options)
        execute = pipeline.execute
        pipeline.execute = lambda: self._step(execute)
        return pipeline

    def scan_iter(self, *arguments: Any, **options: Any) -> Any:
        """Reading; the dead read no more."""
        if self._steps < 0:
            raise Crash
        return self._redis.scan_iter(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._redis, name)

        async def command(*arguments: Any, **options: Any) -> Any:
            return await self._step(lambda: method(*arguments, **options))

        return command

    async def _step(self, command: Any) -> Any:
        if self._steps <= 0:  # the dead stay dead
            if self._steps == 0 and self._after:
                self._steps -= 1
                await command()
            raise Crash
        self._steps -= 1
        return await command()
