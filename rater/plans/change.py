"""What a change of plan means before it is confirmed: when, what is charged, what is forfeited and what is kept.

    Plan A at 5 a month with 5 channels, 4 more bought and 400 minutes left; on the 15th of November to plan B at 12
    with 2 channels: at once, 6.00 now, 12.00 on December 1, 400 minutes forfeited, 6 channels.

The terms of the plan that is left say when, who may ask, and what becomes of what is unused and bought; those of the
plan that is joined say what is charged and what must be there first. Everything that stands in the way is told at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from rater.plans.account import Account, Direction, Refusal, refusals
from rater.plans.allowances import Balance, grant
from rater.plans.calendar import Periods, month_end_ms
from rater.plans.due import Due, period_fee
from rater.plans.model import Capacity, Plan
from rater.plans.proration import prorated_nanos


class Left(msgspec.Struct, frozen=True):
    """What is left of a balance, in its parts, and until when it can be used."""

    id: str
    allowance: str
    parts: int
    until_ms: int


class ChangePreview(msgspec.Struct, frozen=True):
    """The terms of a change. It may be confirmed if there is no refusal."""

    old: Plan
    new: Plan
    volume: int | None
    direction: Direction
    when_ms: int
    #: At `when_ms`: the (prorated) fee and the activation fee, less what is refunded of the old plan's fee. Where the
    #: new plan's periods begin with first usage, so do its fees.
    fee_nanos: int
    activation_nanos: int
    refund_nanos: int
    #: What is due on confirmation: all of that where the change is at once. Negative: more is given back than charged.
    charged_now_nanos: int
    #: By how much the wallet is short of that.
    short_nanos: int
    #: The new plan's periods; None where they begin with the first usage after the change.
    periods: Periods | None
    #: The fee after that one; None where there is none, or none until first usage.
    next_fee: Due | None
    forfeited: tuple[Left, ...]
    kept: tuple[Left, ...]
    #: What the new plan grants, from when until when; their ids are for who books them to give.
    granted: tuple[Balance, ...]
    capacity: Capacity
    refusals: tuple[Refusal, ...]


def preview_change(account: Account, new: Plan, asked_ms: int, volume: int | None = None) -> ChangePreview:
    """What a change to a plan, or to another volume of the same, would mean if it were asked for now."""
    direction = direction_of(account.plan, new, account.volume, volume)
    return preview_at(account, new, asked_ms, _when_ms(account, direction, asked_ms), volume)


def preview_at(account: Account, new: Plan, asked_ms: int, when_ms: int, volume: int | None = None) -> ChangePreview:
    """What a change means that takes effect at an instant, whatever the terms of the plan that is left say of it."""
    old = account.plan
    direction = direction_of(old, new, account.volume, volume)
    periods = _periods_after(account, new, when_ms)
    fee_nanos, next_fee = _fees(new, periods, when_ms, volume)
    given_back_nanos = refund_nanos(account, when_ms)
    is_other = new.name != old.name
    activation_nanos = new.activation_nanos if is_other and periods is not None else 0
    due_nanos = fee_nanos + activation_nanos - given_back_nanos
    now_nanos = due_nanos if when_ms == asked_ms else 0
    forfeited, kept = _unused(account, when_ms)
    capacity = combined(new.capacity, account.bought, old.leaving.extras if is_other else account.extras)
    return ChangePreview(
        old=old,
        new=new,
        volume=volume,
        direction=direction,
        when_ms=when_ms,
        fee_nanos=fee_nanos,
        activation_nanos=activation_nanos,
        refund_nanos=given_back_nanos,
        charged_now_nanos=now_nanos,
        short_nanos=max(0, now_nanos - max(0, account.available_nanos)),
        periods=periods,
        next_fee=next_fee,
        forfeited=forfeited,
        kept=kept,
        granted=_granted(account, new, periods, when_ms, volume),
        capacity=capacity,
        refusals=(*refusals(account, new, direction, volume), *_numbers(account, new, capacity.numbers)),
    )


def direction_of(old: Plan, new: Plan, old_volume: int | None = None, new_volume: int | None = None) -> Direction:
    """Up or down: by rank, then by the fee. What is equal in both is an upgrade: there is nothing to wait for."""
    before, after = (old.rank, old.fee_nanos(old_volume)), (new.rank, new.fee_nanos(new_volume))
    return "downgrade" if after < before else "upgrade"


def migration_due(plan: Plan, at_ms: int) -> str:
    """The plan to which each account that is left is switched by now; empty if none is."""
    leaving = plan.leaving
    return leaving.migrate_to if leaving.migrate_from_ms and at_ms >= leaving.migrate_from_ms else ""


def combined(included: Capacity, bought: Capacity, extras: Literal["add", "larger", "drop"]) -> Capacity:
    """What may be in use at once after a change. No limit stays none; the place in the queue is the plan's own."""

    def one(name: str) -> int | None:
        has: int | None = getattr(included, name)
        more: int = getattr(bought, name) or 0
        if has is None or name == "queue_priority" or extras == "drop":
            return has
        return has + more if extras == "add" else max(has, more)

    return Capacity(**{name: one(name) for name in Capacity.__struct_fields__})


def _numbers(account: Account, new: Plan, allowed: int | None) -> Iterator[Refusal]:
    """Phone numbers are not taken away by a change that is asked for; a migration leaves them as they are."""
    if allowed is not None and account.numbers > allowed:
        more = f"{allowed} number{'s' * (allowed != 1)}, the account has {account.numbers}"
        detail = f"plan {new.name} allows {more}; release some first"
        yield Refusal("too_many_numbers", detail)


def _when_ms(account: Account, direction: Direction, asked_ms: int) -> int:
    leaving = account.plan.leaving
    timing = leaving.upgrade if direction == "upgrade" else leaving.downgrade
    if timing.at == "next-period" and account.periods is not None:
        return account.periods.next_renewal(asked_ms)
    if timing.at == "month-end":
        return month_end_ms(account.zone, asked_ms)
    return max(asked_ms, timing.date_ms)


def _periods_after(account: Account, new: Plan, when_ms: int) -> Periods | None:
    """The account's own periods where the new plan keeps them and has the same ones, else new ones from its start."""
    own, billing = account.periods, new.billing
    begins_ms = billing.starts.of(when_ms, None)
    is_same = own is not None and (own.months, own.by) == (billing.months, billing.by) and own.anchor_ms <= when_ms
    if is_same and new.joining.period == "keep" and begins_ms == when_ms:
        return own
    return None if begins_ms is None else Periods(account.zone, begins_ms, billing.months, billing.by)


def _fees(new: Plan, periods: Periods | None, when_ms: int, volume: int | None) -> tuple[int, Due | None]:
    """The new plan's fee at the change, and the next one, where it is known by now when that is."""
    whole_nanos = new.fee_nanos(volume)
    starts_ms = ((new.recurring.starts if new.recurring else None) or new.billing.starts).of(when_ms, None)
    period = periods.period_at(starts_ms) if periods is not None and starts_ms is not None else None
    if not whole_nanos or periods is None or period is None or starts_ms is None:
        return 0, None
    if starts_ms > when_ms:
        return 0, period_fee(new, periods, period.index, when_ms, None, volume)
    fee_nanos = prorated_nanos(whole_nanos, new.proration.change, period, when_ms, periods.zone, new.currency)
    return fee_nanos, Due(period.end_ms, whole_nanos)


def refund_nanos(account: Account, when_ms: int) -> int:
    """What is given back of the old fee: its days after an instant, at most what was paid of it.

    Where that is not known, the fee of a period that starts at the instant was not charged yet.
    """
    old, periods = account.plan, account.periods
    fee_nanos = old.fee_nanos(account.volume)
    period = periods.period_at(when_ms) if periods is not None else None
    if old.leaving.refund == "none" or period is None or not fee_nanos:
        return 0
    if account.paid_nanos is None and period.index and period.start_ms == when_ms:
        return 0
    share_nanos = prorated_nanos(fee_nanos, "days-after", period, when_ms, account.zone, old.currency)
    return share_nanos if account.paid_nanos is None else min(share_nanos, account.paid_nanos)


def _unused(account: Account, when_ms: int) -> tuple[tuple[Left, ...], tuple[Left, ...]]:
    """What is forfeited, and what is kept until its own end; what was bought besides the plan is never forfeited."""
    granted = {allowance.name for allowance in account.plan.allowances}
    is_forfeited = account.plan.leaving.unused == "forfeited"
    forfeited: list[Left] = []
    kept: list[Left] = []
    for balance in account.balances:
        if balance.left_parts <= 0:
            continue
        left = Left(balance.id, balance.allowance.name, balance.left_parts, balance.until_ms)
        is_own = left.allowance in granted and left.id not in account.bought_balances
        (forfeited if is_forfeited and is_own and left.until_ms > when_ms else kept).append(left)
    return tuple(forfeited), tuple(kept)


def _granted(
    account: Account, new: Plan, periods: Periods | None, when_ms: int, volume: int | None
) -> tuple[Balance, ...]:
    """What the new plan grants at its start; nothing yet where that is the first usage after the change."""
    period = periods.period_at(max(when_ms, periods.anchor_ms)) if periods is not None else None
    if period is None:
        return ()
    return tuple(
        grant(
            allowance.name,
            allowance,
            period,
            account.zone,
            quantity_parts=new.granted_parts(allowance, volume),
            since_ms=when_ms,
        )
        for allowance in new.allowances
    )
