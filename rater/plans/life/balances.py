"""What usage asks of a subscription: which plan held, whether a step comes first, and what allowances have left."""

from __future__ import annotations

from rater.plans.allowances import Balance
from rater.plans.life.state import Grant, Subscription, View


def needs_step(sub: Subscription, at_ms: int) -> bool:
    """Whether usage at an instant must wait for a step: the first usage, or what is due by then."""
    due_ms = sub.due_ms
    if due_ms is not None and due_ms <= at_ms:
        return True
    # Who had no plan before has used this one, though its usage be a moment older than the subscription.
    return sub.first_usage_ms is None and sub.status == "active" and (at_ms >= sub.assigned_ms or not sub.past)


def plan_at(sub: Subscription, at_ms: int) -> str:
    """The plan that usage at an instant is charged by; empty before the first."""
    if at_ms >= sub.assigned_ms:
        return sub.plan
    return next((plan for from_ms, until_ms, plan in reversed(sub.past) if from_ms <= at_ms < until_ms), "")


def balances(sub: Subscription, view: View) -> list[Balance]:
    """What was granted, with what is left: for `consume`, which goes by the usage's own time; ended ones too."""
    found = (balance_of(grant, view) for grant in sub.grants)
    return [balance for balance in found if balance is not None]


def balance_of(grant: Grant, view: View) -> Balance | None:
    """A grant with its terms; None if the catalogue does not have them any more."""
    plan = view.versions(grant.plan, grant.version)
    allowance = plan.allowance(grant.name) if plan is not None else None
    if allowance is None:
        return None
    return Balance(
        id=grant.id,
        allowance=allowance,
        left_parts=grant.left_parts(view.used),
        from_ms=grant.from_ms,
        until_ms=grant.until_ms,
        rolls_left=grant.rolls_left,
        granted_parts=grant.granted_parts,
    )


def is_covered(sub: Subscription, view: View, at_ms: int) -> bool:
    """Whether an empty wallet does not stop the subscriber: an allowance can be used at that instant."""
    plan = view.plans(sub.plan, at_ms)
    if plan is not None and plan.positive_balance:
        return False
    return any(grant.from_ms <= at_ms < grant.until_ms and grant.left_parts(view.used) > 0 for grant in sub.grants)
