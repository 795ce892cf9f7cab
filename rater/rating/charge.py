"""What rating answers: a charge, and the counters it depends on.

A counter is an integer that outlives an event: how much of a step a SIM has already paid (carry-over), how much it has
used in a cycle (tiers), what a session has consumed. Rating works from a cached view of them, so a charge names those
it read (`CounterUse`), and the wallet's atomic call compares each with what was assumed before it debits.
"""

from typing import Literal

import msgspec

Outcome = Literal["priced", "free", "blocked", "no_rate"]


class CounterUse(msgspec.Struct, frozen=True, gc=False):
    """One counter a charge depends on, and what it advances by.

    `key` is unique within the subscriber. A key that starts with "session:" lives as long as the verdict memory; any
    other starts with its period, "2026-11-01:" (first day of the cycle), and lives for the cycle and its grace.
    All values stay below 2^53.
    """

    key: str
    add: int


class ChargePart(msgspec.Struct, frozen=True, gc=False):
    """A piece of the usage within one tariff version, time band and period. Amounts of parts add up to the charge."""

    start_ms: int
    end_ms: int
    #: First day of the billing cycle, "YYYY-MM-DD".
    period: str
    tariff_version: str
    #: Name of the rate and of the zone that matched.
    rate: str
    zone: str
    quantity: int
    billable_quantity: int
    amount_nanos: int
    tax_category: str
    explanation: tuple[str, ...]
    #: The allowance that gave it, how many of its parts, and what it has left then; the tariff charges nothing.
    allowance: str = ""
    allowance_used: int = 0
    allowance_left: int = 0


class Charge(msgspec.Struct, frozen=True, gc=False):
    """The answer of `rate`. `blocked` may be priced (what it would have cost); `no_rate` has no parts and amount 0.

    `reason_detail` says in words why a `blocked` or `no_rate` was answered, naming what was looked up.
    """

    outcome: Outcome
    currency: str
    amount_nanos: int
    parts: tuple[ChargePart, ...]
    uses: tuple[CounterUse, ...] = ()
    reason_detail: str = ""
