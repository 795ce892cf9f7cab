"""What an order costs before it is confirmed: net, VAT of the billing country, total, and by how much one is short.

VAT is charged once on the sum, half-up to the minor unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import msgspec

from rater.plans.model import AddOn, Plan, Refill
from rater.plans.proration import to_minor_nanos

#: "balance": what the wallet has available. Any other method is taken to pay the whole.
Payment = Literal["balance", "card", "upi", "invoice"]


class OrderLine(msgspec.Struct, frozen=True):
    """A line of an order, net."""

    name: str
    net_nanos: int


class OrderPreview(msgspec.Struct, frozen=True):
    """An order as it would be charged."""

    lines: tuple[OrderLine, ...]
    currency: str
    net_nanos: int
    vat_percent: Fraction
    vat_nanos: int
    total_nanos: int
    payment: Payment
    available_nanos: int
    #: What the wallet has available afterwards; as before where it does not pay, or cannot.
    available_after_nanos: int
    #: By how much the wallet is short, 0 if it is not. Paying from the balance is refused then.
    short_nanos: int

    @property
    def is_refused(self) -> bool:
        """Whether the method chosen cannot pay it."""
        return self.payment == "balance" and self.short_nanos > 0


def preview_order(
    lines: Sequence[OrderLine], currency: str, vat_percent: Fraction, available_nanos: int, payment: Payment
) -> OrderPreview:
    """Add an order up, by the VAT rate that holds for whom is billed."""
    net_nanos = sum(line.net_nanos for line in lines)
    vat_nanos = to_minor_nanos(net_nanos * vat_percent / 100, currency)
    total_nanos = net_nanos + vat_nanos
    short_nanos = max(0, total_nanos - max(0, available_nanos))
    pays = payment == "balance" and not short_nanos
    after_nanos = available_nanos - total_nanos if pays else available_nanos
    return OrderPreview(
        lines=tuple(lines),
        currency=currency,
        net_nanos=net_nanos,
        vat_percent=vat_percent,
        vat_nanos=vat_nanos,
        total_nanos=total_nanos,
        payment=payment,
        available_nanos=available_nanos,
        available_after_nanos=after_nanos,
        short_nanos=short_nanos,
    )


def plan_lines(plan: Plan, first_fee_nanos: int) -> tuple[OrderLine, ...]:
    """The lines of a plan that is ordered; its first fee may be a share of a period's."""
    activation = OrderLine("activation", plan.activation_nanos)
    return (OrderLine(plan.name, first_fee_nanos), *([activation] if activation.net_nanos else []))


def addon_lines(addon: AddOn) -> tuple[OrderLine, ...]:
    """The lines of an add-on: its price, and what is paid up front."""
    upfront = OrderLine(f"{addon.name} up front", addon.upfront_nanos)
    return (OrderLine(addon.name, addon.price_nanos), *([upfront] if upfront.net_nanos else []))


def refill_lines(refill: Refill) -> tuple[OrderLine, ...]:
    """A refill is charged at its price, whatever it gives."""
    return (OrderLine(refill.name, refill.price_nanos),)
