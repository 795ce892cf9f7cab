"""An invoice is over what the wallet owed when its period ended, less what earlier invoices cover."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rater.invoices.accrual import covers, invoice_of, total_nanos
from rater.invoices.model import Closing, Place, closing_of, invoice_id
from rater.money import NANOS
from rater.wallet.entry import Decision
from schemas.fates import Fate, Reason
from schemas.notice import Notice

CLOSING = Closing("t", "acme", 0, 1_000, "acme/line/2")


def decision(n: int, balance: int = 0, fate: Fate = Fate.RATED) -> Decision:
    """A decision in epoch 1, on a wallet that had so many units before it."""
    return Decision(True, fate, Reason.NONE, "acme", 1, n, 0, balance * NANOS, 7, bytes(8), bytes(12), bytes(4))


@pytest.mark.parametrize(
    ("balance", "covered", "total"), [(-61, 49, 12), (-61, 0, 61), (5, 0, 0), (0, 0, 0), (-49, 49, 0), (-40, 49, 0)]
)
def test_what_is_owed_less_what_is_covered(balance: int, covered: int, total: int) -> None:
    assert total_nanos(balance, covered) == total


def test_it_stands_where_the_step_was_decided() -> None:
    earlier = replace(invoice_of(CLOSING, decision(3, -49), "acme", "EUR", [], None), id="acme-0")
    found = invoice_of(CLOSING, decision(9, -61), "acme", "EUR", [earlier], earlier)
    assert (found.total_nanos, found.status, found.before) == (12 * NANOS, "open", "acme-0")
    assert (found.place, found.issued_ms) == (Place(1, 9), 7)


def test_where_nothing_is_owed_there_is_only_a_mark() -> None:
    assert invoice_of(CLOSING, decision(3, 5), "acme", "EUR", [], None).status == "empty"


def test_a_payment_after_the_step_is_not_in_its_balance() -> None:
    """Whether the invoice says so already or not: the wallet's order decides."""
    invoice = invoice_of(CLOSING, decision(3, -49), "acme", "EUR", [], None)
    assert covers(invoice, None, Place(1, 9))
    assert covers(replace(invoice, status="paid"), decision(10), Place(1, 9))
    assert not covers(invoice, decision(8), Place(1, 9))
    assert covers(invoice, decision(8, fate=Fate.REFUSED), Place(1, 9)), "the wallet could not take it"
    assert not covers(replace(invoice, status="cancelled"), None, Place(1, 9))


def test_ids_of_two_wallets_and_periods_are_never_the_same() -> None:
    assert invoice_id("acme", 1_806_530_400_000) == "acme-20270331220000000"
    assert invoice_id("acme", 1_806_530_400_001) != invoice_id("acme", 1_806_530_400_000)


def test_a_closing_is_read_from_its_notice() -> None:
    data = {"from_ms": 0, "until_ms": 1_000, "step": "acme/line/2", "plan": "p"}
    notice = Notice("1", "invoice.period_closed", "t", 1_000, "acme", "acme", "line", data)
    assert closing_of(notice) == CLOSING
    assert closing_of(replace(notice, type="plan.renewed")) is None
    with pytest.raises(ValueError, match="step: None is none"):
        closing_of(replace(notice, data={"from_ms": 0, "until_ms": 1_000}))
