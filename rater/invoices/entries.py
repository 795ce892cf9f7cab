"""The wallet entries of an invoice: a note that tells of it, and the credit by which it is paid. Each happens once."""

from __future__ import annotations

from rater.identity import identity
from rater.invoices.model import PAID, SOURCE, Invoice
from rater.money import format_nanos
from rater.wallet.entry import Entry, Kind
from rater.wallet.news import pack_notice
from schemas.notice import Notice

_TOLD = f"{SOURCE}-issued"


def issued(invoice: Invoice) -> Entry:
    """Tells of an invoice, once."""
    return Entry(
        kind=Kind.NOTE,
        tenant=invoice.tenant,
        wallet=invoice.wallet,
        identity=identity(invoice.tenant, _TOLD, invoice.id),
        fingerprint=bytes(8),
        cause=f"{_TOLD}/{invoice.id}",
        news=(_notice(invoice, "issued", invoice.issued_ms),),
    )


def payment(invoice: Invoice) -> Entry:
    """Credits the wallet with what the invoice is over."""
    return Entry(
        kind=Kind.CREDIT,
        tenant=invoice.tenant,
        wallet=invoice.wallet,
        identity=payment_identity(invoice.tenant, invoice.id),
        fingerprint=bytes(8),
        cause=f"{SOURCE}/{invoice.id}",
        currency=invoice.currency,
        amount_nanos=invoice.total_nanos,
        note=PAID,
        news=(_notice(invoice, "paid", invoice.confirmed_ms),),
    )


def surplus(invoice: Invoice, payment_id: str) -> Entry:
    """Credits the wallet with money that arrived for an invoice which was paid already: it is the payer's."""
    event_id = f"{invoice.id}/{payment_id}"
    return Entry(
        kind=Kind.CREDIT,
        tenant=invoice.tenant,
        wallet=invoice.wallet,
        identity=identity(invoice.tenant, SOURCE, event_id),
        fingerprint=bytes(8),
        cause=f"{SOURCE}/{event_id}",
        currency=invoice.currency,
        amount_nanos=invoice.total_nanos,
        note="invoice paid twice",
    )


def payment_identity(tenant: str, invoice_id: str) -> bytes:
    """Under which the wallet remembers the payment of an invoice for ever."""
    return identity(tenant, SOURCE, invoice_id)


def _notice(invoice: Invoice, what: str, at_ms: int) -> bytes:
    return pack_notice(
        Notice(
            id=f"{SOURCE}/{invoice.id}/{what}",
            type=f"invoice.{what}",
            tenant=invoice.tenant,
            occurred_ms=at_ms,
            account=invoice.account,
            wallet=invoice.wallet,
            data={
                "invoice": invoice.id,
                "total": format_nanos(invoice.total_nanos),
                "currency": invoice.currency,
                "from_ms": invoice.from_ms,
                "until_ms": invoice.until_ms,
            },
        )
    )
