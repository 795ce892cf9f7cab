"""Takes orders and brings each to its end, over crashes, late payments, notices told twice, two processes at once.

1. put     the order's name stands among what is due. A crash: there is no order to look at, the name is dropped.
2. record  the order is listed and written down, `pending`, with its figures. A crash: the timers go on with it.
3. pay     where somebody pays the wallet first: the payments desk makes the payment, whose id follows from the order's.
           Its balance is the order's total. A crash: it is made or found by the next who looks.
4. make    once it is paid and the wallet has the money: the step of the subscription, with its fee and VAT and the
           notice `order.done`, in one call under the order's id. A crash: it is found made.
5. give up where the payment was declined, or the step can no longer be made: the reason is written down, then the id
           of the step is taken by the notice `order.failed`. If the step was made meanwhile, it stays made. A crash
           between the two: the next who looks goes on giving up. Money that was paid stays in the wallet.
6. mark    the order says what came of it. A crash: again from 4 or 5, which find it decided.
7. leave   the name leaves what is due, or stands there for the next look.

Who hears of a confirmed payment only puts the order among what is due; so a notice may come late, twice or never.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from rater.directory import Directory
from rater.documents import Documents
from rater.errors import PlanError, WalletError
from rater.money import format_nanos
from rater.orders.entries import GIVEN_UP, giving_up, is_made, quote_requested, told_of_failure
from rater.orders.model import PROVIDERS, Order
from rater.orders.step import step_of
from rater.payments.model import Payment, Purpose
from rater.pipeline.choosing import Subject
from rater.plans.life import Step, Subscription, View
from rater.subscriptions import Subscriptions
from rater.wallet.entry import Decision, Stale
from rater.wallet.store import WalletStore
from streams.payments.desk import LOOK_MAX_MS, LOOK_MIN_MS, PaymentDesk
from streams.payments.due import PAGE, Due, each

log = logging.getLogger(__name__)

DUE: Final = "orders"
_replace = msgspec.structs.replace


class OrderDesk:
    """One per process; any number of them share the orders."""

    def __init__(
        self, redis: Any, store: WalletStore, directory: Directory, subscriptions: Subscriptions,
        payments: PaymentDesk, clock_ms: Callable[[], int], wake: Callable[[], None],
    ) -> None:  # fmt: skip
        self._redis = redis
        self._store = store
        self._directory = directory
        self._subscriptions = subscriptions
        self._payments = payments
        self._clock_ms = clock_ms
        self._wake = wake
        self._documents = Documents(redis, store, "order", Order)
        self._due = Due(redis, DUE)

    async def get(self, tenant: str, order_id: str) -> Order | None:
        """An order as it stands."""
        return await self._documents.get(tenant, order_id)

    async def page(self, tenant: str, sim: str, limit: int, before: str = "") -> tuple[list[Order], str]:
        """Orders of a SIM, the newest first, and where the next page begins, if any."""
        start = f"({before}" if before else "+"
        entries = await self._redis.zrevrangebylex(_list_key(tenant, sim), start, "-", start=0, num=limit + 1)
        shown = [entry.decode() for entry in entries[:limit]]
        orders = await self._documents.many(tenant, [entry.partition("/")[2] for entry in shown])
        return orders, shown[-1] if len(entries) > limit else ""

    async def start(self, order: Order) -> tuple[Order, bool]:
        """Take an order, or go on with the one of this id; answers it as it stands, and whether it is new."""
        token = await self._due.put(_name(order.tenant, order.id), self._clock_ms() + LOOK_MIN_MS)
        await self._redis.zadd(_list_key(order.tenant, order.sim), {f"{order.created_ms:015d}/{order.id}": 0})
        stored, is_new = await self._documents.create(order, order.id)
        return await self._go_on(stored, token), is_new

    async def look_soon(self, tenant: str, order_id: str) -> None:
        """Let an order be looked at by whoever is first."""
        if await self.get(tenant, order_id) is not None:
            await self._due.put(_name(tenant, order_id), self._clock_ms())

    async def look_once(self) -> int:
        """Look at the orders that are due; answers how many there were."""
        claimed = await self._due.claim(self._clock_ms(), PAGE)
        await each(claimed, self._look, "order")
        return len(claimed)

    async def payment_of(self, order: Order) -> Payment | None:
        """The payment of an order, where it has been made."""
        return await self._payments.get(order.tenant, order.payment_id) if order.payment_id else None

    async def _look(self, name: str, token: int) -> None:
        tenant, order_id = msgspec.json.decode(name, type=tuple[str, str])
        order = await self.get(tenant, order_id)
        if order is None:  # a crash came between steps 1 and 2
            await self._due.again(name, token, None)
        else:
            await self._go_on(order, token)

    async def _go_on(self, order: Order, token: int) -> Order:
        """Steps 3 to 7."""
        if order.status == "requested":
            await self._store.apply([quote_requested(order)], now_ms=self._clock_ms())
            self._wake()
        elif order.status == "pending":
            order = await (self._give_up(order) if order.reason else self._pay(order))
        await self._due.again(_name(order.tenant, order.id), token, self._next_ms(order))
        return order

    def _next_ms(self, order: Order) -> int | None:
        if order.status != "pending":
            return None
        now_ms = self._clock_ms()
        return now_ms + min(max(now_ms - order.created_ms, LOOK_MIN_MS), LOOK_MAX_MS)

    async def _pay(self, order: Order) -> Order:
        """Step 3, and what follows from how the payment stands."""
        if not order.is_paid_by_provider:
            return await self._make(order)
        payment = await self.payment_of(order)
        if payment is None or payment.status == "created" or (payment.status == "confirmed" and payment.open):
            payment, _ = await self._payments.start(payment or _payment_for(order))
        if payment.status in ("declined", "cancelled"):
            return await self._failing(order, f"payment_{payment.status}", payment.reason)
        # Until the wallet has the money the step would be refused, for good.
        is_given = payment.status == "confirmed" and not payment.open
        return await self._make(order) if is_given else order

    async def _make(self, order: Order) -> Order:
        """Step 4. Where the SIM is now is read first: from a wallet that it has left nothing can be made any more."""
        subscriber = await self._directory.get(order.tenant, order.sim)
        assert subscriber is not None, "SIMs are never removed"
        decision = await self._subscriptions.decided(order.tenant, order.wallet, order.request)
        if decision is not None:
            return await self._concluded(order, decision)
        try:
            subject = self._subscriptions.subject(subscriber, self._clock_ms())
            if subject.wallet.name != order.wallet:
                detail = f"the SIM has moved to wallet {subject.wallet.name}"
                return await self._failing(order, "moved", detail)
            wanted = partial(_step, order, subject)
            decision = await self._subscriptions.decide(subject, wanted, order.request, order.tax_nanos)
        except PlanError as error:
            return await self._failing(order, "not_possible", str(error))
        except WalletError as error:  # it moves at this moment, or is busy: the next look finds out
            log.warning("order %s: %s", order.id, error)
            return order
        self._wake()
        return await self._concluded(order, decision)

    async def _concluded(self, order: Order, decision: Decision) -> Order:
        """What the wallet decided under the order's id."""
        if is_made(decision):
            return await self._mark_done(order, decision)
        if decision.fingerprint == GIVEN_UP:
            return await self._mark(order, "failed")
        short_nanos = order.total_nanos - decision.balance_before_nanos
        detail = f"{order.wallet} had {format_nanos(decision.balance_before_nanos)}"
        if decision.reason.label == "insufficient_balance" and short_nanos > 0:
            detail += f" and was short by {format_nanos(short_nanos)}"
        return await self._failing(order, decision.reason.label, detail)

    async def _failing(self, order: Order, reason: str, detail: str) -> Order:
        """Step 5, its first half. The first reason stands."""
        now_ms = self._clock_ms()

        def after(found: Order) -> Order:
            if found.status != "pending" or found.reason:
                return found
            return _replace(found, reason=reason, detail=detail, changed_ms=now_ms)

        failing = await self._documents.change(order.tenant, order.id, after)
        return await self._give_up(failing) if failing.status == "pending" else failing

    async def _give_up(self, order: Order) -> Order:
        """Step 5, its second half."""
        (answer,) = await self._store.apply([giving_up(order)], now_ms=self._clock_ms())
        if isinstance(answer, Stale):
            log.error("order %s: the wallet %s does not take it: %s", order.id, order.wallet, answer.why)
            return order
        if is_made(answer):
            return await self._mark_done(order, answer)
        if answer.fingerprint != GIVEN_UP:
            await self._store.apply([told_of_failure(order)], now_ms=self._clock_ms())
        self._wake()
        return await self._mark(order, "failed")

    async def _mark_done(self, order: Order, decision: Decision) -> Order:
        """Step 6. What is given back by a step is no charge to the wallet: it is as it was ordered."""
        charged_nanos = decision.charged_nanos or min(0, order.total_nanos)
        return await self._mark(
            order, "done", reason="", detail="", charged_nanos=charged_nanos,
            balance_before_nanos=decision.balance_before_nanos,
        )  # fmt: skip

    async def _mark(self, order: Order, status: str, **fields: Any) -> Order:
        now_ms = self._clock_ms()

        def after(found: Order) -> Order:
            if found.status != "pending":
                return found
            changed = _replace(found, status=status, **fields)
            return _replace(changed, changed_ms=now_ms)

        return await self._documents.change(order.tenant, order.id, after)


def _step(order: Order, subject: Subject, subscription: Subscription, view: View) -> Step:
    return step_of(order, subscription, view, subject.at_ms)


def _payment_for(order: Order) -> Payment:
    """The wallet is given what the order costs, and not more."""
    return Payment(
        tenant=order.tenant,
        id=order.payment_id,
        account=order.account,
        wallet=order.wallet,
        purpose=Purpose("order", order.id, order.item.plan),
        amount_nanos=order.total_nanos,
        balance_nanos=order.total_nanos,
        currency=order.currency,
        method=PROVIDERS[order.payment],
        created_ms=order.created_ms,
        means=order.means,
    )


def _name(tenant: str, order_id: str) -> str:
    """The order among what is due."""
    return msgspec.json.encode((tenant, order_id)).decode()


def _list_key(tenant: str, sim: str) -> str:
    return f"orders:{tenant}:{sim}"
