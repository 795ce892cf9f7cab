"""An order adds up: net, VAT of the billing country once on the sum, total, and by how much the wallet is short."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rater.money import format_nanos, parse_nanos
from rater.plans.model import AddOn, Plan, Refill
from rater.plans.order import OrderLine, addon_lines, plan_lines, preview_order, refill_lines


def order(*amounts: str, percent: str = "19", available: str = "0.00", payment="balance", currency: str = "EUR"):
    """An order of these net amounts."""
    lines = [OrderLine(f"line {place}", parse_nanos(amount)) for place, amount in enumerate(amounts)]
    return preview_order(lines, currency, Fraction(percent), parse_nanos(available), payment)


def figures(preview) -> tuple[str, ...]:
    """Net, VAT, total, available afterwards, short."""
    nanos = (preview.net_nanos, preview.vat_nanos, preview.total_nanos, preview.available_after_nanos,
             preview.short_nanos)  # fmt: skip
    return tuple(map(format_nanos, nanos))


def test_what_the_balance_pays_is_shown_before_and_after():
    preview = order("49.00", available="100.00")
    assert figures(preview) == ("49.00", "9.31", "58.31", "41.69", "0.00")
    assert not preview.is_refused


def test_it_is_refused_when_the_balance_is_short_and_says_by_how_much():
    preview = order("49.00", available="58.30")
    assert figures(preview) == ("49.00", "9.31", "58.31", "58.30", "0.01")
    assert preview.is_refused


def test_another_method_pays_it_all_and_leaves_the_balance():
    preview = order("49.00", available="1.00", payment="card")
    assert figures(preview) == ("49.00", "9.31", "58.31", "1.00", "57.31")
    assert not preview.is_refused


def test_what_is_owed_already_is_not_part_of_what_an_order_is_short_by():
    assert figures(order("10.00", percent="0", available="-5.00"))[-1] == "10.00"


def test_vat_is_charged_once_on_the_sum():
    """Three times 0.03 at 19 %: 0.02 on the sum, where 0.01 on each would be 0.03."""
    assert figures(order("0.03", "0.03", "0.03"))[1] == "0.02"


@pytest.mark.parametrize(
    ("net", "percent", "currency", "vat"),
    [("0.50", "19", "EUR", "0.10"), ("10.00", "25.5", "EUR", "2.55"), ("105.00", "10", "JPY", "11.00"),
     ("0.105", "10", "KWD", "0.011"), ("10.00", "0", "USD", "0.00"), ("1.00", "100/3", "EUR", "0.33")],
)  # fmt: skip
def test_vat_is_half_up_to_the_minor_unit(net, percent, currency, vat):
    assert figures(order(net, percent=percent, currency=currency))[1] == vat


def test_a_plan_an_add_on_and_a_refill_are_lines_of_an_order():
    plan = Plan("pro", "1", 0, "world", "prepaid", "UTC", currency="EUR", activation_nanos=parse_nanos("5"))
    addon = AddOn("phone-number", parse_nanos("2"), upfront_nanos=parse_nanos("1"))
    refill = Refill("large", parse_nanos("100"), parse_nanos("120"))
    lines = [*plan_lines(plan, parse_nanos("6")), *addon_lines(addon), *refill_lines(refill)]
    assert [(line.name, format_nanos(line.net_nanos)) for line in lines] == [
        ("pro", "6.00"), ("activation", "5.00"), ("phone-number", "2.00"), ("phone-number up front", "1.00"),
        ("large", "100.00"),
    ]  # fmt: skip


@given(
    st.lists(st.integers(0, 10**6).map(lambda cents: cents * 10**7), max_size=5),
    st.integers(0, 10_000),
    st.integers(-(10**6), 10**7),
)
def test_an_order_always_adds_up(amounts, hundredths, available_cents):
    lines = [OrderLine("", amount) for amount in amounts]
    available = available_cents * 10**7
    preview = preview_order(lines, "EUR", Fraction(hundredths, 100), available, "balance")
    assert preview.total_nanos == preview.net_nanos + preview.vat_nanos == sum(amounts) + preview.vat_nanos
    assert abs(preview.vat_nanos * 10_000 - preview.net_nanos * hundredths) * 2 <= 10_000 * 10**7
    if preview.is_refused:
        assert max(0, available) + preview.short_nanos == preview.total_nanos
    else:
        assert preview.available_after_nanos == available - preview.total_nanos
