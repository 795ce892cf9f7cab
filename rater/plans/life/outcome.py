"""The end of each step, whatever it did: grants that have ended are told of, old ones go, and the next due time is set.

A grant that has ended stays for three days of grace, so that late usage of its time still finds it, and goes with
whatever step comes after that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from rater.money import format_nanos
from rater.plans.allowances import NEVER_MS
from rater.plans.credits import credits_of
from rater.plans.life.due import addon_of, earliest
from rater.plans.life.state import (
    DAY_MS,
    GRACE_MS,
    HOLDS,
    PAST_KEPT_MS,
    Bought,
    Grant,
    Outcome,
    Saying,
    Step,
    Subscription,
    View,
)
from rater.plans.model import Capacity, Plan

_NOTHING = Capacity()
_SHOWN_MS: Final = 31 * DAY_MS


def finished(sub: Subscription, at_ms: int, view: View, sayings: Sequence[Saying] = ()) -> Outcome:
    """The outcome of a step: `sub` as the step has left it, but for its number."""
    ended = [grant for grant in sub.grants if not grant.ended and grant.until_ms <= at_ms]
    said = [*sayings, *(_expired(grant, view) for grant in ended)]
    grants = tuple(
        replace(grant, ended=True) if grant.until_ms <= at_ms and not grant.ended else grant
        for grant in sub.grants
        if at_ms < grant.until_ms + GRACE_MS and not _is_used_up(grant, at_ms, view)
    )
    bought = tuple(one for one in sub.bought if _is_left(one, grants, view))
    past = tuple(stretch for stretch in sub.past if at_ms < stretch[1] + PAST_KEPT_MS)
    stepped_ms = max(at_ms, sub.stepped_ms)
    after = replace(sub, n=sub.n + 1, grants=grants, bought=bought, past=past, stepped_ms=stepped_ms, due_ms=None)
    due = earliest(after, view)
    after = replace(after, due_ms=due.at_ms if due is not None else None)
    return Outcome(after, HOLDS[after.status], tuple(said))


def step(
    name: str,
    at_ms: int,
    fee_nanos: int,
    paid: Outcome,
    unpaid: Outcome | None = None,
    floor_nanos: int | None = None,
    note: str = "",
) -> Step:
    """A step; what costs nothing cannot be unpaid."""
    return Step(name, at_ms, fee_nanos, paid, unpaid if fee_nanos > 0 else None, floor_nanos, note)


def unpaid(sub: Subscription, at_ms: int, due_nanos: int, plan: Plan) -> tuple[Subscription, Saying]:
    """Held until the wallet is refilled, and what is said of it."""
    data = {"plan": plan.name, "fee": format_nanos(due_nanos), "currency": plan.currency, "due_ms": at_ms}
    return replace(sub, status="unpaid"), Saying("plan.payment_failed", data)


def invoiced(sub: Subscription, at_ms: int, plan: str = "") -> tuple[Subscription, tuple[Saying, ...]]:
    """Close what is to be invoiced up to an instant; the next invoice goes on from there."""
    if sub.invoice_from_ms is None or sub.invoice_from_ms >= at_ms:
        return sub, ()
    data = {"plan": plan or sub.plan, "from_ms": sub.invoice_from_ms, "until_ms": at_ms}
    return replace(sub, invoice_from_ms=at_ms), (Saying("invoice.period_closed", data),)


def _expired(grant: Grant, view: View) -> Saying:
    plan = view.versions(grant.plan, grant.version)
    allowance = plan.allowance(grant.name) if plan is not None else None
    left = grant.left_parts(view.used)
    data = {"allowance": grant.name, "grant": grant.id, "plan": grant.plan, "left": left}
    if allowance is not None:
        data |= {"left": str(credits_of(allowance, left)), "unit": allowance.unit}
    return Saying("allowance.expired", data)


def _is_left(bought: Bought, grants: tuple[Grant, ...], view: View) -> bool:
    """A bundle that was bought once goes with the last of what it granted."""
    if bought.next_ms or bought.on_hold_since_ms or any(grant.order == bought.id for grant in grants):
        return True
    addon = addon_of(bought, view)
    return addon is not None and addon.capacity != _NOTHING


def _is_used_up(grant: Grant, at_ms: int, view: View) -> bool:
    """Nothing is left of what does not end by time; it is shown for a month."""
    is_endless = grant.until_ms == NEVER_MS and grant.from_ms + _SHOWN_MS <= at_ms
    return is_endless and not grant.left_parts(view.used)
