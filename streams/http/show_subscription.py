"""A subscription and a change as the API writes them: exact decimals, minutes for voice, instants."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from rater.pipeline.choosing import Subject
from rater.plans.allowances import NEVER_MS, Balance
from rater.plans.change import ChangePreview, Left
from rater.plans.credits import credits_of
from rater.plans.life import Subscription, View, balances, overview
from rater.plans.life.overview import AddOnState, Payment
from rater.plans.model import Allowance, Unit
from rater.rating.explain import number_text
from streams.http.forms import instant, money
from streams.http.forms_plans import PlanVersion
from streams.http.forms_subscriptions import (
    BoughtOut,
    ChangePreviewOut,
    ChangeRefusal,
    GrantOut,
    LeftOut,
    PaymentOut,
    PlannedOut,
    SubscriptionOut,
    UnitLeftOut,
    UnitOut,
)
from streams.http.plans import capacity_out

_MINUTE_MS = 60_000


def shown(subject: Subject, subscription: Subscription, view: View) -> SubscriptionOut:
    """A subscription after all that was due."""
    found, at_ms = overview(subscription, view, subject.at_ms), subject.at_ms
    planned, first_ms = found.planned, subscription.first_usage_ms
    usable = [balance for balance in balances(subscription, view) if balance.from_ms <= at_ms < balance.until_ms]
    return SubscriptionOut(
        sim=subject.subscriber.id,
        wallet=subject.wallet.name,
        plan=found.plan,
        version=found.version,
        status=found.status,
        currency=found.currency or subject.assignment.currency,
        volume=found.volume,
        first_usage=None if first_ms is None else instant(first_ms),
        remaining=[
            UnitLeftOut(_unit(one.unit), _text(one.unit, one.total), _text(one.unit, one.left), one.used_percent)
            for one in found.units
        ],
        allowances=[_grant(balance) for balance in usable],
        next_billing=payment_out(found.next_billing),
        to_resume=None if found.to_resume_nanos is None else money(found.to_resume_nanos),
        valid_until=None if found.valid_until_ms is None else instant(found.valid_until_ms),
        capacity=capacity_out(found.capacity),
        addons=[_bought(addon) for addon in found.addons],
        actions=sorted(view.plan(found.plan, at_ms).actions),
        planned=PlannedOut(planned.plan, planned.volume, instant(planned.when_ms)) if planned else None,
    )


def shown_preview(
    subject: Subject, found: ChangePreview, subscription: Subscription, view: View, terms: PlanVersion
) -> ChangePreviewOut:
    """A change as it would be, with the new plan's terms."""
    old, new = found.old, found.new
    allowances = {balance.id: balance.allowance for balance in balances(subscription, view)}
    return ChangePreviewOut(
        sim=subject.subscriber.id,
        plan=old.name,
        to=new.name,
        volume=found.volume,
        direction=found.direction,
        at=instant(found.when_ms),
        currency=new.currency or subject.assignment.currency,
        fee=money(found.fee_nanos),
        activation_fee=money(found.activation_nanos),
        refund=money(found.refund_nanos),
        charged_now=money(found.charged_now_nanos),
        short=money(found.short_nanos),
        month_total=money(subscription.paid_nanos + found.charged_now_nanos),
        next_fee=PaymentOut(instant(found.next_fee.at_ms), money(found.next_fee.amount_nanos))
        if found.next_fee
        else None,
        forfeited=_lefts(found.forfeited, allowances),
        kept=_lefts(found.kept, allowances),
        granted=[
            LeftOut(one.allowance.name, _parts(one.allowance, one.granted_parts), _unit(one.allowance.unit))
            for one in found.granted
        ],
        capacity=capacity_out(found.capacity),
        refusals=[ChangeRefusal(refusal.reason, refusal.detail) for refusal in found.refusals],
        terms=terms,
    )


def _lefts(lefts: Iterable[Left], allowances: dict[str, Allowance]) -> list[LeftOut]:
    found = ((left, allowances[left.id]) for left in lefts)
    return [LeftOut(left.allowance, _parts(allowance, left.parts), _unit(allowance.unit)) for left, allowance in found]


def _grant(balance: Balance) -> GrantOut:
    allowance = balance.allowance
    return GrantOut(
        allowance=allowance.name,
        granted=_parts(allowance, balance.granted_parts),
        left=_parts(allowance, balance.left_parts),
        unit=_unit(allowance.unit),
        from_time=instant(balance.from_ms),
        until_time=None if balance.until_ms >= NEVER_MS else instant(balance.until_ms),
    )


def _bought(addon: AddOnState) -> BoughtOut:
    release = None if addon.release_ms is None else instant(addon.release_ms)
    return BoughtOut(
        addon.order, addon.name, addon.state, addon.auto_pay, payment_out(addon.next), release, addon.number
    )


def payment_out(payment: Payment | None) -> PaymentOut | None:
    """A payment as the API writes it."""
    return PaymentOut(instant(payment.at_ms), money(payment.amount_nanos)) if payment is not None else None


def _unit(unit: Unit) -> UnitOut:
    return "min" if unit == "ms" else unit


def _parts(allowance: Allowance, parts: int) -> str:
    return _text(allowance.unit, credits_of(allowance, parts))


def _text(unit: Unit, quantity: Fraction) -> str:
    return number_text(quantity / _MINUTE_MS if unit == "ms" else quantity)
