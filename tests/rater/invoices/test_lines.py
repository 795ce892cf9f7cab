"""The lines of an invoice add up to its total, and wait for a ledger that is behind."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from rater.invoices.lines import Moved, Used, lines_of
from rater.invoices.model import Invoice, Line, Place


def invoice(balance: int, total: int, n: int = 9) -> Invoice:
    return Invoice("t", f"acme-{n}", "acme", "acme", "EUR", 0, 1, Place(1, n), balance, 0, total, "open", 1)


USED = Used("message", "DE", 3, 150, 12)
FEE = Moved("plan", "", "renew", 49)


def test_usage_fees_and_what_was_left_before() -> None:
    """49 were in the wallet: they paid the fee, and what was used beyond it is owed."""
    assert lines_of(invoice(-12, 12), invoice(49, 0, 3), [USED], [FEE]) == (
        Line("usage", 12, "message", "DE", 3, 150), Line("fee", 49, what="renew"), Line("brought-forward", -49),
    )  # fmt: skip


def test_a_payment_of_an_invoice_is_no_line_and_other_money_is() -> None:
    moved = [FEE, Moved("credit", "invoice", "invoice paid", -20), Moved("credit", "", "voucher", -5)]
    lines = lines_of(invoice(-56, 56), invoice(-20, 20, 3), [USED], moved)
    assert lines is not None
    assert [(line.sort, line.amount_nanos) for line in lines] == [("usage", 12), ("fee", 49), ("credit", -5)]


def test_there_are_none_while_the_ledger_is_behind() -> None:
    before = invoice(49, 0, 3)
    assert lines_of(invoice(-12, 12), before, [], [FEE]) is None
    assert lines_of(invoice(-12, 12), before, [USED], []) is None


@given(
    st.integers(-100, 100), st.integers(0, 200),
    st.lists(st.integers(0, 50), max_size=4), st.lists(st.integers(-50, 50), max_size=4),
)  # fmt: skip
def test_they_add_up(since: int, total: int, charges: Sequence[int], moves: Sequence[int]) -> None:
    used = [Used("message", str(number), 1, 1, nanos) for number, nanos in enumerate(charges)]
    moved = [Moved("credit", "invoice" if nanos < -40 else "", "", nanos) for nanos in moves]
    found = invoice(since - sum(charges) - sum(moves), total)
    lines = lines_of(found, invoice(since, 0, 3), used, moved)
    assert lines is not None
    assert sum(line.amount_nanos for line in lines) == total
    assert all(line.amount_nanos for line in lines)
