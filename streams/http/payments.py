"""Payments: looked at, confirmed by a person where they are invoices, given up."""

from __future__ import annotations

from typing import Any

from rater.payments.model import Payment
from streams.http.endpoint import Call, Endpoint, NoForm
from streams.http.paging import cursor_of, place_of
from streams.http.payment_forms import PaymentList, PaymentOut, PaymentsQuery, shown
from streams.http.problems import Problem
from streams.http.wallets import find
from streams.payments.desk import PaymentError
from streams.payments.listing import Sort
from streams.payments.provider import NoAnswerError


async def payments(call: Call[NoForm]) -> PaymentList:
    """The payments of one wallet, or of the key's account, or of the tenant."""
    sort: Sort = ""
    name = call.key.account
    if call.query.wallet:
        sort, name = "wallet", (await find(call, call.query.wallet, "wallet")).wallet
    elif name:
        sort = "account"
        await call.check_account(name, f"account {name}")
    elif call.is_bound:
        raise Problem("invalid", "say whose payments", "wallet")
    before = place_of(call.query.cursor, str) or ""
    desk = call.desk.engine.desks.payments.desk
    found, after = await desk.page(call.tenant, sort, name, call.query.limit, before)
    return PaymentList([shown(payment) for payment in found], cursor_of(after) if after else "")


async def payment(call: Call[NoForm]) -> PaymentOut:
    """One payment."""
    return shown(await _get(call))


async def confirm(call: Call[NoForm]) -> PaymentOut:
    """An invoice was paid: the balance is given, if it was not before."""
    return await _decide(call, call.desk.engine.desks.payments.desk.confirm)


async def cancel(call: Call[NoForm]) -> PaymentOut:
    """Give a payment up that is not decided; what was given at once is taken back."""
    return await _decide(call, call.desk.engine.desks.payments.desk.cancel)


async def _decide(call: Call[NoForm], act: Any) -> PaymentOut:
    found = await _get(call)
    _, is_new = await call.desk.claims.claim(call.tenant, call.idempotency_key, call.subject, call.form)
    try:
        return shown(await act(found), repeated=not is_new)
    except PaymentError as error:
        _, _, detail = str(error).partition(": ")
        raise Problem("conflict", detail, "payment") from error
    except NoAnswerError as error:
        detail = f"the provider does not say how it stands; the same may be sent again: {error}"
        raise Problem("unavailable", detail, retry_s=60) from error


async def _get(call: Call[NoForm]) -> Payment:
    name = call.path["payment"]
    found = await call.desk.engine.desks.payments.desk.get(call.tenant, name)
    if found is None or found.id != name:
        raise Problem("not-found", f"{call.tenant} has no payment {name}")
    await call.check_wallet(found.wallet, what=f"payment {name}")
    return found


_PAYMENT = "/v1/payments/{payment}"
ENDPOINTS = (
    Endpoint(
        method="GET", path="/v1/payments", handler=payments, scope="read", query=PaymentsQuery, answer=PaymentList,
        summary="Payments, newest first", problems=(404,),
    ),
    Endpoint(
        method="GET", path=_PAYMENT, handler=payment, scope="read", summary="A payment as it stands",
        answer=PaymentOut, problems=(404,),
    ),
    Endpoint(
        method="POST", path=f"{_PAYMENT}/confirm", handler=confirm, scope="admin", keyed=True, roles=(),
        summary="Say that an invoice was paid", answer=PaymentOut, problems=(404,),
    ),
    Endpoint(
        method="POST", path=f"{_PAYMENT}/cancel", handler=cancel, scope="manage", keyed=True,
        summary="Give up a payment that is not decided", answer=PaymentOut, problems=(404,),
    ),
)  # fmt: skip
