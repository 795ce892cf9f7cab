"""The payments desk of a process: the desk, auto-refills, timers and the follower of low balances, opened together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from rater.catalogue import Catalogue
from rater.directory import Directory
from rater.documents import Documents
from rater.payments.methods import WalletMethods
from rater.plans.model import Method
from rater.settings import Settings
from rater.wallet.store import WalletStore
from schemas.notice import Notice
from streams.crew import Crew
from streams.following import follow_notices
from streams.patience import patiently
from streams.payments.auto_refills import AutoRefills
from streams.payments.desk import PaymentDesk
from streams.payments.due import watch
from streams.payments.invoice import InvoiceProvider
from streams.payments.offers import Offers
from streams.payments.parent import ParentProvider
from streams.payments.provider import Provider

#: Its own place in the notices.
GROUP: Final = "auto-refill"
LOW_BALANCE: Final = "wallet.low_balance"


class Payments:
    """One per process; `run` is a member of its crew."""

    def __init__(
        self, settings: Settings, redis: Any, store: WalletStore, directory: Directory, catalogue: Catalogue,
        clock_ms: Callable[[], int], wake: Callable[[], None], *, kafka: bool,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._kafka = kafka
        self._woken = asyncio.Event()
        self.providers = _providers(settings, store)
        self.offers = Offers(catalogue, store, directory)
        self.methods = Documents(redis, store, "payment-methods", WalletMethods)
        self.desk = PaymentDesk(redis, store, self.providers, clock_ms, wake)
        self.auto_refills = AutoRefills(redis, store, self.desk, self.offers, self.methods, clock_ms, wake)

    async def run(self) -> None:
        """Look at what is due and follow the notices, for ever; cancel to stop."""
        follow = follow_notices(self._settings, GROUP, self._hear, kafka=self._kafka)
        async with Crew(watch(self.look_once, self._woken), follow) as crew:
            await crew.wait(asyncio.Event().wait())

    async def look_once(self) -> int:
        """One round over what is due; answers how much there was."""
        found = await patiently("redis", self.desk.look_once)
        return max(found, await patiently("redis", self.auto_refills.look_once))

    async def close(self) -> None:
        """Let go of the providers' connections."""
        for provider in self.providers.values():
            await provider.close()

    async def _hear(self, notice: Notice) -> None:
        """A wallet that ran low is looked at; a notice that is told again makes it be looked at again."""
        if notice.type == LOW_BALANCE:
            await self.auto_refills.look_soon(notice.tenant, notice.wallet)
            self._woken.set()


def _providers(settings: Settings, store: WalletStore) -> dict[Method, Provider]:
    """The ways to be paid here; by card only with an account at Stripe."""
    providers: dict[Method, Provider] = {"invoice": InvoiceProvider(), "parent": ParentProvider(store)}
    if settings.payments.stripe_key:
        # Its library takes a third of a second to load, and most processes never need it.
        from streams.payments.stripe_provider import StripeProvider

        providers["card"] = StripeProvider(settings.payments)
    return providers
