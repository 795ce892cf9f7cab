"""A payment: what is paid, what a wallet is given for it, what has come of it, and what is still to be done about it.

Two amounts: `amount_nanos` is what somebody pays, `balance_nanos` what the wallet is given; a refill offer may give
more than it costs. A payment that gives no balance (of an order, of an invoice) has its notices all the same.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from rater.plans.model import Method

#: `created`: written down, no provider has answered. `pending`: a provider has it and it is not decided. The rest is
#: decided, but for one thing: money that arrives after all makes a payment `confirmed`, whatever was said before.
Status = Literal["created", "pending", "confirmed", "declined", "cancelled"]
Given = Literal["confirmed", "at-once"]

#: `source` of every wallet entry of a payment.
SOURCE: Final = "payment"


class Purpose(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is paid for: a refill offer by its name and plan, an order, an invoice."""

    kind: Literal["refill", "auto-refill", "order", "invoice"]
    name: str = ""
    plan: str = ""


class Means(msgspec.Struct, frozen=True, omit_defaults=True):
    """With what a provider is to charge whom: its own references, never the number of a card."""

    customer: str = ""
    method: str = ""


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of a payment's history."""

    at_ms: int
    what: str
    reason: str = ""


class Planned(msgspec.Struct, frozen=True, omit_defaults=True):
    """A wallet entry that a change of the payment calls for, written down together with that change.

    Its amount is fixed then; its id names it for ever, so it is carried out once, however often and by whomever.
    """

    id: str
    kind: Literal["credit", "force", "note"]
    notice: str
    at_ms: int
    amount_nanos: int = 0
    done: bool = False
    #: The wallet said no: `balance_limit`.
    refused: str = ""


class Payment(msgspec.Struct, frozen=True, omit_defaults=True):
    """A payment as it is kept."""

    tenant: str
    id: str
    account: str
    wallet: str
    purpose: Purpose
    amount_nanos: int
    balance_nanos: int
    currency: str
    method: Method
    created_ms: int
    #: By invoice: the wallet is given its balance when it is confirmed, or at once.
    given: Given = "confirmed"
    #: The wallet above, which pays.
    parent: str = ""
    means: Means = Means()
    status: Status = "created"
    changed_ms: int = 0
    reason: str = ""
    #: The provider's name for it.
    reference: str = ""
    #: What the payer's browser needs where the payer has to do something.
    client_secret: str = ""
    #: Of `amount_nanos`, what went back to the payer, and what payers' banks took back, by dispute (0: returned).
    refunded_nanos: int = 0
    disputed: dict[str, int] = {}
    history: tuple[Change, ...] = ()
    planned: tuple[Planned, ...] = ()

    @property
    def is_decided(self) -> bool:
        """Whether its provider has said yes or no."""
        return self.status in ("confirmed", "declined", "cancelled")

    @property
    def open(self) -> tuple[Planned, ...]:
        """Wallet entries that are to be carried out, in their order."""
        return tuple(planned for planned in self.planned if not planned.done)

    @property
    def lost_nanos(self) -> int:
        """What the payer has back of the amount, by refunds and disputes; they may overlap."""
        return min(self.amount_nanos, self.refunded_nanos + sum(self.disputed.values()))

    @property
    def waits_for_person(self) -> bool:
        """Whether nothing goes on until somebody confirms or cancels it: an invoice that was sent."""
        return self.method == "invoice" and self.status == "pending"


class ProviderAnswer(msgspec.Struct, frozen=True):
    """What a provider says of a payment. A time-out is no answer."""

    status: Literal["pending", "confirmed", "declined", "cancelled"]
    reference: str = ""
    reason: str = ""
    client_secret: str = ""


class Refunded(msgspec.Struct, frozen=True):
    """So much of the amount went back to the payer in all, by the provider's count."""

    reference: str
    total_nanos: int


class Disputed(msgspec.Struct, frozen=True):
    """So much of the amount was taken back by the payer's bank; 0 if it was returned since."""

    reference: str
    dispute: str
    amount_nanos: int


#: What a provider reports.
Report = ProviderAnswer | Refunded | Disputed
