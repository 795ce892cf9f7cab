"""When a plan's fees are due and how long it holds, and what a change from it or to it means."""

from __future__ import annotations

from typing import Literal

import msgspec

from rater.plans.calendar import PeriodBy
from rater.plans.proration import Proration

Renewal = Literal["while-positive", "always", "never"]
Role = Literal["owner", "manager", "reader"]
When = Literal["at-once", "next-period", "month-end", "date"]


class Start(msgspec.Struct, frozen=True):
    """From when something runs: the assignment of the plan, the first usage after it, or a date."""

    at: Literal["assignment", "first-usage", "date"] = "assignment"
    date_ms: int = 0

    def of(self, assigned_ms: int, first_usage_ms: int | None) -> int | None:
        """The instant for an account; None while it has not been used. A date before the assignment is that."""
        if self.at == "first-usage":
            return first_usage_ms
        return max(assigned_ms, self.date_ms) if self.at == "date" else assigned_ms


class Billing(msgspec.Struct, frozen=True):
    """The billing period: its fee is charged, and its allowances are granted, at each start."""

    months: int = 1
    by: PeriodBy = "month-end"
    starts: Start = Start()


class Recurring(msgspec.Struct, frozen=True):
    """The fee of each billing period (MRC). It may start later than the periods do."""

    price_nanos: int
    starts: Start | None = None


class ProrationTerms(msgspec.Struct, frozen=True):
    """How a fee is shared when the plan begins within a period: by itself, or after another plan."""

    first: Proration = "none"
    change: Proration = "days-after"


class Validity(msgspec.Struct, frozen=True):
    """How long the plan holds, and whether it goes on by itself."""

    months: int
    by: PeriodBy = "anniversary"
    renews: Renewal = "while-positive"
    starts: Start = Start()


class Timing(msgspec.Struct, frozen=True):
    """When a change takes effect."""

    at: When = "at-once"
    date_ms: int = 0


class Leaving(msgspec.Struct, frozen=True):
    """What holds for an account that changes from this plan to another."""

    upgrade: Timing = Timing()
    downgrade: Timing = Timing()
    asked_by: frozenset[Role] = frozenset({"owner", "manager"})
    unused: Literal["forfeited", "kept"] = "forfeited"
    refund: Literal["none", "days-after"] = "none"
    #: Bought capacity: added to what the new plan includes; the larger of both; or dropped.
    extras: Literal["add", "larger", "drop"] = "add"
    #: Cannot be changed by anyone, only migrated.
    frozen: bool = False
    migrate_to: str = ""
    #: From then on each account that is left is switched by itself; 0: only when asked for.
    migrate_from_ms: int = 0


class Joining(msgspec.Struct, frozen=True):
    """What holds for an account that changes to this plan from another."""

    #: Whether the wallet must have something available first.
    balance_positive: Literal["never", "upgrade", "always"] = "never"
    payment_details: bool = False
    #: No price in the catalogue: it is offered by quote and not by order.
    quote_only: bool = False
    #: At an immediate change: a new period from the change on, or the account's own periods go on.
    period: Literal["keep", "restart"] = "keep"
