"""What a payment becomes by what its provider reports, and what its wallet is given and loses."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rater.payments.machine import given_nanos, marked, owed_nanos, planned_nanos, reported
from rater.payments.model import Disputed, Payment, ProviderAnswer, Purpose, Refunded, Report
from tests.rater.payments.building import NOW_MS, nanos, payment

PENDING = ProviderAnswer("pending", "pi_1")
PAID = ProviderAnswer("confirmed", "pi_1")
DECLINED = ProviderAnswer("declined", "pi_1", "insufficient_funds")
CANCELLED = ProviderAnswer("cancelled", "pi_1")


def after(*reports: Report, of: Payment | None = None) -> Payment:
    found = of or payment()
    for report in reports:
        found = reported(found, report, NOW_MS)
    return found


def plan(found: Payment) -> list[tuple[str, str, int]]:
    return [(entry.id, entry.kind, entry.amount_nanos) for entry in found.planned]


def refund(total: str) -> Refunded:
    return Refunded("pi_1", nanos(total))


def dispute(amount: str, name: str = "dp_1") -> Disputed:
    return Disputed("pi_1", name, nanos(amount))


def test_the_balance_is_given_once_however_often_the_payment_is_confirmed() -> None:
    once = after(PENDING, PAID)
    assert plan(once) == [("pay_1/1", "note", 0), ("pay_1", "credit", nanos("120"))]
    assert reported(once, PAID, NOW_MS) is once
    assert [entry.notice for entry in once.planned] == ["payment.pending", "payment.confirmed"]


@pytest.mark.parametrize("late", [PENDING, DECLINED, CANCELLED])
def test_nothing_undoes_a_confirmation(late: ProviderAnswer) -> None:
    paid = after(PAID)
    assert reported(paid, late, NOW_MS) is paid


@pytest.mark.parametrize("refusal", [DECLINED, CANCELLED])
def test_money_that_comes_after_a_refusal_is_given(refusal: ProviderAnswer) -> None:
    refused = after(PENDING, refusal)
    assert owed_nanos(refused) == 0
    assert reported(refused, PENDING, NOW_MS) is refused
    assert planned_nanos(reported(refused, PAID, NOW_MS)) == nanos("120")


def test_what_is_about_another_of_the_providers_payments_changes_nothing() -> None:
    pending = after(PENDING)
    assert reported(pending, ProviderAnswer("confirmed", "pi_other"), NOW_MS) is pending
    assert reported(pending, Refunded("pi_other", 1), NOW_MS) is pending


def test_a_refund_takes_its_share_of_what_was_given() -> None:
    """120.00 were given for 100.00: each third that goes back takes 40.00, and all of it takes all."""
    found = after(PAID, refund("33.333333333"))
    assert plan(found)[-1] == ("pay_1/2", "force", nanos("40") - 0)
    found = after(refund("50"), refund("50"), refund("33.333333333"), of=found)
    assert plan(found)[-1] == ("pay_1/3", "force", nanos("20"))
    assert planned_nanos(after(refund("100"), of=found)) == 0


def test_a_refund_that_is_heard_of_before_the_confirmation_counts_too() -> None:
    assert planned_nanos(after(PENDING, refund("50"), PAID)) == nanos("60")


def test_a_dispute_takes_back_and_returns_once() -> None:
    found = after(PAID, dispute("100"), dispute("100"))
    assert planned_nanos(found) == 0
    won = after(dispute("0"), dispute("0"), of=found)
    assert planned_nanos(won) == nanos("120")
    assert reported(won, dispute("100"), NOW_MS) is won, "what came late"
    assert [entry.id for entry in won.planned] == ["pay_1", "pay_1/2", "pay_1/3"]


def test_refunds_and_disputes_together_take_no_more_than_was_given() -> None:
    assert planned_nanos(after(PAID, refund("60"), dispute("60"))) == 0


def test_by_invoice_the_balance_is_given_at_once_and_taken_back_if_it_is_never_paid() -> None:
    invoice = payment(method="invoice", given="at-once")
    pending = after(ProviderAnswer("pending", "pay_1"), of=invoice)
    assert plan(pending) == [("pay_1", "credit", nanos("120"))]
    assert plan(after(ProviderAnswer("confirmed", "pay_1"), of=pending))[1:] == [("pay_1/2", "note", 0)]
    assert plan(after(ProviderAnswer("cancelled", "pay_1"), of=pending))[1:] == [("pay_1/2", "force", nanos("120"))]


def test_a_transfer_credits_by_itself() -> None:
    found = after(PAID, of=payment(method="parent"))
    assert plan(found) == [("pay_1/1", "note", 0)]
    assert given_nanos(found) == nanos("120")


def test_what_the_wallet_refuses_is_told_and_not_counted_as_given() -> None:
    paid = after(PAID)
    found = marked(paid, {"pay_1": "balance_limit"}, NOW_MS)
    assert [(entry.id, entry.notice, entry.done) for entry in found.planned] == [
        ("pay_1", "payment.confirmed", True), ("pay_1/2", "payment.not_given", False),
    ]  # fmt: skip
    assert (planned_nanos(found), given_nanos(found)) == (0, 0)
    assert marked(found, {"pay_1": "balance_limit"}, NOW_MS) == found, "told once"


reports = st.one_of(
    st.sampled_from([PENDING, PAID, DECLINED, CANCELLED, ProviderAnswer("confirmed", "pi_other")]),
    st.integers(0, 100 * 10**9).map(lambda total: Refunded("pi_1", total)),
    st.builds(Disputed, st.just("pi_1"), st.sampled_from(["dp_1", "dp_2"]), st.sampled_from([0, 10**9, 70 * 10**9])),
)


@given(st.lists(reports, max_size=12), st.sampled_from(["confirmed", "at-once"]))
def test_over_any_reports_the_entries_come_to_what_is_owed(history: Sequence[Report], given_when: str) -> None:
    """Each names itself once, the first credit by the payment's own id; the wallet never loses more than it got."""
    found = payment(given=given_when)
    paid = False
    for report in history:
        before = found
        found = reported(found, report, NOW_MS)
        paid = paid or found.status == "confirmed"
        assert found.planned[: len(before.planned)] == before.planned, "what was planned stays"
        assert planned_nanos(found) == owed_nanos(found)
        assert 0 <= planned_nanos(found) <= found.balance_nanos
        assert (found.status == "confirmed") == paid
        assert reported(found, report, NOW_MS) is found, "the same again says nothing new"
    ids = [entry.id for entry in found.planned]
    assert len(set(ids)) == len(ids)
    assert [entry.id for entry in found.planned if entry.kind == "credit"][:1] in ([], ["pay_1"])


def test_what_went_back_of_an_invoices_payment_is_owed_again() -> None:
    """The invoice's own entry credits what was paid, so the payment takes only what the payer has back."""
    paid = after(PAID, of=payment(amount="49", balance="0", purpose=Purpose("invoice", "w-1")))
    assert plan(paid) == [("pay_1/1", "note", 0)]
    found = after(refund("20"), refund("20"), dispute("49"), of=paid)
    assert plan(found)[1:] == [("pay_1/2", "force", nanos("20")), ("pay_1/3", "force", nanos("29"))]
    assert planned_nanos(after(dispute("0"), of=found)) == -nanos("20")
