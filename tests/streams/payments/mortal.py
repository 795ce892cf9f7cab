"""A process that dies at a step of its own: before or after any call that leaves it (Redis, wallets, provider)."""

from __future__ import annotations

from typing import Any

from streams.payments.payments import Payments
from tests.streams.payments.building import Shop

#: Calls that read or change something outside.
_STEPS = {
    "eval",
    "zadd",
    "get",
    "mget",
    "apply",
    "replace",
    "wallet",
    "decided",
    "create",
    "look",
    "cancel",
    "read_webhook",
}


class Crash(BaseException):
    """The process is gone; nothing may catch it and go on."""


class Life:
    """So many steps, then death: before the next one is made, or after it was made and before anybody knows."""

    def __init__(self, steps: int, *, after: bool) -> None:
        self.left = steps
        self._after = after

    @property
    def is_over(self) -> bool:
        """Whether it died."""
        return self.left < 0

    def mortal(self, part: Any) -> Any:
        """The part, as this process sees it."""
        return _Mortal(self, part)

    async def step(self, method: Any, arguments: Any, options: Any) -> Any:
        if self.left < 0:
            raise Crash
        self.left -= 1
        if self.left < 0 and not self._after:
            raise Crash
        answer = await method(*arguments, **options)
        if self.left < 0:
            raise Crash
        return answer


class _Mortal:
    def __init__(self, life: Life, part: Any) -> None:
        self._life = life
        self._part = part

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._part, name)
        if name not in _STEPS:
            return method

        async def step(*arguments: Any, **options: Any) -> Any:
            return await self._life.step(method, arguments, options)

        return step


def mortal_process(shop: Shop, steps: int, *, after: bool) -> tuple[Payments, Life]:
    """A process of the shop that dies after so many steps."""
    life = Life(steps, after=after)
    payments = shop.process(life.mortal(shop.redis), life.mortal(shop.store))
    for method, provider in payments.providers.items():
        payments.providers[method] = life.mortal(provider)
    return payments, life
