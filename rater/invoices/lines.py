"""The lines of an invoice, from the wallet's changes between two closings as the ledger has them.

    messages, DE   150 messages   12.75       usage, by service and zone
    renew                         49.00       fees, by what the journal calls them
    top-up                       -20.00       what was put in otherwise than by paying an invoice
    brought forward              -29.00       what was left in the wallet, or invoices that were cancelled since
                                  12.75       the total

The total is the wallet's. The ledger has caught up when its changes between the closings are, to the nano, what the
balance changed by; until then there are no lines.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from rater.invoices.model import PAID, SOURCE, Invoice, Line


class Used(msgspec.Struct, frozen=True):
    """Usage of a service in a zone between two closings."""

    service: str
    zone: str
    events: int
    quantity: int
    charged_nanos: int


class Moved(msgspec.Struct, frozen=True):
    """Changes of one kind by entries that are not usage; `taken_nanos` is negative where money came in."""

    kind: str
    source: str
    what: str
    taken_nanos: int


def lines_of(
    invoice: Invoice, before: Invoice | None, used: Sequence[Used], moved: Sequence[Moved]
) -> tuple[Line, ...] | None:
    """The lines, which add up to the total; None while the ledger has not caught up."""
    taken_nanos = sum(one.charged_nanos for one in used) + sum(one.taken_nanos for one in moved)
    since_nanos = before.balance_nanos if before is not None else 0
    if taken_nanos != since_nanos - invoice.balance_nanos:
        return None
    lines = [
        Line("usage", one.charged_nanos, one.service, one.zone, one.events, one.quantity)
        for one in used
        if one.charged_nanos
    ]
    others = [one for one in moved if one.taken_nanos and not _is_payment(one)]
    lines += [Line("fee" if one.taken_nanos > 0 else "credit", one.taken_nanos, what=one.what) for one in others]
    rest_nanos = invoice.total_nanos - sum(line.amount_nanos for line in lines)
    if rest_nanos:
        lines.append(Line("brought-forward", rest_nanos))
    return tuple(lines)


def _is_payment(moved: Moved) -> bool:
    """Whether an entry paid an invoice: what it is over is no line of the next."""
    return (moved.kind, moved.source, moved.what) == ("credit", SOURCE, PAID)
