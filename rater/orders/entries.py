"""What an order leaves in its wallet besides its step: that it was given up, or that a quote was asked for.

Giving up takes the id that the step would have had. So of the two one comes about, whoever tries what and how often. A
step that the wallet could not pay has taken the id itself; then what is told of it has an id of its own.
"""

from __future__ import annotations

from typing import Any, Final

from rater.identity import identity
from rater.orders.model import Order
from rater.orders.step import order_data
from rater.pipeline.stepper import SOURCE, STEP
from rater.wallet.entry import Decision, Entry, Kind
from rater.wallet.news import pack_notice
from schemas.notice import Notice

#: Tells a decision to give an order up from its step.
GIVEN_UP: Final = b"given up"


def is_made(decision: Decision) -> bool:
    """Whether the decision under an order's id is that its step was made."""
    return decision.fingerprint == STEP and not decision.reason


def giving_up(order: Order) -> Entry:
    """Give an order up, unless its step was made."""
    return _note(order, order.request, "order.failed", {"reason": order.reason, "detail": order.detail})


def told_of_failure(order: Order) -> Entry:
    """Tell that an order failed whose step the wallet refused."""
    return _note(order, f"{order.request}/failed", "order.failed", {"reason": order.reason, "detail": order.detail})


def quote_requested(order: Order) -> Entry:
    """Tell that a quote was asked for."""
    return _note(order, order.request, "quote.requested", {"note": order.note})


def _note(order: Order, name: str, notice: str, data: dict[str, Any]) -> Entry:
    said = Notice(
        id=f"order/{order.id}/{notice}",
        type=notice,
        tenant=order.tenant,
        occurred_ms=order.changed_ms or order.created_ms,
        account=order.account,
        wallet=order.wallet,
        subscriber=order.sim,
        data=order_data(order, order.net_nanos) | data,
    )
    return Entry(
        kind=Kind.NOTE,
        tenant=order.tenant,
        wallet=order.wallet,
        identity=identity(order.tenant, SOURCE, name),
        fingerprint=GIVEN_UP,
        cause=f"{SOURCE}/{name}",
        news=(pack_notice(said),),
    )
