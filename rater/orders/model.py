"""An order: what is bought for a SIM, at which figures, how it is paid, and what has come of it."""

from __future__ import annotations

from fractions import Fraction
from typing import Final, Literal

import msgspec

from rater.payments.auto_refill import payment_id
from rater.payments.model import Means
from rater.plans.model import Method
from rater.plans.order import OrderLine, Payment
from rater.plans.proration import to_minor_nanos
from rater.plans.terms import Role

#: `pending`: it is not paid yet, or is about to be made. `requested`: a quote was asked for; nothing is bought.
Status = Literal["pending", "done", "failed", "requested"]

#: How a provider is asked for it. UPI is one of the ways in which a payer pays in the browser.
PROVIDERS: Final[dict[Payment, Method]] = {"card": "card", "upi": "card", "invoice": "invoice"}


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """A plan, at a volume if it has a scale; or an add-on of the plan that the SIM has."""

    plan: str = ""
    volume: int | None = None
    addon: str = ""


class Asker(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who ordered, as far as a plan's terms ask."""

    role: Role
    owner: str = ""
    has_payment_details: bool = False


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """An order as it is kept. Its figures are those of the preview; what was charged may be less, never more."""

    tenant: str
    id: str
    account: str
    wallet: str
    sim: str
    item: Item
    asker: Asker
    created_ms: int
    currency: str
    payment: Payment = "balance"
    lines: tuple[OrderLine, ...] = ()
    vat_country: str = ""
    #: Exact, as text.
    vat_percent: str = "0"
    net_nanos: int = 0
    vat_nanos: int = 0
    total_nanos: int = 0
    #: When it takes effect, as previewed.
    effective_ms: int = 0
    means: Means = Means()
    status: Status = "pending"
    changed_ms: int = 0
    #: Why it failed; while it is pending, that it is being given up.
    reason: str = ""
    detail: str = ""
    charged_nanos: int = 0
    #: What the wallet had before the step, once it is made.
    balance_before_nanos: int | None = None
    #: What was said with a request for a quote.
    note: str = ""

    @property
    def payment_id(self) -> str:
        """Its payment's id; empty where the balance pays, or nothing is to be paid."""
        return payment_id(self.tenant, "order", self.id) if self.is_paid_by_provider else ""

    @property
    def is_paid_by_provider(self) -> bool:
        """Whether somebody pays the wallet first."""
        return self.payment != "balance" and self.total_nanos > 0

    @property
    def request(self) -> str:
        """The id under which its step is made, or given up, once."""
        return f"order/{self.id}"

    def tax_nanos(self, fee_nanos: int) -> int:
        """VAT on a fee, by the rate of the order's day."""
        return to_minor_nanos(Fraction(self.vat_percent) * fee_nanos / 100, self.currency)
