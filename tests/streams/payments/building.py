"""Wallets, a catalogue with offers, and a payments desk whose card provider is a server of the test's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import redis.asyncio as redis_async

from rater.catalogue import Catalogue
from rater.directory import Directory
from rater.identity import identity
from rater.money import format_nanos, parse_nanos
from rater.payments.auto_refill import AutoRefillTerms, WalletAutoRefill
from rater.payments.methods import SavedMethod, WalletMethods, saved
from rater.payments.model import Means, Payment, Purpose
from rater.settings import PaymentSettings, Settings
from rater.wallet.entry import Entry, Kind
from rater.wallet.news import Onward
from rater.wallet.outbox import Outbox
from rater.wallet.store import WalletStore
from schemas.notice import Notice
from streams.payments.payments import Payments
from tests.rater.pipeline.conftest import TARIFF
from tests.streams.payments.stripe_server import SECRET, StripeServer, stripe_server

NOW_MS = 1_793_491_200_000  # 2026-11-01T00:00:00Z
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
#: Price and balance differ, so that what is mixed up is seen.
PLAN_WITH_OFFERS = """
plan: offers
zone: UTC
settlement: prepaid
currency: EUR
versions:
  - version: "1"
    effective_from: "2026-01-01T00:00"
    tariff: test-eur
    entitlements: [data, message, voice]
    refills:
      - {name: small, price: "10.00", balance: "11.00"}
      - {name: large, price: "100.00", balance: "120.00"}
      - {name: trusted, price: "50.00", balance: "50.00", given: at-once}
      - {name: company, price: "20.00", balance: "20.00", paid_by: [parent]}
"""


def catalogue() -> Catalogue:
    """One plan with offers."""
    return Catalogue({"tariffs/test.yaml": TARIFF.format(price="1.00"), "plans/offers.yaml": PLAN_WITH_OFFERS})


class Shop:
    """One process's payments, and what a test wants to know of them."""

    def __init__(self, redis: Any, store: WalletStore, server: StripeServer) -> None:
        self.redis = redis
        self.store = store
        self.stripe = server
        self.outbox = Outbox(redis, store)
        self.now_ms = NOW_MS
        self.notices: list[Notice] = []
        self._processes: list[Payments] = []
        self.payments = self.process()

    def process(
        self, redis: Any = None, store: Any = None, *, settings: Settings | None = None, kafka: bool = False
    ) -> Payments:  # fmt: skip
        """Another process on the same wallets."""
        account = PaymentSettings(stripe_key="sk_test_1", stripe_webhook_secret=SECRET, stripe_api_base=self.stripe.url)
        settings = msgspec.structs.replace(settings or Settings(), payments=account)
        redis, store = redis or self.redis, store or self.store
        directory = Directory(redis, store)
        made = Payments(settings, redis, store, directory, catalogue(), lambda: self.now_ms, lambda: None, kafka=kafka)
        self._processes.append(made)
        return made

    async def close(self) -> None:
        """Let go of what the processes hold."""
        for made in self._processes:
            await made.close()

    async def wallet(self, name: str = "w", money: str = "0") -> None:
        """Open a wallet in EUR."""
        await self.apply(Kind.CREATE, name, money, currency="EUR")

    async def apply(self, kind: Kind, wallet: str, money: str, **fields: Any) -> None:
        """Any entry, once."""
        event_id = f"test-{await self.redis.incr('test')}"
        entry = Entry(
            kind=kind, tenant="t", wallet=wallet, identity=identity("t", "test", event_id), fingerprint=bytes(8),
            cause=f"test/{event_id}", amount_nanos=parse_nanos(money), **fields,
        )  # fmt: skip
        await self.store.apply([entry], now_ms=self.now_ms)

    async def balance(self, wallet: str = "w") -> str:
        state = await self.store.wallet("t", wallet)
        assert state is not None
        return format_nanos(state.balance_nanos)

    async def news(self) -> list[tuple[str, str]]:
        """Type and changed money of each notice since the last look; transfers are carried on."""
        found = []
        for shard in range(self.store.shards):
            while items := (await self.outbox.read([shard], 100))[shard].entries:
                for item in items:
                    if isinstance(item.event, Onward):
                        await self.outbox.forward(item.event, now_ms=self.now_ms)
                    if isinstance(item.event, Notice):
                        self.notices.append(item.event)
                        found.append((item.event.type, item.event.data.get("changed_by", "")))
                await self.outbox.delete({shard: [item.id for item in items]})
        return found

    async def saved(self, method: str = "pm_ok", name: str = "card", wallet: str = "w") -> None:
        """A saved payment method, the default one."""
        documents = self.payments.methods
        empty = WalletMethods("t", wallet, version=0)
        await documents.create(empty, wallet)
        kept = SavedMethod(name, Means("cus_1", method))
        await documents.change("t", wallet, lambda found: saved(found, kept, is_default=True))

    async def auto_refill(self, **terms: Any) -> WalletAutoRefill:
        """Small refills by the saved card when 5.00 or less are available, unless said otherwise."""
        content: dict[str, Any] = {
            "plan": "offers", "offer": "small", "method": "card", "threshold_nanos": parse_nanos("5"), "zone": "UTC",
        }  # fmt: skip
        wanted = WalletAutoRefill("t", "w", "w", AutoRefillTerms(**(content | terms)))
        refills = self.payments.auto_refills
        known = await refills.get("t", "w")
        stands = await refills.set(wanted, known.version if known else 0)
        assert stands is not None
        return stands

    async def auto(self) -> WalletAutoRefill:
        found = await self.payments.auto_refills.get("t", "w")
        assert found is not None
        return found

    async def settle(self, payments: Payments | None = None) -> None:
        """Until nothing is due at this time."""
        while await (payments or self.payments).look_once():
            pass

    async def later(self, ms: int, payments: Payments | None = None) -> None:
        """The clock moves, and what is due then is done."""
        self.now_ms += ms
        await self.settle(payments)

    async def hear(self, webhook: tuple[dict[str, str], bytes], payments: Payments | None = None) -> Payment | None:
        """A webhook of the card provider's."""
        chosen = payments or self.payments
        event = await chosen.providers["card"].read_webhook(*webhook)
        return await chosen.desk.take(event) if event is not None else None

    async def payment(self, payment_id: str = "pay_1") -> Payment:
        found = await self.payments.desk.get("t", payment_id)
        assert found is not None
        return found

    async def pay(self, card: str = "pm_ok", payment_id: str = "pay_1", **fields: Any) -> Payment:
        """Make a payment: 100.00 for 120.00, by a saved card."""
        payment, _ = await self.payments.desk.start(self.wanted(card, payment_id, **fields))
        return payment

    def wanted(self, card: str = "pm_ok", payment_id: str = "pay_1", **fields: Any) -> Payment:
        """A payment that is to be made."""
        made: dict[str, Any] = {
            "tenant": "t", "id": payment_id, "account": "w", "wallet": "w",
            "purpose": Purpose("refill", "large", "offers"), "amount_nanos": parse_nanos("100"),
            "balance_nanos": parse_nanos("120"), "currency": "EUR", "method": "card", "created_ms": self.now_ms,
            "means": Means("cus_1", card) if card else Means(),
        }  # fmt: skip
        return Payment(**(made | fields))


@asynccontextmanager
async def shop(socket: Path) -> AsyncIterator[Shop]:
    """A shop on an empty Redis, with a wallet "w" that has nothing."""
    redis = redis_async.Redis(unix_socket_path=str(socket))
    await redis.flushall()
    # Connections are there from the start: who is the first to need one would else come late, and nothing be at once.
    await asyncio.gather(*(redis.ping() for _ in range(12)))
    async with stripe_server() as server:
        opened = Shop(redis, await WalletStore.open(redis, shards=4), server)
        await opened.wallet()
        try:
            yield opened
        finally:
            await opened.close()
            await redis.aclose()
