"""Rules: usage, or what is left, of a SIM, an allowance or a shared pool passes a threshold.

A rule triggers once for each subject and period. What it counts are rated records: which rules a record matters to is
decided here, without I/O; the sums stand in Redis (counts.lua).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from schemas.usage import Service
from streams.webhooks.shelf import Shelf

Metric = Literal[
    "sim_card.usage", "sim_card.remaining_usage",
    "allowance.usage", "allowance.remaining_usage",
    "pool.usage", "pool.remaining_usage",
]  # fmt: skip

#: Of one account, or of the tenant itself.
RULES_MAX: Final = 200


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule as it is stored. Quantities are bytes, milliseconds or messages, by the service."""

    id: str
    tenant: str
    #: Whose SIMs; empty for the whole tenant's.
    account: str
    metric: Metric
    service: Service
    threshold: int
    created_ms: int
    #: Of sim_card.remaining_usage: what a SIM may use in a period.
    limit: int | None = None
    #: One SIM only, one allowance only.
    sim: str = ""
    allowance: str = ""
    note: str = ""
    #: As it was written: "800 MB".
    threshold_text: str = ""
    limit_text: str = ""

    @property
    def type(self) -> str:
        """Of its notices."""
        return f"rule.{self.metric}.triggered"


Rules = Shelf[Rule]


class Rated(msgspec.Struct, frozen=True, gc=False):
    """What rules look at in a rated record (schemas.rated)."""

    tenant: str
    subscriber: str
    account: str
    wallet: str
    service: str
    period: str
    epoch: int
    n: int
    quantity: int
    rated_ms: int
    part: int = 0
    fate: str = "rated"
    allowance: str = ""
    allowance_used: int = 0
    #: Left of the allowance after this part; left out where it is 0.
    allowance_left: int = 0


class Check(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One record before one rule: which state it touches, and what is told if the threshold is passed."""

    state: str
    #: The amount is added up and compared with `>=`; else it is compared as it is, with `<=`.
    is_sum: bool
    amount: int
    threshold: int
    #: Tenant, rule, account, SIM, wallet, allowance, period, time; the value is put behind it.
    told: tuple[str, str, str, str, str, str, str, int]


def checks_of(record: Rated, rules: Iterable[Rule]) -> list[Check]:
    """What a record means for rules that are in reach of its account."""
    return [check for rule in rules if (check := _check(record, rule)) is not None]


def _check(record: Rated, rule: Rule) -> Check | None:
    subject, _, kind = rule.metric.partition(".")
    if record.service != rule.service or record.rated_ms < rule.created_ms or rule.sim not in ("", record.subscriber):
        return None
    by_allowance = subject != "sim_card" or bool(rule.allowance)
    if by_allowance and (not record.allowance or rule.allowance not in ("", record.allowance)):
        return None
    sim = "" if subject == "pool" else record.subscriber
    allowance = record.allowance if by_allowance else ""
    who = record.account if subject == "pool" else record.subscriber
    state = f"{rule.id}:{len(who)}:{who}{allowance}:{record.period}"
    told = (record.tenant, rule.id, record.account, sim, record.wallet, allowance, record.period, record.rated_ms)
    if kind == "remaining_usage" and rule.limit is None:
        return Check(state, False, record.allowance_left, rule.threshold, told)
    amount = record.allowance_used if by_allowance else record.quantity
    threshold = rule.threshold if rule.limit is None else max(rule.limit - rule.threshold, 0)
    return Check(state, True, amount, threshold, told)
