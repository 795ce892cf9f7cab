"""Over any history of usage, money, ends of periods, payments and deaths all invoices together are what accrued."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis.asyncio as redis_async
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.errors import WalletError
from rater.invoices.model import Closing, Invoice
from rater.money import NANOS
from schemas.notice import Notice
from streams.invoices.desk import InvoiceDesk
from tests.rater.wallet.dying import Crash, DyingRedis
from tests.streams.invoices.building import Billing, desk_of

steps = st.one_of(
    st.tuples(st.just("use"), st.integers(1, 9)),
    st.tuples(st.just("add"), st.integers(1, 30)),
    st.tuples(st.just("close"), st.sampled_from([0, 0, 5])),
    st.tuples(st.just("close_too"), st.sampled_from([0, 5])),
    st.tuples(st.just("follow"), st.integers(0, 3)),
    st.tuples(st.just("again"), st.integers(0, 9)),
    st.tuples(st.just("pay"), st.integers(0, 9)),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
)
#: After so many commands the process dies, before or after the command was carried out; None: it lives.
deaths = st.none() | st.tuples(st.integers(0, 14), st.booleans())
histories = st.lists(st.tuples(steps, deaths), max_size=24)


class History:
    """A wallet, the closings that were told and how far a follower is, and what the books of a pencil say."""

    def __init__(self, billing: Billing) -> None:
        self.billing = billing
        self.told: list[Closing] = []
        self.followed = 0
        self.accrued = 0
        self.added = 0
        self.until_ms = 1_000

    async def use(self, desk: InvoiceDesk, units: int) -> None:
        await self.billing.use(str(units))
        self.accrued += units

    async def add(self, desk: InvoiceDesk, units: int) -> None:
        await self.billing.add(str(units))
        self.added += units

    async def close(self, desk: InvoiceDesk, fee: int) -> None:
        self.until_ms += 1_000
        await self.close_too(desk, fee)

    async def close_too(self, desk: InvoiceDesk, fee: int) -> None:
        """Another SIM at the same instant."""
        self.told.append(await self.billing.close(self.until_ms, str(fee)))
        self.accrued += fee

    async def follow(self, desk: InvoiceDesk, count: int) -> None:
        for closing in self.told[self.followed : self.followed + count]:
            await desk.close(closing)
            self.followed += 1

    async def again(self, desk: InvoiceDesk, which: int) -> None:
        """A reader that starts behind what is done."""
        for closing in self.told[which % (self.followed + 1) : self.followed]:
            await desk.close(closing)

    async def pay(self, desk: InvoiceDesk, which: int) -> None:
        invoices = await self.invoices()
        if invoices:
            with suppress(WalletError):
                await desk.pay(invoices[which % len(invoices)])

    async def cancel(self, desk: InvoiceDesk, which: int) -> None:
        invoices = await self.invoices()
        if invoices:
            with suppress(WalletError):
                await desk.cancel(invoices[which % len(invoices)])

    async def invoices(self) -> list[Invoice]:
        return (await self.billing.desk.shelf.of_wallet("t", "w", 1_000, ""))[0]


async def play(socket: Path, history: list[Any]) -> None:
    redis = redis_async.Redis(unix_socket_path=str(socket))
    await redis.flushall()
    played = History(await Billing.open(redis))
    for (name, what), death in history:
        mortal = redis if death is None else DyingRedis(redis, death[0], after=death[1])
        with suppress(Crash):
            await getattr(played, name)(desk_of(mortal), what)
    sound = desk_of(redis)
    for invoice in await played.invoices():  # what was confirmed by somebody who died is confirmed again
        if invoice.status == "open" and invoice.confirmed_ms:
            await sound.pay(invoice)
    await played.follow(sound, len(played.told))
    await played.close(sound, 0)
    await played.follow(sound, 1)
    await check(played)
    await redis.aclose()


async def check(played: History) -> None:
    invoices, billing = await played.invoices(), played.billing
    assert len({invoice.until_ms for invoice in invoices}) == len(invoices), "each period once"
    totals = dict.fromkeys(("open", "paid", "cancelled"), 0)
    for invoice in invoices:
        totals[invoice.status] += invoice.total_nanos // NANOS
    balance = await billing.balance() // NANOS
    assert balance == played.added + totals["paid"] - played.accrued, "what is paid is credited once"
    assert max(0, -balance) <= totals["open"], "all that is owed is invoiced"
    if not played.added:
        assert totals["open"] + totals["paid"] == played.accrued, "and nothing else"
    news = [event for event in await billing.wallets.news() if isinstance(event, Notice)]
    told = sorted(event.id for event in news)
    every = [f"invoice/{one.id}/issued" for one in invoices]
    assert told == sorted(every + [f"invoice/{one.id}/paid" for one in invoices if one.status == "paid"])


@settings(max_examples=150)
@given(histories)
def test_all_invoices_together_are_what_accrued_and_each_is_paid_once(redis_socket: Path, history: list[Any]) -> None:
    asyncio.run(play(redis_socket, history))
