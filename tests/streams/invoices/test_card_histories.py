"""Over any history of invoices paid by card, by hand or twice, of refunds and chargebacks the books are right."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.errors import WalletError
from rater.identity import identity
from rater.invoices.model import Closing, Invoice, Received, received_of
from rater.money import NANOS, parse_nanos
from rater.payments.model import Purpose
from rater.pipeline.stepper import SOURCE as PLANS
from rater.wallet.entry import Entry, Kind
from streams.invoices.desk import InvoiceDesk
from streams.invoices.shelf import Shelf
from streams.payments.provider import NoAnswerError
from tests.streams.invoices.building import account_of
from tests.streams.payments.building import HOUR_MS, Shop, shop
from tests.streams.payments.mortal import Crash, Life, mortal_process

pytestmark = pytest.mark.slow
#: Nothing can go wrong before there is an invoice.
BEGUN: list[Any] = [(name, 7, (10_000, False)) for name in ("use", "close", "follow")]
CARDS = ["pm_ok", "pm_later", "pm_declined", ""]


class Office:
    """A wallet that owes, its invoices, who pays them, and what a pencil says of it all."""

    def __init__(self, till: Shop) -> None:
        self.till = till
        self.desk = self.desk_of(till.redis, till.store)
        self.told: list[Closing | Received] = []
        self.followed = 0
        self.closings = 0
        self.payments = 0
        self.accrued = 0
        self.added = 0
        #: By intent: what went back in all, and what is disputed now; None once it was won.
        self.refunded: dict[str, int] = {}
        self.disputed: dict[str, int | None] = {}

    def desk_of(self, redis: Any, store: Any) -> InvoiceDesk:
        return InvoiceDesk(Shelf(redis, store), store, account_of, lambda: self.till.now_ms)

    def mortal(self, steps: int, *, after: bool) -> InvoiceDesk:
        life = Life(steps, after=after)
        return self.desk_of(life.mortal(self.till.redis), life.mortal(self.till.store))

    async def use(self, units: int, *_: Any) -> None:
        await self.till.apply(Kind.DEBIT, "w", str(units))
        self.accrued += units

    async def add(self, units: int, *_: Any) -> None:
        await self.till.apply(Kind.CREDIT, "w", str(units))
        self.added += units

    async def close(self, fee: int, *_: Any) -> None:
        self.closings += 1
        step = f"w/line/{self.closings}"
        ends = Entry(
            kind=Kind.DEBIT, tenant="t", wallet="w", identity=identity("t", PLANS, step), fingerprint=bytes(8),
            cause=f"{PLANS}/{step}", amount_nanos=fee * NANOS,
        )  # fmt: skip
        await self.till.store.apply([ends], now_ms=self.till.now_ms)
        self.accrued += fee
        self.told.append(Closing("t", "w", 0, self.closings * 1_000, step))

    async def follow(self, count: int, steps: int, after: bool) -> None:
        """Some of what was told is acted on, by a reader that may die and then begins again where it was."""
        desk = self.mortal(steps, after=after)
        for one in self.told[self.followed : self.followed + count]:
            await (desk.close(one) if isinstance(one, Closing) else desk.receive(one))
            self.followed += 1

    async def again(self, which: int, *_: Any) -> None:
        for one in self.told[which % (self.followed + 1) : self.followed]:
            await (self.desk.close(one) if isinstance(one, Closing) else self.desk.receive(one))

    async def pay(self, which: int, steps: int, after: bool) -> None:
        if invoice := await self.chosen(which):
            with suppress(WalletError):
                await self.mortal(steps, after=after).pay(invoice)

    async def cancel(self, which: int, steps: int, after: bool) -> None:
        if invoice := await self.chosen(which):
            with suppress(WalletError):
                await self.mortal(steps, after=after).cancel(invoice)

    async def card(self, which: int, steps: int, after: bool) -> None:
        """A payment is begun, also of an invoice that is paid or cancelled: it was open when the payer began."""
        invoice = await self.chosen(which)
        if invoice is None:
            return
        self.payments += 1
        wanted = self.till.wanted(
            CARDS[which % 4], f"pay_{self.payments}", purpose=Purpose("invoice", invoice.id),
            amount_nanos=invoice.total_nanos, balance_nanos=0,
        )  # fmt: skip
        payments, _ = mortal_process(self.till, steps, after=after)
        await payments.desk.start(wanted)

    async def decide(self, which: int, *_: Any) -> None:
        for intent in self.till.stripe.intents.values():
            if intent["status"] == "processing" or (not which % 3 and intent["status"] == "requires_payment_method"):
                self.till.stripe.decide(intent["id"], "succeeded")

    async def tell(self, which: int, steps: int, after: bool) -> None:
        if intents := list(self.till.stripe.intents):
            payments, _ = mortal_process(self.till, steps, after=after)
            await self.till.hear(self.till.stripe.told(intents[which % len(intents)]), payments)

    async def refund(self, which: int, steps: int, after: bool) -> None:
        """A half, or all; what is told of it may come twice, or late."""
        if (intent := self.paid(which)) is None:
            return
        total = self.refunded.get(intent["id"], 0)
        self.refunded[intent["id"]] = max(total, intent["amount"] // (1 + which % 2))
        await self._hear(self.till.stripe.refund(intent["id"], self.refunded[intent["id"]]), steps, after)

    async def dispute(self, which: int, steps: int, after: bool) -> None:
        if (intent := self.paid(which)) is None or intent["id"] in self.disputed:
            return
        self.disputed[intent["id"]] = intent["amount"]
        for what in ("created", "funds_withdrawn"):
            await self._hear(self._about("dispute", intent["id"], what), steps, after)

    async def win(self, which: int, steps: int, after: bool) -> None:
        if (intent := self.paid(which)) is None or not self.disputed.get(intent["id"]):
            return
        self.disputed[intent["id"]] = None
        await self._hear(self._about("dispute", intent["id"], "funds_reinstated"), steps, after)

    async def later(self, which: int, *_: Any) -> None:
        await self.till.later([61_000, HOUR_MS, 7 * HOUR_MS][which % 3])

    async def _hear(self, webhook: Any, steps: int, after: bool) -> None:
        """Stripe tells it again to who gave no answer."""
        payments, _ = mortal_process(self.till, steps, after=after)
        with suppress(Crash):
            await self.till.hear(webhook, payments)
        await self.till.hear(webhook)

    def _about(self, sort: str, intent: str, what: str) -> Any:
        return getattr(self.till.stripe, sort)(intent, what, self.till.stripe.intents[intent]["amount"])

    def paid(self, which: int) -> dict[str, Any] | None:
        paid = self.till.stripe.paid
        return paid[which % len(paid)] if paid else None

    async def chosen(self, which: int) -> Invoice | None:
        invoices = await self.invoices()
        return invoices[which % len(invoices)] if invoices else None

    async def invoices(self) -> list[Invoice]:
        return (await self.desk.shelf.of_wallet("t", "w", 1_000, ""))[0]

    async def hear_of(self) -> None:
        """What was told of payments comes behind what was told before."""
        before = len(self.till.notices)
        await self.till.news()
        received = (received_of(notice) for notice in self.till.notices[before:])
        self.told += [one for one in received if one is not None]

    @property
    def from_cards(self) -> int:
        """What cards paid and kept, in cents."""
        kept = 0
        for intent in self.till.stripe.paid:
            lost = self.refunded.get(intent["id"], 0) + (self.disputed.get(intent["id"]) or 0)
            kept += intent["amount"] - min(intent["amount"], lost)
        return kept


async def play(socket: Path, history: list[Any]) -> None:
    async with shop(socket) as till:
        await till.apply(Kind.FLOOR, "w", "-1000000")
        office = Office(till)
        for name, which, (steps, after) in BEGUN + history:
            with suppress(Crash, NoAnswerError):
                await getattr(office, name)(which, steps, after)
            await office.hear_of()
        for _ in range(8):
            await office.decide(1)
            await office.later(2)
            await office.hear_of()
        for invoice in await office.invoices():  # what was confirmed by somebody who died is confirmed again
            if invoice.status == "open" and invoice.confirmed_ms and not invoice.paid_by:
                await office.desk.pay(invoice)
        await office.close(0)
        await office.follow(len(office.told), 10_000, False)
        await office.hear_of()
        await check(office)


async def check(office: Office) -> None:
    invoices = await office.invoices()
    by_hand = sum(one.total_nanos for one in invoices if one.status == "paid" and not one.paid_by) // NANOS
    balance = parse_nanos(await office.till.balance())
    cards_nanos = office.from_cards * NANOS // 100
    assert balance == (office.added + by_hand - office.accrued) * NANOS + cards_nanos, "all that was paid, and no more"
    still_open = sum(one.total_nanos for one in invoices if one.status == "open")
    assert max(0, -balance) <= still_open, "all that is owed is invoiced"
    paid = [one for one in invoices if one.status == "paid"]
    told = [notice.data["invoice"] for notice in office.till.notices if notice.type == "invoice.paid"]
    assert len(set(told)) == len(told)
    assert {one.id for one in paid} <= set(told)


moves = st.sampled_from(
    ["use", "use", "add", "close", "close", "follow", "follow", "again", "pay", "cancel", "card", "card", "decide",
     "tell", "refund", "dispute", "win", "later"]
)  # fmt: skip
deaths = st.tuples(st.just(10_000) | st.integers(0, 30), st.booleans())


@settings(max_examples=60)
@given(st.lists(st.tuples(moves, st.integers(1, 12), deaths), min_size=4, max_size=30))
def test_the_wallet_has_what_was_paid_for_its_invoices_and_was_not_taken_back(
    redis_socket: Path, history: list[Any]
) -> None:
    asyncio.run(play(redis_socket, history))
