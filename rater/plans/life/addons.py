"""Add-ons: bought, paid period by period, on hold when they cannot be, released.

A recurring add-on has periods of its own, as long as the plan's and counted from the order: a phone number ordered on
Nov 10 under a plan to month ends is paid on Nov 10 and Dec 1. A short first period is shared as the plan prorates one.

    due, paid              the next period, and what it grants
    due, not paid          on hold; where the add-on has no `hold_days`, released
    due, auto-pay off      on hold, without trying
    due, subscriber held   on hold, without trying: its plan has the first of the money
    on hold, refilled      tried again (rater/plans/life/wake.py): the period that holds the instant, at its whole price
    on hold too long       released

Nothing of this holds the subscriber. What goes on was ordered from a version; each period goes by the version of that
plan in force at its start, if it still has the add-on.
"""

from __future__ import annotations

from msgspec.structs import replace

from rater.errors import PlanError
from rater.money import format_nanos
from rater.plans.allowances import grant
from rater.plans.calendar import Period, Periods
from rater.plans.change import combined
from rater.plans.life.due import Due, addon_named, addon_of
from rater.plans.life.outcome import finished, step
from rater.plans.life.period import grant_id, granted, rolled
from rater.plans.life.state import DAY_MS, Bought, Grant, Saying, Step, Subscription, View
from rater.plans.model import AddOn, Capacity, Plan
from rater.plans.proration import prorated_nanos

_NOTHING = Capacity()


def buy(
    sub: Subscription, name: str, order: str, at_ms: int, view: View, *, auto_pay: bool = True, number: str = ""
) -> Step:  # fmt: skip
    """Order an add-on of the plan; who cannot pay it has not bought it. `number` is the phone number that it is.

    Raises:
        PlanError: the plan has no such add-on, the order's id was used before, the subscriber is held, or has as many
            numbers as the plan allows.
    """
    plan = view.plan(sub.plan, at_ms)
    addon = addon_named(plan, name)
    if addon is None:
        raise PlanError("addon", f"plan {plan.name} has no add-on {name}")
    if any(bought.id == order for bought in sub.bought):
        raise PlanError("order", f"there is an order {order} already")
    if sub.status != "active":
        raise PlanError("subscription", f"the subscription is {sub.status}; nothing can be bought for it now")
    if addon.is_number != bool(number):
        what = "a phone number; say which" if addon.is_number else "no phone number"
        raise PlanError("addon", f"add-on {name} is {what}")
    if number:
        _check_numbers(sub, at_ms, view)
    own = Periods(sub.zone, at_ms, plan.billing.months, plan.billing.by).period(0)
    bought = Bought(
        order, name, plan.name, plan.version, at_ms, auto_pay, months=plan.billing.months, by=plan.billing.by,
        number=number,
    )  # fmt: skip
    price_nanos, period = addon.price_nanos, own
    if addon.recurring:
        price_nanos = prorated_nanos(price_nanos, plan.proration.first, own, at_ms, sub.zone, plan.currency)
        bought = replace(bought, next_ms=own.end_ms, index=1)
    else:
        period = (sub.periods.period_at(at_ms) if sub.periods is not None else None) or own
    fee_nanos = price_nanos + addon.upfront_nanos
    after = replace(
        sub,
        bought=(*sub.bought, bought),
        grants=(*sub.grants, *_granted(sub, addon, plan, order, period, at_ms)),
    )
    said = Saying("addon.bought", {**_data(bought), "fee": format_nanos(fee_nanos), "currency": plan.currency})
    return step("addon", at_ms, fee_nanos, finished(after, at_ms, view, (said,)))


def release(sub: Subscription, order: str, at_ms: int, view: View) -> Step:
    """Give an add-on up. Nothing is given back; what it granted can be used to its end.

    Raises:
        PlanError: there is no such order.
    """
    bought = _ordered(sub, order)
    return step("addon-release", at_ms, 0, finished(_without(sub, bought), at_ms, view, (released(bought, "asked"),)))


def auto_pay(sub: Subscription, order: str, on: bool, at_ms: int, view: View) -> Step:
    """Whether an add-on's next periods are paid by themselves.

    Raises:
        PlanError: there is no such order, or it has no periods.
    """
    bought = _ordered(sub, order)
    if not bought.next_ms:
        raise PlanError("order", f"order {order} was paid once and for all")
    after = _with(sub, replace(bought, auto_pay=on))
    return step("addon-auto-pay", at_ms, 0, finished(after, at_ms, view))


def pay(sub: Subscription, order: str, at_ms: int, view: View) -> Step:
    """Pay an add-on that is on hold, whether it pays by itself or not; who cannot changes nothing.

    Raises:
        PlanError: there is no such order, it is not on hold, or the subscriber is held.
    """
    bought = _ordered(sub, order)
    if not bought.on_hold_since_ms:
        raise PlanError("order", f"order {order} is not on hold")
    if sub.status != "active":
        raise PlanError("subscription", f"the subscription is {sub.status}; nothing can be paid for it now")
    paid = paid_step(sub, bought, at_ms, view)
    if paid is None:
        raise PlanError("order", f"add-on {bought.name} is not sold any more")
    return paid


def renew_addon(sub: Subscription, due: Due, view: View) -> Step:
    """An add-on's next period is due."""
    bought, at_ms = sub.bought[due.which], due.at_ms
    paid = paid_step(sub, bought, at_ms, view)
    if paid is None:
        said = released(bought, "not_sold")
        return step("addon-release", at_ms, 0, finished(_without(sub, bought), at_ms, view, (said,)))
    if sub.status != "active" or not bought.auto_pay:
        reason = "auto_pay_off" if sub.status == "active" else "subscription_held"
        held, said = _held(sub, bought, reason, at_ms, view)
        return step("addon-renew", at_ms, 0, finished(held, at_ms, view, (said,)))
    held, said = _held(sub, bought, "unpaid", at_ms, view)
    return step("addon-renew", at_ms, paid.fee_nanos, paid.paid, finished(held, at_ms, view, (said,)))


def release_addon(sub: Subscription, due: Due, view: View) -> Step:
    """An add-on was on hold too long."""
    bought = sub.bought[due.which]
    said = released(bought, "unpaid")
    return step("addon-release", due.at_ms, 0, finished(_without(sub, bought), due.at_ms, view, (said,)))


def paid_step(sub: Subscription, bought: Bought, at_ms: int, view: View) -> Step | None:
    """The period of an add-on that holds an instant is paid, or nothing changes; None if it is not sold any more."""
    plan = view.plans(bought.plan, at_ms)
    if plan is None or addon_named(plan, bought.name) is None:
        plan = view.versions(bought.plan, bought.version)
    addon = addon_named(plan, bought.name) if plan is not None else None
    if plan is None or addon is None:
        return None
    period = Periods(sub.zone, bought.bought_ms, bought.months, bought.by).period_at(at_ms)
    assert period is not None, "it is paid after it was bought"
    after = replace(bought, version=plan.version, next_ms=period.end_ms, index=bought.index + 1, on_hold_since_ms=0)
    kept = rolled(sub.grants, addon.allowances, bought.id, period, at_ms, view, plan)
    grants = (*kept, *_granted(sub, addon, plan, bought.id, period, at_ms))
    data = {**_data(after), "fee": format_nanos(addon.price_nanos), "currency": plan.currency}
    said = Saying("addon.renewed", data | {"from_ms": period.start_ms, "until_ms": period.end_ms})
    paid = finished(replace(_with(sub, after), grants=grants), at_ms, view, (said,))
    return step("addon-renew", at_ms, addon.price_nanos, paid)


def bought_capacity(sub: Subscription, view: View) -> Capacity:
    """What the add-ons that are not on hold give together."""
    total = Capacity()
    for bought in sub.bought:
        addon = addon_of(bought, view)
        if addon is not None and not bought.on_hold_since_ms:
            total = _sum(total, addon.capacity)
    return total


def capacity_of(sub: Subscription, view: View, at_ms: int) -> Capacity:
    """What may be in use at once: what the plan includes, and what was bought."""
    return combined(view.plan(sub.plan, at_ms).capacity, bought_capacity(sub, view), sub.extras)


def without_numbers(sub: Subscription) -> tuple[Subscription, tuple[Saying, ...]]:
    """A subscription without its phone numbers: they went to others while the subscriber had another wallet."""
    gone = [bought for bought in sub.bought if bought.number]
    kept = tuple(bought for bought in sub.bought if not bought.number)
    return replace(sub, bought=kept), tuple(released(bought, "moved") for bought in gone)


def without_capacity(sub: Subscription, view: View) -> tuple[Subscription, tuple[Saying, ...]]:
    """A subscription whose bought capacity is dropped: who does not have it any more does not pay for it."""
    addons = {bought.id: addon_of(bought, view) for bought in sub.bought}
    gone = [bought for bought in sub.bought if (found := addons[bought.id]) and found.capacity != _NOTHING]
    kept = tuple(bought for bought in sub.bought if bought not in gone)
    return replace(sub, bought=kept), tuple(released(bought, "dropped") for bought in gone)


def released(bought: Bought, reason: str) -> Saying:
    """An add-on is no longer the subscriber's."""
    return Saying("addon.released", {**_data(bought), "reason": reason})


def _check_numbers(sub: Subscription, at_ms: int, view: View) -> None:
    """One on hold is still the subscriber's and counts."""
    allowed = capacity_of(sub, view, at_ms).numbers
    has = [bought.number for bought in sub.bought if bought.number]
    if allowed is not None and len(has) >= allowed:
        first = f", it has {' and '.join(has)}; release one first" if has else ""
        raise PlanError("number", f"plan {sub.plan} allows {allowed} number{'s' * (allowed != 1)}{first}")


def _held(sub: Subscription, bought: Bought, reason: str, at_ms: int, view: View) -> tuple[Subscription, Saying]:
    """On hold from now on; what was not paid and has no time on hold is released."""
    addon = addon_of(bought, view)
    days = addon.hold_days if addon is not None else None
    if days is None and reason == "unpaid":
        return _without(sub, bought), released(bought, reason)
    release_ms = None if days is None else at_ms + days * DAY_MS
    said = Saying("addon.on_hold", {**_data(bought), "reason": reason, "release_ms": release_ms})
    return _with(sub, replace(bought, on_hold_since_ms=at_ms)), said


def _granted(sub: Subscription, addon: AddOn, plan: Plan, order: str, period: Period, at_ms: int) -> tuple[Grant, ...]:
    return tuple(
        granted(grant(grant_id(allowance, sub.n), allowance, period, sub.zone, since_ms=at_ms), plan, order)
        for allowance in addon.allowances
    )


def _ordered(sub: Subscription, order: str) -> Bought:
    found = next((bought for bought in sub.bought if bought.id == order), None)
    if found is None:
        raise PlanError("order", f"there is no order {order}")
    return found


def _with(sub: Subscription, after: Bought) -> Subscription:
    return replace(sub, bought=tuple(after if bought.id == after.id else bought for bought in sub.bought))


def _without(sub: Subscription, gone: Bought) -> Subscription:
    return replace(sub, bought=tuple(bought for bought in sub.bought if bought.id != gone.id))


def _sum(one: Capacity, other: Capacity) -> Capacity:
    def both(name: str) -> int | None:
        counts = [count for count in (getattr(one, name), getattr(other, name)) if count is not None]
        return sum(counts) if counts else None

    return Capacity(**{name: both(name) for name in Capacity.__struct_fields__})


def _data(bought: Bought) -> dict[str, str]:
    data = {"addon": bought.name, "order": bought.id, "plan": bought.plan}
    return data | {"number": bought.number} if bought.number else data
