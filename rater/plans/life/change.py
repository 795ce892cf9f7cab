"""A change of plan: at once, or planned for later; a migration; and the end, a cancellation.

What a change costs, forfeits and keeps is what its preview says (rater/plans/change.py): a change that is asked for is
made by the preview that was confirmed, one that comes due by a preview made at that instant. The new plan's fee is in
it, and so the renewal of the same instant is left out.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from rater.errors import PlanError
from rater.money import format_nanos
from rater.plans.account import Account
from rater.plans.change import ChangePreview, Left, preview_at, refund_nanos
from rater.plans.credits import credits_of
from rater.plans.life.addons import bought_capacity, released, without_capacity
from rater.plans.life.balances import balances
from rater.plans.life.due import Due
from rater.plans.life.join import ended_at, floor_after, joined, left, renewed_validity, stopped
from rater.plans.life.outcome import finished, invoiced, step
from rater.plans.life.state import Grant, Planned, Saying, Step, Subscription, View
from rater.plans.terms import Role


def account_of(
    sub: Subscription, view: View, role: Role, owner: str, has_payment_details: bool = False, *, at_ms: int
) -> Account:
    """The account as a preview of a change at an instant wants it."""
    periods = sub.periods
    period = periods.period_at(at_ms) if periods is not None else None
    is_paid = period is not None and period.index < sub.next_period and sub.status != "cancelled"
    return Account(
        plan=view.plan(sub.plan, at_ms),
        zone=sub.zone,
        periods=periods,
        available_nanos=view.available_nanos,
        role=role,
        owner=owner,
        volume=sub.volume,
        balances=tuple(balance for balance in balances(sub, view) if balance.until_ms > at_ms),
        bought=bought_capacity(sub, view),
        has_payment_details=has_payment_details,
        extras=sub.extras,
        bought_balances=frozenset(grant.id for grant in sub.grants if grant.order),
        paid_nanos=sub.paid_nanos if is_paid else 0,
        numbers=sum(1 for bought in sub.bought if bought.number),
    )


def change(sub: Subscription, preview: ChangePreview, view: View, cause: str = "") -> Step:
    """Change at once, as the preview says that was made upon this subscription. Who cannot pay it changes nothing.

    It ends what held the subscriber for want of money, and takes the place of a change that was planned.

    Raises:
        PlanError: the subscription was cancelled.
    """
    _check_not_cancelled(sub)
    return _changed("change", sub, preview, view, cause, all_or_nothing=True)


def schedule(sub: Subscription, preview: ChangePreview, asked_ms: int, view: View, cause: str = "") -> Step:
    """Plan a change for when the preview says; it takes the place of one planned before.

    Raises:
        PlanError: the subscription was cancelled.
    """
    _check_not_cancelled(sub)
    planned = Planned(preview.new.name, preview.volume, preview.when_ms, asked_ms, cause)
    said = Saying("plan.change_planned", {"plan": sub.plan, **_planned_data(planned)})
    return step("schedule", asked_ms, 0, finished(replace(sub, planned=planned), asked_ms, view, (said,)), note=cause)


def unschedule(sub: Subscription, at_ms: int, view: View) -> Step:
    """Give up a planned change.

    Raises:
        PlanError: none is planned.
    """
    if sub.planned is None:
        raise PlanError("planned", "no change is planned")
    said = Saying("plan.change_withdrawn", {"plan": sub.plan, **_planned_data(sub.planned)})
    return step("unschedule", at_ms, 0, finished(replace(sub, planned=None), at_ms, view, (said,)))


def planned_change(sub: Subscription, due: Due, view: View) -> Step:
    """A planned change is due. One that the catalogue does not have any more is given up.

    Where it cannot be paid the plan changes all the same, and the subscriber is held.
    """
    planned, at_ms = sub.planned, due.at_ms
    assert planned is not None, "it is due"
    new = view.plans(planned.plan, at_ms)
    if new is None or not new.takes(planned.volume):
        said = Saying("plan.change_failed", {"plan": sub.plan, **_planned_data(planned), "reason": "no_plan"})
        return step("change", at_ms, 0, finished(replace(sub, planned=None), at_ms, view, (said,)))
    account = account_of(sub, view, "owner", "", at_ms=at_ms)
    preview = preview_at(account, new, planned.asked_ms, at_ms, planned.volume)
    return _changed("change", sub, preview, view, planned.cause)


def migrate(sub: Subscription, due: Due, view: View) -> Step:
    """The plan switches the subscriber by itself."""
    at_ms = due.at_ms
    account = account_of(sub, view, "owner", "", at_ms=at_ms)
    new = view.plan(account.plan.leaving.migrate_to, at_ms)
    return _changed("migrate", sub, preview_at(account, new, at_ms, at_ms), view, "migration")


def cancel(sub: Subscription, at_ms: int, view: View) -> Step:
    """The end, at once: what is left ends, add-ons are released, and of the fee is given back what `refund` says.

    Raises:
        PlanError: it was cancelled already.
    """
    _check_not_cancelled(sub)
    back_nanos = refund_nanos(account_of(sub, view, "owner", "", at_ms=at_ms), at_ms) + sub.credit_nanos
    closed, invoices = invoiced(sub, at_ms)
    data = {"plan": sub.plan, "refund": format_nanos(back_nanos), "cancelled_ms": at_ms}
    ended = replace(
        closed,
        status="cancelled",
        grants=tuple(ended_at(grant, at_ms) for grant in sub.grants),
        bought=(),
        planned=None,
        fee_due_ms=None,
        paid_nanos=0,
        credit_nanos=0,
        valid_until_ms=None,
        invoice_from_ms=None,
    )
    gone = [released(bought, "cancelled") for bought in sub.bought]
    said = (*invoices, *gone, Saying("plan.cancelled", data))
    return step("cancel", at_ms, -back_nanos, finished(ended, at_ms, view, said))


def _changed(
    name: str, sub: Subscription, preview: ChangePreview, view: View, cause: str, *, all_or_nothing: bool = False
) -> Step:
    """The step of a change, whatever brought it about."""
    at_ms, old, new = preview.when_ms, preview.old, preview.new
    is_other = new.name != sub.plan
    before, invoices = invoiced(sub, at_ms) if is_other else (sub, ())
    after = replace(
        left(before, new, at_ms),
        volume=preview.volume,
        grants=_grants(sub, preview, is_other),
        by_change=True,
        credit_nanos=sub.credit_nanos + preview.refund_nanos,
        activation_due=new.activation_nanos > 0 if is_other else sub.activation_due,
    )
    dropped: tuple[Saying, ...] = ()
    if is_other:
        after = renewed_validity(replace(after, extras=old.leaving.extras), new, at_ms)
        if old.leaving.extras == "drop":
            after, dropped = without_capacity(after, view)
    return joined(
        name,
        after,
        new,
        at_ms,
        preview.periods,
        view,
        (*invoices, *dropped, Saying("plan.changed", _change_data(preview, cause))),
        floor_after(old, new) if is_other else None,
        all_or_nothing=all_or_nothing,
        asleep=sub.status == "expired" and not all_or_nothing,
    )


def _grants(sub: Subscription, preview: ChangePreview, is_other: bool) -> tuple[Grant, ...]:
    """What is forfeited ends; what is kept of another plan keeps its end, and does not roll over."""
    forfeited = {one.id for one in preview.forfeited}
    grants = stopped(sub) if is_other else sub.grants
    return tuple(ended_at(grant, preview.when_ms) if grant.id in forfeited else grant for grant in grants)


def _check_not_cancelled(sub: Subscription) -> None:
    if sub.status == "cancelled":
        raise PlanError("subscription", "the subscription was cancelled; assign a plan to begin again")


def _planned_data(planned: Planned) -> dict[str, Any]:
    return {"to": planned.plan, "volume": planned.volume, "when_ms": planned.when_ms}


def _change_data(preview: ChangePreview, cause: str) -> dict[str, Any]:
    return {
        "plan": preview.old.name,
        "to": preview.new.name,
        "version": preview.new.version,
        "volume": preview.volume,
        "when_ms": preview.when_ms,
        "fee": format_nanos(preview.fee_nanos),
        "activation": format_nanos(preview.activation_nanos),
        "refund": format_nanos(preview.refund_nanos),
        "currency": preview.new.currency,
        "forfeited": [_left_data(left, preview) for left in preview.forfeited],
        "cause": cause,
    }


def _left_data(left: Left, preview: ChangePreview) -> dict[str, Any]:
    allowance = preview.old.allowance(left.allowance)
    amount = str(credits_of(allowance, left.parts)) if allowance is not None else str(left.parts)
    return {"allowance": left.allowance, "grant": left.id, "left": amount}
