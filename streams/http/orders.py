"""Orders over HTTP: what one costs before it is confirmed, ordered and paid in one, looked at; quotes asked for.

The Idempotency-Key is the order's id. What stands in the way of an order refuses it before anything is kept, as its
preview says it. What is in the way only later, once it is paid, fails the order, and the money stays in the wallet.
"""

from __future__ import annotations

from typing import Any

import msgspec

from rater.accounts.roles import ROLES
from rater.orders.model import Asker, Item, Order
from streams.http.endpoint import Call, Endpoint, NoForm
from streams.http.forms import instant, money
from streams.http.forms_orders import (
    NewOrder,
    OrderLineOut,
    OrderList,
    OrderOut,
    OrderPreviewOut,
    OrderRefusal,
    OrdersQuery,
    PreviewForm,
    QuoteRequest,
    SimItemOut,
)
from streams.http.order_pricing import quote_wallet
from streams.http.paging import cursor_of, place_of
from streams.http.plans import plan_in_force
from streams.http.problems import Problem
from streams.http.sim_orders import check_expected, quote_sim
from streams.http.sims import find_sim
from streams.http.subscriptions import asker, subject_of

_encode = msgspec.json.Encoder().encode
_order = msgspec.json.Decoder(Order).decode


async def preview(call: Call[PreviewForm]) -> OrderPreviewOut:
    """Add an order up."""
    form = call.form
    if form.sim or form.item is not None:
        if form.wallet or form.items is not None:
            raise Problem("invalid", "an order is for a SIM, or for a wallet: take one out", "wallet")
        if not form.sim:
            raise Problem("invalid", "say for which SIM", "sim")
        if form.item is None:
            raise Problem("invalid", "say what is ordered", "item")
        return (await quote_sim(call, form, form.item)).shown(form.billing_country)
    if not form.wallet:
        raise Problem("invalid", "say for which SIM, or for which wallet", "wallet")
    if form.items is None:
        raise Problem("invalid", "say what is ordered", "items")
    return await quote_wallet(call)


async def order(call: Call[NewOrder]) -> OrderOut:
    """Order, pay, and make it at once if that is possible."""
    _check_id(call)
    known = await call.desk.engine.desks.orders.desk.get(call.tenant, call.idempotency_key)
    if known is not None:
        await _check_reach(call, known)
    return await _start(call, known or await _new(call))


async def request_quote(call: Call[QuoteRequest]) -> OrderOut:
    """Ask for a quote: it is written down and told, and nothing is charged."""
    _check_id(call)
    form = call.form
    subject = subject_of(call, await find_sim(call, form.sim))
    plan = plan_in_force(call, form.plan, "plan")
    if "request-quote" not in plan.actions:
        raise Problem("conflict", f"plan {plan.name} does not offer request-quote", "plan")
    role, owner, has_details = await asker(call, subject)
    wanted = Order(
        tenant=call.tenant,
        id=call.idempotency_key,
        account=await call.account_of(subject.assignment),
        wallet=subject.wallet.name,
        sim=subject.subscriber.id,
        item=Item(plan.name),
        asker=Asker(role, owner, has_details),
        created_ms=call.desk.now_ms,
        currency=subject.assignment.currency,
        effective_ms=call.desk.now_ms,
        status="requested",
        note=form.note,
    )
    return await _start(call, wanted)


async def show(call: Call[NoForm]) -> OrderOut:
    """One order."""
    name = call.path["order"]
    found = await call.desk.engine.desks.orders.desk.get(call.tenant, name)
    if found is None or found.id != name:
        raise Problem("not-found", f"{call.tenant} has no order {name}")
    await _check_reach(call, found)
    return _shown(found)


async def orders(call: Call[NoForm]) -> OrderList:
    """The orders of a SIM; of the time when another account had it only for who reaches that one."""
    query: OrdersQuery = call.query
    if not query.sim:
        raise Problem("invalid", "say whose orders", "sim")
    sim = await find_sim(call, query.sim)
    before = place_of(query.cursor, str) or ""
    found, after = await call.desk.engine.desks.orders.desk.page(call.tenant, sim.id, query.limit, before)
    own = [one for one in found if await _is_reached(call, one)]
    return OrderList([_shown(one) for one in own], cursor_of(after) if after else "")


async def _check_reach(call: Call[Any], found: Order) -> None:
    """Another account's order is told to nobody, also not to who repeats its request word for word."""
    await call.check_wallet(found.wallet, what=f"order {found.id}")


async def _is_reached(call: Call[Any], found: Order) -> bool:
    try:
        await _check_reach(call, found)
    except Problem:
        return False
    return True


async def _new(call: Call[NewOrder]) -> Order:
    """The order at its present figures, if nothing stands in its way."""
    quoted = await quote_sim(call, call.form, call.form.item)
    check_expected(call.form, quoted.figures)
    refusals = quoted.shown(call.form.billing_country).refusals
    if refusals:
        raise _refused(refusals)
    return quoted.order(call, await call.account_of(quoted.subject.assignment))


def _refused(refusals: list[OrderRefusal]) -> Problem:
    first = refusals[0]
    detail = "; ".join(dict.fromkeys(refusal.detail for refusal in refusals))
    kind = "not-allowed" if first.reason == "not_allowed" else "conflict"
    return Problem(kind, detail, first.field or "payment")


def _check_id(call: Call[Any]) -> None:
    if "/" in call.idempotency_key:
        raise Problem("invalid", "it is the order's id and stands in addresses: write it without a slash",
                      "Idempotency-Key")  # fmt: skip


async def _start(call: Call[Any], wanted: Order) -> OrderOut:
    """Take the order that the key was first used for."""
    desk = call.desk.engine.desks.orders.desk
    plan, _ = await call.desk.claims.claim(
        call.tenant, call.idempotency_key, call.subject, call.form, _encode(wanted)
    )  # fmt: skip
    taken, is_new = await desk.start(_order(plan))
    payment = await desk.payment_of(taken) if taken.status == "pending" else None
    answer = _shown(taken)
    answer.client_secret = payment.client_secret if payment is not None else ""
    answer.repeated = not is_new
    return answer


def _shown(found: Order) -> OrderOut:
    before_nanos = found.balance_before_nanos
    after_nanos = None if before_nanos is None else before_nanos - found.charged_nanos
    is_failed = found.status == "failed"
    return OrderOut(
        order=found.id,
        sim=found.sim,
        wallet=found.wallet,
        item=SimItemOut(found.item.plan, found.item.volume, found.item.addon),
        status=found.status,
        reason=found.reason if is_failed else "",
        detail=found.detail if is_failed else "",
        currency=found.currency,
        lines=[OrderLineOut(0, line.name, money(line.net_nanos)) for line in found.lines],
        net=money(found.net_nanos),
        vat_country=found.vat_country,
        vat_percent=found.vat_percent,
        vat=money(found.vat_nanos),
        total=money(found.total_nanos),
        payment=found.payment,
        payment_id=found.payment_id,
        charged=money(found.charged_nanos),
        balance_before=None if before_nanos is None else money(before_nanos),
        balance_after=None if after_nanos is None else money(after_nanos),
        at=instant(found.effective_ms),
        created_at=instant(found.created_ms),
        note=found.note,
    )


ENDPOINTS = (
    Endpoint(
        method="POST", path="/v1/orders/preview", handler=preview, scope="read", form=PreviewForm,
        summary="What an order costs, with VAT, and whether it can be paid so; nothing is charged",
        answer=OrderPreviewOut, problems=(404, 409),
    ),
    Endpoint(
        method="POST", path="/v1/orders", handler=order, scope="manage", keyed=True, status=201, form=NewOrder,
        summary="Order a plan or an add-on for a SIM; the Idempotency-Key is the order's id", answer=OrderOut,
        roles=ROLES, problems=(404,),
    ),
    Endpoint(
        method="GET", path="/v1/orders", handler=orders, scope="read", query=OrdersQuery, answer=OrderList,
        summary="The orders of a SIM, newest first", problems=(404,),
    ),
    Endpoint(
        method="GET", path="/v1/orders/{order}", handler=show, scope="read", answer=OrderOut,
        summary="An order as it stands", problems=(404,),
    ),
    Endpoint(
        method="POST", path="/v1/quote-requests", handler=request_quote, scope="manage", keyed=True, status=201,
        form=QuoteRequest, summary="Ask for a quote of a plan that has no price", answer=OrderOut, problems=(404,),
    ),
)  # fmt: skip
