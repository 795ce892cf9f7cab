"""A plan as its file states it, each value parsed: the written form is in docs/plans.md.

A plan is the terms of one version. What an account has of it (balances, anchors, what it bought) is state and stands
elsewhere; nothing here changes after loading.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final, Literal, get_args

import msgspec

from rater.plans.terms import Billing, Joining, Leaving, ProrationTerms, Recurring, Validity
from schemas.usage import Direction, Service

#: What is sold. Nothing is decided by it; it is shown, and says to people which terms to expect.
Kind = Literal["payg", "prepaid", "subscription"]
#: How usage that no allowance covers is paid: from a wallet, or accruing for an invoice.
Settlement = Literal["prepaid", "invoice"]
Unit = Literal["bytes", "ms", "messages", "credits"]
Action = Literal["upgrade", "downgrade", "change-volume", "buy-addon", "refill", "cancel", "request-quote"]

#: What becomes of usage that no allowance covers in full: the tariff's price, or it is refused as a whole.
Overage = Literal["charged", "refused"]

#: How a refill is paid: from the wallet above (a company's from its organisation's), by card, or by invoice.
Method = Literal["parent", "card", "invoice"]

METHODS: frozenset[Method] = frozenset(get_args(Method))
SERVICES: frozenset[Service] = frozenset(get_args(Service))
ACTIONS: frozenset[Action] = frozenset(get_args(Action))
#: All but a quote, which only a plan without a price asks for.
ACTIONS_OFFERED: frozenset[Action] = ACTIONS - {"request-quote"}
#: What an allowance of a service is counted in, besides credits.
UNIT_OF: Final[dict[Service, Unit]] = {"data": "bytes", "voice": "ms", "message": "messages"}


class Match(msgspec.Struct, frozen=True):
    """Which usage something is for. Empty is any; places are zones of the tariff, countries, or networks "262-01"."""

    services: frozenset[Service] = frozenset()
    kinds: frozenset[str] = frozenset()
    direction: Direction | None = None
    where: tuple[str, ...] = ()
    to: tuple[str, ...] = ()


class Cost(msgspec.Struct, frozen=True):
    """A line of a credit table: what one base unit (byte, millisecond, message) costs, exact."""

    match: Match
    credits: Fraction
    #: As written: credits for each of these.
    per: str = "message"


class Expiry(msgspec.Struct, frozen=True):
    """When a granted allowance ends: with its period, some months after its grant, or never."""

    at: Literal["period", "months", "never"] = "period"
    months: int = 0


class RollOver(msgspec.Struct, frozen=True):
    """What is left at the end is granted again: for so many more periods, at most so much (in parts; None: all)."""

    periods: int = 1
    parts_max: int | None = None


class Allowance(msgspec.Struct, frozen=True):
    """What a period (or an add-on) grants of usage, before money is asked.

    Quantities are in parts: bytes, milliseconds, messages, or 1/`parts_per_credit` credits. That is the coarsest part
    of a credit in which each line of the table costs a whole number, so that using credits needs no rounding at all.
    """

    name: str
    unit: Unit
    quantity_parts: int
    match: Match
    #: The lowest is used first.
    priority: int = 100
    expiry: Expiry = Expiry()
    roll_over: RollOver | None = None
    #: One balance for all SIMs of the account's company.
    shared: bool = False
    costs: tuple[Cost, ...] = ()
    parts_per_credit: int = 1


class Capacity(msgspec.Struct, frozen=True):
    """What may be in use at once, None without a limit, and the place in the queue (the lowest number first)."""

    channels: int | None = None
    connections: int | None = None
    concurrent_calls: int | None = None
    numbers: int | None = None
    queue_priority: int | None = None


class Volume(msgspec.Struct, frozen=True):
    """A step of the scale: so much of an allowance a period, at this price a period."""

    quantity_parts: int
    price_nanos: int


class Scale(msgspec.Struct, frozen=True):
    """The volumes an account chooses from, rising; the one chosen replaces the allowance's quantity and the fee."""

    allowance: str
    volumes: tuple[Volume, ...]


class Refill(msgspec.Struct, frozen=True):
    """A refill offer: what is paid and what the wallet is given differ."""

    name: str
    price_nanos: int
    balance_nanos: int
    paid_by: frozenset[Method] = METHODS
    #: By invoice: the wallet is given its balance when the invoice is confirmed, or at once.
    given: Literal["confirmed", "at-once"] = "confirmed"


class AddOn(msgspec.Struct, frozen=True):
    """What can be bought besides: once, or again each period until given up."""

    name: str
    price_nanos: int
    upfront_nanos: int = 0
    recurring: bool = False
    #: Days on hold when it cannot be paid, before it is released (a phone number); None: released at once.
    hold_days: int | None = None
    allowances: tuple[Allowance, ...] = ()
    capacity: Capacity = Capacity()
    #: It is a phone number, one of the inventory (rater/numbers), which rests so many days after it is given up.
    is_number: bool = False
    quarantine_days: int = 0


class Plan(msgspec.Struct, frozen=True):
    """One version of a plan."""

    name: str
    version: str
    effective_from_ms: int
    #: Name of the tariff.
    tariff: str
    settlement: Settlement
    #: IANA zone of the billing cycle, for accounts without one of their own.
    zone: str
    #: Services allowed.
    entitlements: frozenset[Service] = SERVICES
    kind: Kind = "payg"
    #: Of every amount here, and of the tariff; empty where no amount is stated.
    currency: str = ""
    #: The place among plans: a change to a higher one is an upgrade; equal ones go by their fee.
    rank: int = 0
    billing: Billing = Billing()
    recurring: Recurring | None = None
    activation_nanos: int = 0
    proration: ProrationTerms = ProrationTerms()
    validity: Validity | None = None
    allowances: tuple[Allowance, ...] = ()
    scale: Scale | None = None
    refills: tuple[Refill, ...] = ()
    addons: tuple[AddOn, ...] = ()
    #: Paid from a wallet: how far it goes, negative is credit. None: the plan leaves the wallet's floor where it is.
    floor_nanos: int | None = None
    #: Settled by invoice: how much may be open; None without a limit.
    invoice_limit_nanos: int | None = None
    #: A depleted wallet stops the subscriber even where an allowance has something left.
    positive_balance: bool = False
    overage: Overage = "charged"
    capacity: Capacity = Capacity()
    actions: frozenset[Action] = ACTIONS_OFFERED
    leaving: Leaving = Leaving()
    joining: Joining = Joining()

    @property
    def has_life(self) -> bool:
        """Whether a subscription to it begins, costs, grants or ends anything by itself."""
        terms = (self.recurring, self.scale, self.allowances, self.activation_nanos, self.validity)
        return (
            any(terms)
            or self.settlement == "invoice"
            or self.floor_nanos is not None
            or (self.leaving.migrate_from_ms > 0)
        )

    def takes(self, volume: int | None) -> bool:
        """Whether this is a choice of volume (its place on the scale) for the plan; without a scale, none is."""
        if self.scale is None:
            return volume is None
        return volume is not None and 0 <= volume < len(self.scale.volumes)

    def fee_nanos(self, volume: int | None = None) -> int:
        """The fee of a whole period, at the volume chosen."""
        if self.scale is not None:
            return self.scale.volumes[volume].price_nanos if volume is not None and self.takes(volume) else 0
        return self.recurring.price_nanos if self.recurring else 0

    def granted_parts(self, allowance: Allowance, volume: int | None = None) -> int:
        """How much of an allowance a period grants, at the volume chosen."""
        if self.scale is not None and volume is not None and self.scale.allowance == allowance.name:
            return self.scale.volumes[volume].quantity_parts if self.takes(volume) else 0
        return allowance.quantity_parts

    def allowance(self, name: str) -> Allowance | None:
        """An allowance of the plan or of one of its add-ons."""
        every = [*self.allowances, *(allowance for addon in self.addons for allowance in addon.allowances)]
        return next((allowance for allowance in every if allowance.name == name), None)
