"""Invoices: looked at, and said to be paid or cancelled by the operator. They are made by themselves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from rater.errors import WalletError
from rater.invoices.model import Invoice
from rater.payments.auto_refill import payment_id
from rater.payments.model import Means, Payment, Purpose
from streams.http.endpoint import Call, Endpoint, NoForm
from streams.http.forms_invoices import InvoiceList, InvoiceOut, InvoicePaymentForm, InvoicesQuery, invoice_out
from streams.http.paging import cursor_of, place_of
from streams.http.payment_forms import PaymentOut, shown
from streams.http.problems import Problem, of_wallet
from streams.http.refills import saved_means
from streams.http.wallets import SOURCE, find

_encode = msgspec.json.Encoder().encode
_payment = msgspec.json.Decoder(Payment).decode


async def invoices(call: Call[NoForm]) -> InvoiceList:
    """The invoices of a wallet, or of the key's account, or of the tenant."""
    shelf, limit = call.desk.engine.desks.invoices.shelf, call.query.limit
    before = place_of(call.query.cursor, str) or ""
    if call.query.wallet:
        wallet = (await find(call, call.query.wallet, "wallet")).wallet
        found, after = await shelf.of_wallet(call.tenant, wallet, limit, before)
    else:
        found, after = await shelf.of_account(call.tenant, await _account(call), limit, before)
    return InvoiceList([invoice_out(invoice) for invoice in found], cursor_of(after) if after else "")


async def _account(call: Call[NoForm]) -> str:
    """The account of the key; empty of one that reaches the whole tenant."""
    account = call.key.account
    if account:
        await call.check_account(account, f"account {account}")
    elif call.is_bound:
        raise Problem("invalid", "say whose invoices", "wallet")
    return account


async def show(call: Call[NoForm]) -> InvoiceOut:
    """One invoice."""
    return invoice_out(await find_invoice(call))


async def pay(call: Call[NoForm]) -> InvoiceOut:
    """An invoice was paid: its wallet is credited, once."""
    return await _decide(call, call.desk.engine.desks.invoices.desk.pay, "say that an invoice was paid")


async def cancel(call: Call[NoForm]) -> InvoiceOut:
    """Call an invoice off; what it was over is on the next one."""
    return await _decide(call, call.desk.engine.desks.invoices.desk.cancel, "cancel an invoice")


async def _decide(call: Call[NoForm], act: Callable[[Invoice], Awaitable[Invoice]], deed: str) -> InvoiceOut:
    found = await find_invoice(call)
    if not call.actor.is_operator:  # who owes it does not say that it was paid
        raise Problem("not-allowed", f"only the operator may {deed}")
    _, is_new = await call.desk.claims.claim(call.tenant, call.idempotency_key, call.subject, call.form)
    try:
        decided = await act(found)
    except WalletError as error:
        raise of_wallet(error) from error
    call.desk.engine.publisher.wake()
    return invoice_out(decided, repeated=not is_new)


async def pay_by_card(call: Call[InvoicePaymentForm]) -> PaymentOut:
    """Pay an invoice by card. The Idempotency-Key makes the payment's id, so a repeat finds the payment that was made.

    Its name is written into the invoice before it is begun, so that there is one at a time.
    """
    invoice, desk = await find_invoice(call), call.desk.engine.desks.payments.desk
    known = await desk.get(call.tenant, payment_id(call.tenant, SOURCE, call.idempotency_key))
    wanted = known or await _new_payment(call, invoice)
    plan, _ = await call.desk.claims.claim(call.tenant, call.idempotency_key, call.subject, call.form, _encode(wanted))
    payment = _payment(plan)
    if known is None:
        await _bind(call, invoice, payment)
    made, is_new = await desk.start(payment)
    return shown(made, secret=True, repeated=not is_new)


async def _bind(call: Call[InvoicePaymentForm], invoice: Invoice, payment: Payment) -> None:
    """Let a payment be the invoice's, unless another has arrived or may still arrive.

    Another that is bound and not begun may be about to be, by a request that is slow: it is forestalled.
    """
    desks, last = call.desk.engine.desks, invoice.payment
    if last not in ("", payment.id):
        other = await desks.payments.desk.forestall(msgspec.structs.replace(payment, id=last, means=Means()))
        if other.status in ("created", "pending"):
            raise Problem("conflict", f"payment {other.id} of it is under way", "invoice")
        if other.status == "confirmed":  # the invoice is marked a moment later, by who hears of it
            raise Problem("conflict", f"payment {other.id} has paid it", "invoice")
    if not await desks.invoices.desk.bind(invoice, payment.id, last):
        raise Problem("conflict", f"{invoice.id} is being paid otherwise, or called off", "invoice")


async def _new_payment(call: Call[InvoicePaymentForm], invoice: Invoice) -> Payment:
    """A payment that gives no balance: what arrives is credited as the invoice's (streams/invoices/follower.py)."""
    if invoice.status != "open" or invoice.confirmed_ms:
        raise Problem("conflict", f"{invoice.id} is not open any more", "invoice")
    provider, wallet = call.desk.engine.desks.payments.providers.get("card"), await find(call, invoice.wallet)
    if provider is None:
        raise Problem("conflict", "nothing is paid by card here; see [payments] in the settings", "invoice")
    if (why := provider.refuses(invoice.total_nanos, invoice.currency)) is not None:
        raise Problem("conflict", why, "invoice")
    form = call.form
    return Payment(
        tenant=call.tenant,
        id=payment_id(call.tenant, SOURCE, call.idempotency_key),
        account=await call.desk.reach.account_of(call.tenant, invoice.wallet),
        wallet=invoice.wallet,
        purpose=Purpose("invoice", invoice.id),
        amount_nanos=invoice.total_nanos,
        balance_nanos=0,
        currency=invoice.currency,
        method="card",
        created_ms=call.desk.now_ms,
        means=Means() if form.payer_present else await saved_means(call, wallet, form.payment_method),
    )


async def find_invoice(call: Call[Any]) -> Invoice:
    """The invoice in the path, if the key reaches its wallet."""
    name = call.path["invoice"]
    found = await call.desk.engine.desks.invoices.desk.get(call.tenant, name)
    if found is None or found.id != name:
        raise Problem("not-found", f"{call.tenant} has no invoice {name}")
    await call.check_wallet(found.wallet, what=f"invoice {name}")
    return found


_INVOICE = "/v1/invoices/{invoice}"
ENDPOINTS = (
    Endpoint(
        method="GET", path="/v1/invoices", handler=invoices, scope="read", query=InvoicesQuery, answer=InvoiceList,
        summary="Invoices, newest first", problems=(404,),
    ),
    Endpoint(
        method="GET", path=_INVOICE, handler=show, scope="read", summary="An invoice with its lines",
        answer=InvoiceOut, problems=(404,),
    ),
    Endpoint(
        method="POST", path=f"{_INVOICE}/pay", handler=pay, scope="manage", keyed=True, roles=(),
        summary="Say that an invoice was paid; its wallet is credited once", answer=InvoiceOut, problems=(404,),
    ),
    Endpoint(
        method="POST", path=f"{_INVOICE}/payments", handler=pay_by_card, scope="manage", keyed=True, status=201,
        summary="Pay an invoice by card; it is paid when the payment is confirmed", form=InvoicePaymentForm,
        answer=PaymentOut, problems=(404,),
    ),
    Endpoint(
        method="POST", path=f"{_INVOICE}/cancel", handler=cancel, scope="manage", keyed=True, roles=(),
        summary="Cancel an invoice; what it was over is on the next one", answer=InvoiceOut, problems=(404,),
    ),
)  # fmt: skip
