"""Invoices: looked at, and said to be paid or cancelled by the operator. They are made by themselves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from rater.errors import WalletError
from rater.invoices.model import Invoice
from streams.http.endpoint import Call, Endpoint, NoForm
from streams.http.forms_invoices import InvoiceList, InvoiceOut, InvoicesQuery, invoice_out
from streams.http.paging import cursor_of, place_of
from streams.http.problems import Problem, of_wallet
from streams.http.wallets import find


async def invoices(call: Call[NoForm]) -> InvoiceList:
    """The invoices of a wallet, or of the tenant."""
    shelf, limit = call.desk.engine.invoices.shelf, call.query.limit
    before = place_of(call.query.cursor, str) or ""
    if call.query.wallet:
        wallet = (await find(call, call.query.wallet, "wallet")).wallet
        found, after = await shelf.of_wallet(call.tenant, wallet, limit, before)
    elif call.is_bound:
        raise Problem("invalid", "say whose invoices", "wallet")
    else:
        found, after = await shelf.of_tenant(call.tenant, limit, before)
    return InvoiceList([invoice_out(invoice) for invoice in found], cursor_of(after) if after else "")


async def show(call: Call[NoForm]) -> InvoiceOut:
    """One invoice."""
    return invoice_out(await find_invoice(call))


async def pay(call: Call[NoForm]) -> InvoiceOut:
    """An invoice was paid: its wallet is credited, once."""
    return await _decide(call, call.desk.engine.invoices.desk.pay, "say that an invoice was paid")


async def cancel(call: Call[NoForm]) -> InvoiceOut:
    """Call an invoice off; what it was over is on the next one."""
    return await _decide(call, call.desk.engine.invoices.desk.cancel, "cancel an invoice")


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


async def find_invoice(call: Call[NoForm]) -> Invoice:
    """The invoice in the path, if the key reaches its wallet."""
    name = call.path["invoice"]
    found = await call.desk.engine.invoices.desk.get(call.tenant, name)
    if found is None or found.id != name:
        raise Problem("not-found", f"{call.tenant} has no invoice {name}")
    if call.is_bound:
        account = await call.desk.reach.account_of(call.tenant, found.wallet)
        await call.check_account(account, f"invoice {name}")
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
        method="POST", path=f"{_INVOICE}/cancel", handler=cancel, scope="manage", keyed=True, roles=(),
        summary="Cancel an invoice; what it was over is on the next one", answer=InvoiceOut, problems=(404,),
    ),
)  # fmt: skip
