"""How a payment goes on: a pure function of the payment and of what a provider reports.

What the wallet is owed follows from the payment alone (`owed_nanos`). When a report changes that, the difference is
planned as one entry, in the same change. So one rule gives the balance, takes it back when an invoice is cancelled that
had given at once, takes the share of a refund, and gives it again when a dispute is won:

    paid 100.00, given 120.00      credit 120.00
    50.00 refunded                 force   60.00   (120 * 50/100, half-up)
    60.00 more disputed            force   60.00   (no more than was given)
    the dispute won                credit  60.00

A report that says nothing new leaves the payment as it is, so one that comes twice counts once. `confirmed` is final
but for refunds. `declined` and `cancelled` yield to one thing: money that came after all.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import msgspec

from rater.money import round_exact
from rater.payments.model import Change, Disputed, Payment, Planned, ProviderAnswer, Refunded, Report

_replace = msgspec.structs.replace


def owed_nanos(payment: Payment) -> int:
    """What the wallet is to have of this payment now. A transfer from the wallet above credits it by itself.

    So does an invoice, whose own entry credits what was paid for it; what went back to the payer is owed again.
    """
    if payment.method == "parent":
        return 0
    if payment.status == "pending":
        return payment.balance_nanos if payment.given == "at-once" else 0
    if payment.status != "confirmed":
        return 0
    lost = payment.lost_nanos
    if payment.purpose.kind == "invoice":
        return -lost
    if not lost:
        return payment.balance_nanos
    share = Fraction(payment.balance_nanos * lost, payment.amount_nanos)
    return payment.balance_nanos - round_exact(share, "half-up")


def planned_nanos(payment: Payment) -> int:
    """What the wallet was given, or is going to be, by the entries planned so far."""
    signs = {"credit": 1, "force": -1, "note": 0}
    return sum(signs[planned.kind] * planned.amount_nanos for planned in payment.planned if not planned.refused)


def reported(payment: Payment, report: Report, at_ms: int) -> Payment:
    """After a report; the payment itself if it says nothing new, or is about another one of the provider's."""
    if payment.reference and report.reference and report.reference != payment.reference:
        return payment
    if isinstance(report, ProviderAnswer):
        return _answered(payment, report, at_ms)
    if isinstance(report, Refunded):
        if report.total_nanos <= payment.refunded_nanos:  # it only ever rises; an older count came late
            return payment
        return _changed(payment, "refunded", at_ms, refunded_nanos=report.total_nanos)
    return _disputed(payment, report, at_ms)


def given_nanos(payment: Payment) -> int:
    """What the wallet has of it by now: of a transfer all of it, or nothing."""
    if payment.method == "parent":
        return payment.balance_nanos if payment.status == "confirmed" else 0
    done = tuple(planned for planned in payment.planned if planned.done)
    return planned_nanos(_replace(payment, planned=done))


def marked(payment: Payment, outcomes: dict[str, str], at_ms: int) -> Payment:
    """After entries were carried out: by id, empty or why the wallet refused. A refused one is told in a notice."""
    planned = [
        _replace(entry, done=True, refused=outcomes[entry.id]) if entry.id in outcomes and not entry.done else entry
        for entry in payment.planned
    ]
    for before, entry in zip(payment.planned, tuple(planned), strict=True):
        if entry.refused and not before.refused and entry.kind != "note":
            what = f"payment.not_{_VERBS[entry.kind]}"
            planned.append(Planned(f"{payment.id}/{len(planned) + 1}", "note", what, at_ms))
    return _replace(payment, planned=tuple(planned)) if outcomes else payment


_VERBS = {"credit": "given", "force": "taken_back"}


def _answered(payment: Payment, answer: ProviderAnswer, at_ms: int) -> Payment:
    reference = payment.reference or answer.reference
    secret = answer.client_secret or payment.client_secret
    if payment.is_decided and (answer.status != "confirmed" or payment.status == "confirmed"):
        return _replace(payment, reference=reference) if reference != payment.reference else payment
    if answer.status == payment.status:  # still pending
        known = (payment.reference, payment.client_secret)
        return payment if known == (reference, secret) else _replace(payment, reference=reference, client_secret=secret)
    said = _replace(
        payment, status=answer.status, reason=answer.reason, reference=reference,
        client_secret=secret if answer.status == "pending" else "",
    )  # fmt: skip
    return _changed(said, answer.status, at_ms, answer.reason)


def _disputed(payment: Payment, report: Disputed, at_ms: int) -> Payment:
    known = payment.disputed.get(report.dispute)
    if known in (report.amount_nanos, 0):  # 0: returned, which is how a dispute ends
        return payment
    what = "disputed" if report.amount_nanos else "dispute_won"
    return _changed(payment, what, at_ms, disputed=payment.disputed | {report.dispute: report.amount_nanos})


def _changed(payment: Payment, what: str, at_ms: int, reason: str = "", **fields: Any) -> Payment:
    """The payment with these fields, a line of history, and the one entry that this calls for."""
    line = Change(at_ms, what, reason)
    changed = _replace(payment, **fields, changed_ms=at_ms, history=(*payment.history, line))
    more = owed_nanos(changed) - planned_nanos(changed)
    kind = "credit" if more > 0 else "force" if more < 0 else "note"
    entry = Planned(_entry_id(changed, kind), kind, f"payment.{what}", at_ms, abs(more))  # type: ignore[arg-type]
    return _replace(changed, planned=(*changed.planned, entry))


def _entry_id(payment: Payment, kind: str) -> str:
    """The payment's own id for what gives the balance, with a number behind it for all else."""
    is_first = kind == "credit" and not any(planned.id == payment.id for planned in payment.planned)
    return payment.id if is_first else f"{payment.id}/{len(payment.planned) + 1}"
