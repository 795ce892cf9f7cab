"""A wallet store whose process dies between two steps."""

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
