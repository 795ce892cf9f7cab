"""The payments desk of a process: the desk, auto-refills, timers and the follower of low balances, opened together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from rater.catalogue import Catalogue
from rater.directory import Directory
from rater.payments.methods import WalletMethods
from rater.plans.model import Method
from rater.settings import Settings
from rater.wallet.store import WalletStore
from schemas.notice import Notice
from streams.crew import Crew
from streams.opening import open_source
from streams.patience import patiently
from streams.payments.auto_refills import AutoRefills
from streams.payments.desk import PAGE, PaymentDesk
from streams.payments.documents import Documents
from streams.payments.invoice import InvoiceProvider
from streams.payments.offers import Offers
from streams.payments.parent import ParentProvider
from streams.payments.provider import Provider
from streams.topics import NOTICES, records_of

log = logging.getLogger(__name__)

#: Its own place in the notices.
GROUP: Final = "auto-refill"
LOW_BALANCE: Final = "wallet.low_balance"
#: How often is looked for what is due. The clock may be moved, so nobody sleeps until a time.
POLL_S = 1.0
READ_ROWS = 1000
READ_S = 1.0

_decode = msgspec.json.Decoder(Notice).decode


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
        async with Crew(self._look(), self._follow()) as crew:
            await crew.wait(asyncio.Event().wait())

    async def look_once(self) -> int:
        """One round over what is due; answers how much there was."""
        found = await patiently("redis", self.desk.look_once)
        return max(found, await patiently("redis", self.auto_refills.look_once))

    async def close(self) -> None:
        """Let go of the providers' connections."""
        for provider in self.providers.values():
            await provider.close()

    async def _look(self) -> None:
        while True:
            self._woken.clear()
            if await self.look_once() < PAGE:
                try:
                    async with asyncio.timeout(POLL_S):
                        await self._woken.wait()
                except TimeoutError:
                    pass

    async def _follow(self) -> None:
        async with open_source(self._settings, GROUP, kafka=self._kafka, topics=(NOTICES,)) as source:
            while True:
                for record in records_of(await patiently("kafka", partial(source.read, READ_ROWS, READ_S))):
                    await self._hear(record.value)
                await patiently("kafka", source.commit)

    async def _hear(self, value: bytes) -> None:
        """A wallet that ran low is looked at; a notice that is told again makes it be looked at again."""
        try:
            notice = _decode(value)
        except msgspec.DecodeError as error:  # none of ours: somebody else writes to the topic
            log.error("a notice cannot be read, and is left out: %s", error)
            return
        if notice.type == LOW_BALANCE:
            await patiently("redis", partial(self.auto_refills.look_soon, notice.tenant, notice.wallet))
            self._woken.set()


def _providers(settings: Settings, store: WalletStore) -> dict[Method, Provider]:
    """The ways to be paid here; by card only with an account at Stripe."""
    providers: dict[Method, Provider] = {"invoice": InvoiceProvider(), "parent": ParentProvider(store)}
    if settings.payments.stripe_key:
        # Its library takes a third of a second to load, and most processes never need it.
        from streams.payments.stripe_provider import StripeProvider

        providers["card"] = StripeProvider(settings.payments)
    return providers
