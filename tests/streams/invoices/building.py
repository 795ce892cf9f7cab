"""A wallet that owes, and the ends of its periods, without plans around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rater.identity import identity
from rater.invoices.model import Closing, Invoice
from rater.pipeline.stepper import SOURCE as PLANS
from rater.wallet.entry import Kind
from rater.wallet.store import WalletStore
from streams.invoices.desk import InvoiceDesk
from streams.invoices.shelf import Shelf
from tests.rater.wallet.building import NOW_MS, Wallets, amount, create, entry

SHARDS = 2


@dataclass
class Billing:
    """Wallet "w" of tenant "t" with a floor far below, and the desk of one process."""

    wallets: Wallets
    desk: InvoiceDesk
    closings: int = 0

    @classmethod
    async def open(cls, redis: Any, balance: str = "0") -> Billing:
        store = await WalletStore.open(redis, shards=SHARDS)
        wallets = Wallets(redis, store)
        await wallets.decide(create(balance, floor_nanos=amount("-1000000")))
        return cls(wallets, desk_of(redis))

    async def use(self, money: str) -> None:
        await self.wallets.decide(entry(Kind.DEBIT, money))

    async def add(self, money: str) -> None:
        await self.wallets.decide(entry(Kind.CREDIT, money))

    async def close(self, until_ms: int = 0, fee: str = "0") -> Closing:
        """A step that ends a period and charges the next one's fee."""
        self.closings += 1
        step = f"w/line/{self.closings}"
        found = identity("t", PLANS, step)
        await self.wallets.decide(entry(Kind.DEBIT, fee, identity=found, cause=f"{PLANS}/{step}"))
        return Closing("t", "w", 0, until_ms or self.closings * 1_000, step)

    async def invoice(self, closing: Closing) -> Invoice:
        """Have it made."""
        made = await self.desk.close(closing)
        assert made is not None
        return made

    async def balance(self) -> int:
        return await self.wallets.balance("w")


def desk_of(redis: Any) -> InvoiceDesk:
    """Of another process."""
    store = WalletStore(redis, SHARDS, "process")
    return InvoiceDesk(Shelf(redis, store), store, account_of, lambda: NOW_MS)


async def account_of(tenant: str, wallet: str) -> str:
    """Whose a wallet is here."""
    return f"{wallet}-account"
