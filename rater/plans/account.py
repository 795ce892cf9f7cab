"""An account that asks for a change of plan, and everything that stands in its way.

The plan that is left says who may ask and what it offers, the plan that is joined what must be there first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from rater.plans.allowances import Balance
from rater.plans.calendar import Periods
from rater.plans.model import Action, Capacity, Plan
from rater.plans.terms import Leaving, Role

Direction = Literal["upgrade", "downgrade"]
Reason = Literal[
    "no_change",
    "no_volume",
    "frozen",
    "not_allowed",
    "not_offered",
    "quote_only",
    "balance_not_positive",
    "no_payment_details",
    "too_many_numbers",
    "other_currency",
]


class Account(msgspec.Struct, frozen=True):
    """What an account has of its plan when it asks."""

    plan: Plan
    zone: str
    #: Its billing periods; None while they have not begun (from first usage).
    periods: Periods | None
    available_nanos: int
    #: Who asks, and who owns it.
    role: Role
    owner: str
    #: The volume chosen: its place on the plan's scale.
    volume: int | None = None
    balances: tuple[Balance, ...] = ()
    #: Capacity bought beside what the plan includes.
    bought: Capacity = Capacity()
    has_payment_details: bool = False
    #: How it counts beside what the plan includes, until a change to another plan.
    extras: Literal["add", "larger", "drop"] = "add"
    #: The balances that add-ons granted, by id: a change of plan leaves them alone.
    bought_balances: frozenset[str] = frozenset()
    #: What was paid of the present period's fee, and so at most is given back; None: all of it.
    paid_nanos: int | None = None
    #: Phone numbers it has, on hold or not.
    numbers: int = 0


class Refusal(msgspec.Struct, frozen=True):
    """What stands in the way of a change, in a word and in a sentence."""

    reason: Reason
    detail: str


def refusals(account: Account, new: Plan, direction: Direction, volume: int | None) -> Iterator[Refusal]:
    """What stands in the way, all of it at once."""
    old, leaving = account.plan, account.plan.leaving
    is_same = new.name == old.name
    if is_same and volume == account.volume:
        yield Refusal("no_change", f"the account has plan {old.name} already")
    if not new.takes(volume):
        volumes = len(new.scale.volumes) if new.scale else 0
        choose = f"choose one of its {volumes} volumes" if volumes else "it has no volumes to choose from"
        yield Refusal("no_volume", f"plan {new.name}: {choose}")
    if leaving.frozen and new.name != leaving.migrate_to:
        instead = f" to {leaving.migrate_to}" if leaving.migrate_to else ""
        yield Refusal("frozen", f"plan {old.name} cannot be changed any more, only migrated{instead}")
    if account.role not in leaving.asked_by:
        yield Refusal("not_allowed", f"only {_who(leaving, account.owner)} may change plan {old.name}")
    action: Action = "change-volume" if is_same else direction
    if action not in old.actions:
        yield Refusal("not_offered", f"plan {old.name} does not offer {action}")
    if new.joining.quote_only:
        yield Refusal("quote_only", f"plan {new.name} is offered by quote only; ask for one")
    asks_balance = new.joining.balance_positive in ("always", direction)
    if asks_balance and account.available_nanos <= 0:
        yield Refusal("balance_not_positive", f"the balance must be positive before a change to plan {new.name}")
    if new.joining.payment_details and not account.has_payment_details:
        yield Refusal("no_payment_details", f"plan {new.name} needs payment details; add them first")


def _who(leaving: Leaving, owner: str) -> str:
    """Who may ask; the owner by name, as who may not is told whom to turn to."""
    roles = [
        f"the owner ({owner})" if role == "owner" else f"a {role}" for role in sorted(leaving.asked_by, reverse=True)
    ]
    return " or ".join(roles)
