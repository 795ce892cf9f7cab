"""A payment's entries on wallets. Source `payment`; `<id>` gives the balance, `<id>/2` and so on is all else.

A payment from the wallet above is a transfer: the debit there (`<id>/paid`) carries the credit here (`<id>`) as its
news, and the way back (`<id>/back`) should the wallet here not take it. Offers may give more than they cost, or less:
what differs is the operator's, and arises with the debit.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from rater.identity import FINGERPRINT_BYTES, identity
from rater.money import format_nanos
from rater.payments.model import SOURCE, Payment, Planned
from rater.wallet.entry import Entry, Kind
from rater.wallet.news import Onward, pack_notice, pack_onward
from schemas.commands import WalletCommand
from schemas.notice import Notice

_KINDS = {"credit": Kind.CREDIT, "force": Kind.FORCE, "note": Kind.NOTE}


def entry_of(payment: Payment, planned: Planned) -> Entry:
    """A planned entry, with its notice."""
    return _entry(
        payment, payment.wallet, planned.id, _KINDS[planned.kind],
        amount_nanos=planned.amount_nanos, news=(pack_notice(notice_of(payment, planned)),),
    )  # fmt: skip


def notice_of(payment: Payment, planned: Planned) -> Notice:
    """What a platform is told. The same each time: it says nothing that may change later."""
    return Notice(
        id=f"{SOURCE}/{planned.id}/{planned.notice}",
        type=planned.notice,
        tenant=payment.tenant,
        occurred_ms=planned.at_ms,
        account=payment.account,
        wallet=payment.wallet,
        data={
            "payment": payment.id,
            "purpose": payment.purpose.kind,
            "name": payment.purpose.name,
            "method": payment.method,
            "amount": format_nanos(payment.amount_nanos),
            "balance": format_nanos(payment.balance_nanos),
            "changed_by": format_nanos(-planned.amount_nanos if planned.kind == "force" else planned.amount_nanos),
            "currency": payment.currency,
            "reason": _reason(payment, planned),
        },
    )


def transfer_of(payment: Payment) -> tuple[Entry, Onward]:
    """The debit of the wallet above, and the credit that goes on with it."""
    command = _top_up(payment, payment.wallet, payment.id, payment.balance_nanos)
    onward = Onward(command, _top_up(payment, payment.parent, f"{payment.id}/back", payment.amount_nanos))
    debit = _entry(
        payment, payment.parent, f"{payment.id}/paid", Kind.DEBIT,
        amount_nanos=payment.amount_nanos, currency=payment.currency, news=(pack_onward(onward),),
    )  # fmt: skip
    return debit, onward


def _reason(payment: Payment, planned: Planned) -> str:
    """Why, as the history of that moment says it."""
    return next((line.reason for line in payment.history if f"payment.{line.what}" == planned.notice), "")


def _top_up(payment: Payment, wallet: str, event_id: str, amount_nanos: int) -> WalletCommand:
    return WalletCommand(
        payment.tenant, SOURCE, event_id, wallet, "top-up", format_nanos(amount_nanos), payment.currency
    )


def _entry(payment: Payment, wallet: str, event_id: str, kind: Kind, **fields: Any) -> Entry:
    content = msgspec.json.encode((kind, wallet, fields["amount_nanos"]))
    return Entry(
        kind=kind,
        tenant=payment.tenant,
        wallet=wallet,
        identity=identity(payment.tenant, SOURCE, event_id),
        fingerprint=blake2b(content, digest_size=FINGERPRINT_BYTES).digest(),
        cause=f"{SOURCE}/{event_id}",
        note=payment.purpose.name,
        **fields,
    )
