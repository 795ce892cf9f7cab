"""What an invoice is over. The wallet's balance is the truth; earlier invoices that are not paid cover a part of it.

Laws, for the closings of a wallet in the order of its changes:

    what the wallet owes at a closing <= the sum of invoices that are not paid then, this one included
    equal, unless more was invoiced than is owed by now (as the wallet was filled up by other means than a payment)

So without such money all invoices together are all that accrued, each nano once. A cancelled invoice covers nothing:
what it was over is on the next one.
"""

from __future__ import annotations

from collections.abc import Iterable

from rater.invoices.model import Closing, Invoice, Place
from rater.wallet.entry import Decision
from schemas.fates import Fate


def total_nanos(balance_nanos: int, covered_nanos: int) -> int:
    """What is to be invoiced: what is owed at a balance, less what is covered."""
    return max(0, -balance_nanos - covered_nanos)


def covers(invoice: Invoice, payment: Decision | None, at: Place) -> bool:
    """Whether an earlier invoice covers a part of what is owed at a place: its payment is not in the balance there."""
    if invoice.status in ("empty", "cancelled"):
        return False
    is_paid = payment is not None and payment.fate is Fate.RATED
    return not (is_paid and payment is not None and Place(payment.epoch, payment.n) < at)


def invoice_of(
    closing: Closing, step: Decision, account: str, currency: str, covering: Iterable[Invoice], before: Invoice | None
) -> Invoice:
    """The invoice of a closing (or the mark that nothing was owed), by the decision on its step.

    `covering` are the earlier invoices that cover something at the step; `before` is the closing before it.
    """
    covered_nanos = sum(invoice.total_nanos for invoice in covering)
    over_nanos = total_nanos(step.balance_before_nanos, covered_nanos)
    return Invoice(
        tenant=closing.tenant,
        id=closing.id,
        wallet=closing.wallet,
        account=account,
        currency=currency,
        from_ms=closing.from_ms,
        until_ms=closing.until_ms,
        place=Place(step.epoch, step.n),
        balance_nanos=step.balance_before_nanos,
        covered_nanos=covered_nanos,
        total_nanos=over_nanos,
        status="open" if over_nanos else "empty",
        issued_ms=step.decided_ms,
        before=before.id if before is not None else "",
    )
