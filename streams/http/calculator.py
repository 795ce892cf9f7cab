"""`POST /v1/calculator`: how many messages, MB or minutes the credits of a plan buy.

10,000 credits at 2.5 an SMS to India are 4,000 messages. What is less than one message costs is left over. With a kind
or a service it is one line, the one that answers; with places alone, a line for each kind of the table; else the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from rater.plans.credits import Use, covers, credits_of, matches, names_of
from rater.plans.model import Allowance, Cost, Plan
from rater.rating.explain import number_text
from rater.tariff.units import UNITS
from schemas.usage import BASE_UNIT, Service
from streams.http.endpoint import Call, Endpoint
from streams.http.forms_sales import Calculation, CalculatorForm, CalculatorLine
from streams.http.plans import check_volume, cost_out, plan_in_force, size_of
from streams.http.problems import Problem


async def calculate(call: Call[CalculatorForm]) -> Calculation:
    """What credits buy."""
    form = call.form
    plan = plan_in_force(call, form.plan, "plan")
    allowance = _allowance(plan, form.allowance)
    parts = _parts(plan, allowance, form)
    zones = call.desk.engine.catalogue.tariff(plan.tariff).zones
    lines = list(_lines(allowance, parts, form, zones))
    credits = number_text(credits_of(allowance, parts))
    return Calculation(plan.name, plan.version, allowance.name, credits, lines)


def _allowance(plan: Plan, name: str) -> Allowance:
    if name:
        allowance = plan.allowance(name)
        if allowance is None:
            raise Problem("not-found", f"plan {plan.name} has no allowance {name}", "allowance")
        if allowance.unit != "credits":
            raise Problem("invalid", f"{name} is counted in {allowance.unit}, not in credits", "allowance")
        return allowance
    found = next((allowance for allowance in plan.allowances if allowance.unit == "credits"), None)
    if found is None:
        raise Problem("conflict", f"plan {plan.name} grants no credits", "plan")
    return found


def _parts(plan: Plan, allowance: Allowance, form: CalculatorForm) -> int:
    """The credits asked about, in the allowance's parts; what is less than a part buys nothing."""
    if form.volume is not None:
        if form.credits is not None:
            raise Problem("invalid", "say credits or a volume, not both", "volume")
        check_volume(plan, form.volume, "volume")
    elif form.credits is not None:
        return int(Fraction(form.credits) * allowance.parts_per_credit)
    return plan.granted_parts(allowance, form.volume)


def _lines(
    allowance: Allowance, parts: int, form: CalculatorForm, zones: dict[str, tuple[str, ...]]
) -> Iterator[CalculatorLine]:
    if not (form.kind or form.service or form.where or form.to):
        for cost in allowance.costs:
            yield _line(allowance, cost, parts, "", _service(cost))
        return
    places = _names(form.where, zones), _names(form.to, zones)
    kinds = {form.kind: None}
    if not form.kind and form.service in (None, "message"):
        kinds = dict.fromkeys(kind for cost in allowance.costs for kind in sorted(cost.match.kinds)) or kinds
    for kind in kinds:
        use = Use(form.service or "message", kind, form.direction, *places)
        if covers(allowance, parts, use) is not None:
            cost = next(cost for cost in allowance.costs if matches(cost.match, use))
            yield _line(allowance, cost, parts, kind, use.service)


def _line(allowance: Allowance, cost: Cost, parts: int, kind: str, service: Service) -> CalculatorLine:
    each, shown = int(cost.credits * allowance.parts_per_credit), cost_out(cost)
    quantity = parts // each
    return CalculatorLine(
        kind=kind,
        match=shown.match,
        credits=shown.credits,
        per=shown.per,
        buys=number_text(Fraction(quantity, size_of(cost.per))),
        quantity=quantity,
        unit=BASE_UNIT[service],
        left=number_text(credits_of(allowance, parts - quantity * each)),
    )


def _service(cost: Cost) -> Service:
    return next(service for service, units in UNITS.items() if cost.per in units)


def _names(place: str, zones: dict[str, tuple[str, ...]]) -> frozenset[str]:
    """A place by all names it is known by; a zone or a network is its own."""
    return frozenset({place}) | names_of(place, zones) if place else frozenset()


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/calculator",
        handler=calculate,
        scope="read",
        summary="How many messages, MB or minutes the credits of a plan buy",
        form=CalculatorForm,
        answer=Calculation,
        problems=(404, 409),
        any_tenant=True,
    ),
)
