"""Plans as customers see them, read only: they are files of the catalogue, changed where the engine is run."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from rater.plans.credits import credits_of
from rater.plans.model import AddOn, Allowance, Capacity, Cost, Match, Plan, Refill
from rater.plans.terms import Joining, Leaving, Recurring, Start, Timing, Validity
from rater.rating.explain import number_text
from rater.tariff.units import UNITS
from schemas.checks import unix_ms
from streams.http.endpoint import Call, Endpoint, NoForm
from streams.http.forms import Instant, instant, money
from streams.http.forms_plans import (
    AddOnOut,
    AllowanceOut,
    BillingOut,
    CapacityOut,
    CostOut,
    EntitlementsOut,
    FeeOut,
    JoiningOut,
    LeavingOut,
    MatchOut,
    PlanHistory,
    Plans,
    PlanVersion,
    ProrationOut,
    RefillOut,
    RollOverOut,
    ScaleOut,
    StartOut,
    TimingOut,
    ValidityOut,
    VolumeOut,
)
from streams.http.paging import PageQuery, cursor_of, place_of
from streams.http.problems import Problem


class PlansQuery(PageQuery, frozen=True, forbid_unknown_fields=True):
    """A page of the plans as in force at a time."""

    #: As text: a parameter that is read as a time could be a bare number too.
    at: Annotated[
        str | None,
        Meta(
            description="As in force then, RFC 3339 with a zone; now if left out.",
            extra_json_schema={"format": "date-time"},
        ),
    ] = None


async def plans(call: Call[NoForm]) -> Plans:
    """The plans in force."""
    query: PlansQuery = call.query
    catalogue = call.desk.engine.catalogue
    at_ms = call.desk.now_ms if query.at is None else _at_ms(query.at)
    after = place_of(query.cursor, str) or ""
    found = [plan for name in catalogue.plans if name > after and (plan := catalogue.plan(name, at_ms)) is not None]
    page = found[: query.limit]
    return Plans([shown(call, plan) for plan in page], cursor_of(page[-1].name) if len(found) > len(page) else "")


async def plan(call: Call[NoForm]) -> PlanHistory:
    """One plan."""
    name, catalogue = call.path["plan"], call.desk.engine.catalogue
    versions = catalogue.versions(name)
    if not versions:
        raise Problem("not-found", f"the catalogue has no plan {name}")
    current = catalogue.plan(name, call.desk.now_ms)
    return PlanHistory(name, current.version if current else "", [shown(call, version) for version in versions])


def shown(call: Call[Any], plan: Plan) -> PlanVersion:
    """A version of a plan as its customers see it."""
    recurring, validity = plan.recurring, plan.validity
    floor_nanos, limit_nanos = plan.floor_nanos, plan.invoice_limit_nanos
    return PlanVersion(
        plan=plan.name,
        version=plan.version,
        effective_from=instant(plan.effective_from_ms),
        kind=plan.kind,
        currency=call.desk.engine.catalogue.currency_of(plan),
        zone=plan.zone,
        settlement=plan.settlement,
        tariff=plan.tariff,
        rank=plan.rank,
        billing=BillingOut(plan.billing.months, plan.billing.by, _start(plan.billing.starts)),
        recurring_fee=_fee(plan, recurring) if recurring else None,
        activation_fee=money(plan.activation_nanos),
        proration=ProrationOut(plan.proration.first, plan.proration.change),
        validity=_validity(validity) if validity else None,
        allowances=[_allowance(allowance) for allowance in plan.allowances],
        scale=_scale(plan),
        refills=[_refill(refill) for refill in plan.refills],
        addons=[_addon(addon) for addon in plan.addons],
        floor=None if floor_nanos is None else money(floor_nanos),
        positive_balance=plan.positive_balance,
        overage=plan.overage,
        invoice_limit=None if limit_nanos is None else money(limit_nanos),
        entitlements=EntitlementsOut(sorted(plan.entitlements), capacity_out(plan.capacity)),
        actions=sorted(plan.actions),
        leaving=_leaving(plan.leaving),
        joining=_joining(plan.joining),
    )


def plan_in_force(call: Call[Any], name: str, field: str) -> Plan:
    """The version of a plan that is in force now.

    Raises:
        Problem: there is none.
    """
    plan = call.desk.engine.catalogue.plan(name, call.desk.now_ms)
    if plan is None:
        raise Problem("not-found", f"the catalogue has no plan {name} in force; see /v1/plans", field)
    return plan


def check_volume(plan: Plan, volume: int | None, field: str) -> None:
    """Refuse a volume that the plan's scale does not have, and a plan with a scale without one.

    Raises:
        Problem: names the field.
    """
    if plan.takes(volume):
        return
    if plan.scale is None:
        raise Problem("invalid", f"plan {plan.name} has no volumes to choose from", field)
    raise Problem("invalid", f"choose one of plan {plan.name}'s volumes, 0 to {len(plan.scale.volumes) - 1}", field)


def match_out(match: Match) -> MatchOut:
    """Which usage something is for."""
    return MatchOut(sorted(match.services), sorted(match.kinds), match.direction or "", match.where, match.to)


def cost_out(cost: Cost) -> CostOut:
    """A line of a credit table, as it is written."""
    return CostOut(match_out(cost.match), number_text(cost.credits * size_of(cost.per)), cost.per)


def size_of(per: str) -> int:
    """How many base units a unit of data, voice or messages has."""
    return next(units[per] for units in UNITS.values() if per in units)


def quantity_text(allowance: Allowance, parts: int) -> str:
    """Parts of an allowance as its base units, or credits."""
    return number_text(credits_of(allowance, parts))


def _at_ms(text: str) -> int:
    try:
        return unix_ms(msgspec.convert(text, Instant))
    except msgspec.ValidationError as error:
        raise Problem("invalid", f'"{text}" is no time such as 2026-11-01T00:00:00Z', "at") from error


def _fee(plan: Plan, recurring: Recurring) -> FeeOut:
    return FeeOut(money(recurring.price_nanos), _start(recurring.starts or plan.billing.starts))


def _validity(validity: Validity) -> ValidityOut:
    return ValidityOut(validity.months, validity.by, validity.renews, _start(validity.starts))


def _allowance(allowance: Allowance) -> AllowanceOut:
    roll, unit = allowance.roll_over, allowance.unit
    most = None if roll is None or roll.parts_max is None else quantity_text(allowance, roll.parts_max)
    return AllowanceOut(
        name=allowance.name,
        quantity=quantity_text(allowance, allowance.quantity_parts),
        unit=unit,
        match=match_out(allowance.match),
        priority=allowance.priority,
        expires=allowance.expiry.at,
        expires_months=allowance.expiry.months,
        roll_over=RollOverOut(roll.periods, most) if roll else None,
        shared=allowance.shared,
        costs=[cost_out(cost) for cost in allowance.costs],
    )


def _scale(plan: Plan) -> ScaleOut | None:
    of = plan.allowance(plan.scale.allowance) if plan.scale else None
    if plan.scale is None or of is None:
        return None
    volumes = [
        VolumeOut(place, quantity_text(of, volume.quantity_parts), money(volume.price_nanos))
        for place, volume in enumerate(plan.scale.volumes)
    ]
    return ScaleOut(of.name, of.unit, volumes)


def _refill(refill: Refill) -> RefillOut:
    prices = money(refill.price_nanos), money(refill.balance_nanos)
    return RefillOut(refill.name, *prices, sorted(refill.paid_by), refill.given)


def _addon(addon: AddOn) -> AddOnOut:
    return AddOnOut(
        name=addon.name,
        price=money(addon.price_nanos),
        upfront=money(addon.upfront_nanos),
        recurring=addon.recurring,
        hold_days=addon.hold_days,
        allowances=[_allowance(allowance) for allowance in addon.allowances],
        capacity=capacity_out(addon.capacity),
        is_number=addon.is_number,
        quarantine_days=addon.quarantine_days,
    )


def capacity_out(capacity: Capacity) -> CapacityOut:
    """What may be in use at once."""
    return CapacityOut(*(getattr(capacity, name) for name in CapacityOut.__struct_fields__))


def _leaving(terms: Leaving) -> LeavingOut:
    return LeavingOut(
        upgrade=_timing(terms.upgrade),
        downgrade=_timing(terms.downgrade),
        asked_by=sorted(terms.asked_by),
        unused=terms.unused,
        refund=terms.refund,
        extras=terms.extras,
        frozen=terms.frozen,
        migrate_to=terms.migrate_to,
        migrate_from=instant(terms.migrate_from_ms) if terms.migrate_from_ms else None,
    )


def _joining(terms: Joining) -> JoiningOut:
    return JoiningOut(terms.balance_positive, terms.payment_details, terms.quote_only, terms.period)


def _start(start: Start) -> StartOut:
    return StartOut(start.at, instant(start.date_ms) if start.at == "date" else None)


def _timing(timing: Timing) -> TimingOut:
    return TimingOut(timing.at, instant(timing.date_ms) if timing.at == "date" else None)


ENDPOINTS = (
    Endpoint(
        method="GET", path="/v1/plans", handler=plans, scope="read", any_tenant=True, query=PlansQuery, answer=Plans,
        summary="The plans in force, with all their terms",
    ),
    Endpoint(
        method="GET", path="/v1/plans/{plan}", handler=plan, scope="read", any_tenant=True, answer=PlanHistory,
        summary="One plan: its versions in order of time", problems=(404,),
    ),
)  # fmt: skip
