"""The orders of a process: the desk, its timers, and the follower that hears which payments of orders have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from rater.directory import Directory
from rater.settings import Settings
from rater.subscriptions import Subscriptions
from rater.wallet.store import WalletStore
from schemas.notice import Notice
from streams.crew import Crew
from streams.following import follow_notices
from streams.orders.desk import OrderDesk
from streams.patience import patiently
from streams.payments.desk import PaymentDesk
from streams.payments.due import watch

#: Its own place in the notices.
GROUP: Final = "orders"
#: An order goes on once its payment has ended.
ENDED: Final = frozenset({"payment.confirmed", "payment.declined", "payment.cancelled"})


class Orders:
    """One per process; `run` is a member of its crew."""

    def __init__(
        self, settings: Settings, redis: Any, store: WalletStore, directory: Directory, subscriptions: Subscriptions,
        payments: PaymentDesk, clock_ms: Callable[[], int], wake: Callable[[], None], *, kafka: bool,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._kafka = kafka
        self._woken = asyncio.Event()
        self.desk = OrderDesk(redis, store, directory, subscriptions, payments, clock_ms, wake)

    async def run(self) -> None:
        """Look at what is due and follow the notices, for ever; cancel to stop."""
        follow = follow_notices(self._settings, GROUP, self.hear, kafka=self._kafka)
        async with Crew(watch(self._look_once, self._woken), follow) as crew:
            await crew.wait(asyncio.Event().wait())

    async def hear(self, notice: Notice) -> None:
        """Of an order's payment that has ended; told again, it is looked at again."""
        if notice.type in ENDED and notice.data.get("purpose") == "order":
            await self.desk.look_soon(notice.tenant, notice.data["name"])
            self._woken.set()

    async def _look_once(self) -> int:
        return await patiently("redis", self.desk.look_once)
