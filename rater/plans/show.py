"""A plan in words: what `rater plan show` prints, a name and a sentence for each of its terms."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction

from rater.money import format_nanos
from rater.plans.calendar import local
from rater.plans.credits import credits_of
from rater.plans.model import METHODS, AddOn, Allowance, Capacity, Cost, Match, Plan, Refill
from rater.plans.terms import Billing, Start, Timing
from rater.tariff.units import UNITS

Row = tuple[str, str]

_USUAL = {
    "bytes": (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)),
    "ms": (("min", 60_000), ("s", 1_000)),
}
_STARTS = {"assignment": "from the assignment", "first-usage": "from the first usage"}
_BY = {"anniversary": "by anniversary", "month-end": "to month ends"}


def describe(plan: Plan) -> list[Row]:
    """The terms of a version, without those that do nothing."""
    return [
        ("from", _time(plan.zone, plan.effective_from_ms)),
        ("kind", f"{plan.kind}, {'from a wallet' if plan.settlement == 'prepaid' else 'by invoice'}"),
        ("tariff", f"{plan.tariff}{f' in {plan.currency}' if plan.currency else ''}"),
        *_fees(plan),
        *(("allowance", _allowance(allowance)) for allowance in plan.allowances),
        *(row for allowance in plan.allowances for row in _costs(allowance)),
        *_scale(plan),
        *_sales(plan),
        ("services", ", ".join(sorted(plan.entitlements))),
        *([("capacity", capacity)] if (capacity := _capacity(plan.capacity)) else []),
        ("actions", ", ".join(sorted(plan.actions))),
        *_leaving(plan),
        *_joining(plan),
    ]


def _fees(plan: Plan) -> Iterator[Row]:
    yield "period", f"{_months(plan.billing.months)}, {_BY[plan.billing.by]}, {_start(plan, plan.billing.starts)}"
    if plan.recurring:
        yield "fee", f"{_money(plan, plan.recurring.price_nanos)} a period{_fee_start(plan, plan.billing)}"
    if plan.activation_nanos:
        yield "activation", _money(plan, plan.activation_nanos)
    if plan.recurring or plan.scale:
        yield "proration", f"first {plan.proration.first}, at a change {plan.proration.change}"
    validity = plan.validity
    if validity:
        goes_on = {
            "while-positive": "renewed while the balance is positive",
            "always": "renewed",
            "never": "not renewed",
        }
        starts, by = _start(plan, validity.starts), _BY[validity.by]
        yield "validity", f"{_months(validity.months)}, {by}, {starts}, {goes_on[validity.renews]}"
    if plan.settlement == "invoice":
        limit = plan.invoice_limit_nanos
        yield "limit", "none" if limit is None else f"{_money(plan, limit)} open"
    elif plan.floor_nanos is not None:
        yield "floor", _money(plan, plan.floor_nanos)
    if plan.overage == "refused":
        yield "overage", "usage that no allowance covers in full is refused"
    if plan.positive_balance:
        yield "balance", "must be positive, whatever allowances have left"


def _fee_start(plan: Plan, billing: Billing) -> str:
    starts = plan.recurring.starts if plan.recurring else None
    return "" if starts is None or starts == billing.starts else f", {_start(plan, starts)}"


def _allowance(allowance: Allowance) -> str:
    ends = {"period": "ends with its period", "never": "does not end"}
    expiry = allowance.expiry
    said = [
        f"{allowance.name}: {_quantity(allowance, allowance.quantity_parts)}{_match(allowance.match, allowance.unit)}",
        f"priority {allowance.priority}",
        ends.get(expiry.at, f"ends after {_months(expiry.months)}"),
    ]
    roll = allowance.roll_over
    if roll:
        most = "" if roll.parts_max is None else f", at most {_quantity(allowance, roll.parts_max)}"
        said.append(f"rolls over {roll.periods} time{'s' if roll.periods > 1 else ''}{most}")
    return ", ".join([*said, *(["shared by the company"] if allowance.shared else [])])


def _costs(allowance: Allowance) -> Iterator[Row]:
    for cost in allowance.costs:
        yield "costs", f"{_ratio(_credits_per(cost))} credits a {cost.per}{_match(cost.match)}"


def _credits_per(cost: Cost) -> Fraction:
    size = next(units[cost.per] for units in UNITS.values() if cost.per in units)
    return cost.credits * size


def _scale(plan: Plan) -> Iterator[Row]:
    of = plan.allowance(plan.scale.allowance) if plan.scale else None
    for volume in plan.scale.volumes if plan.scale else ():
        assert of is not None, "a scale is of an allowance of its plan"
        yield "volume", f"{_quantity(of, volume.quantity_parts)} for {_money(plan, volume.price_nanos)} a period"


def _sales(plan: Plan) -> Iterator[Row]:
    for refill in plan.refills:
        yield "refill", _refill(plan, refill)
    for addon in plan.addons:
        yield "add-on", _addon(plan, addon)
        for allowance in addon.allowances:
            yield "", _allowance(allowance)


def _refill(plan: Plan, refill: Refill) -> str:
    said = [f"{refill.name}: {_money(plan, refill.balance_nanos)} for {_money(plan, refill.price_nanos)}"]
    if refill.paid_by != METHODS:
        said.append("paid by " + " or ".join(sorted(refill.paid_by)))
    return ", ".join([*said, *(["given at once"] if refill.given == "at-once" else [])])


def _addon(plan: Plan, addon: AddOn) -> str:
    said = [f"{addon.name}: {_money(plan, addon.price_nanos)}{' a period' if addon.recurring else ''}"]
    if addon.upfront_nanos:
        said.append(f"{_money(plan, addon.upfront_nanos)} up front")
    if _capacity(addon.capacity):
        said.append(_capacity(addon.capacity))
    if addon.hold_days is not None:
        said.append(f"{addon.hold_days} days on hold when it is not paid")
    if addon.is_number:
        rests = f", rests {addon.quarantine_days} days after it" if addon.quarantine_days else ""
        said.append(f"a phone number{rests}")
    return ", ".join(said)


def _leaving(plan: Plan) -> Iterator[Row]:
    terms, zone = plan.leaving, plan.zone
    roles = " or ".join(sorted(terms.asked_by, reverse=True))
    up, down = _timing(zone, terms.upgrade), _timing(zone, terms.downgrade)
    when = up if up == down else f"upgrade {up}, downgrade {down}"
    refund = "no refund" if terms.refund == "none" else "the days after are refunded"
    said = f"{when}, asked by {roles}, unused {terms.unused}, {refund}, extras {terms.extras}"
    yield "leaving", f"only by migration; {said}" if terms.frozen else said
    if terms.migrate_to:
        since = f", all from {_time(zone, terms.migrate_from_ms)}" if terms.migrate_from_ms else ""
        yield "migration", f"to {terms.migrate_to}{since}"


def _joining(plan: Plan) -> Iterator[Row]:
    terms = plan.joining
    said = [
        *([] if terms.balance_positive == "never" else [f"positive balance ({terms.balance_positive})"]),
        *(["payment details"] if terms.payment_details else []),
        *(["by quote only"] if terms.quote_only else []),
        *(["a new period begins"] if terms.period == "restart" else []),
    ]
    if said:
        yield "joining", ", ".join(said)


def _quantity(allowance: Allowance, parts: int) -> str:
    """In the largest of the usual units of which it is a whole number."""
    for unit, size in _USUAL.get(allowance.unit, ()):
        if parts % size == 0:
            return f"{parts // size:,} {unit}"
    return f"{_ratio(credits_of(allowance, parts))} {allowance.unit}"


def _match(match: Match, unit: str = "credits") -> str:
    """Which usage it is for; a unit says its service by itself."""
    services = match.services if unit == "credits" else ()
    sort = ", ".join(sorted(match.kinds or services))
    said = [
        *([f"for {sort}"] if sort else []),
        *([match.direction] if match.direction else []),
        *(["in " + ", ".join(match.where)] if match.where else []),
        *(["to " + ", ".join(match.to)] if match.to else []),
    ]
    return " " + " ".join(said) if said else ""


def _capacity(capacity: Capacity) -> str:
    found = [(name, getattr(capacity, name)) for name in Capacity.__struct_fields__]
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in found if count is not None)


def _timing(zone: str, timing: Timing) -> str:
    return f"on {_time(zone, timing.date_ms)}" if timing.at == "date" else timing.at.replace("-", " ")


def _start(plan: Plan, start: Start) -> str:
    return f"from {_time(plan.zone, start.date_ms)}" if start.at == "date" else _STARTS[start.at]


def _time(zone: str, at_ms: int) -> str:
    moment: datetime = local(zone, at_ms)
    return f"{moment:%Y-%m-%d %H:%M} {zone}"


def _months(months: int) -> str:
    return "1 month" if months == 1 else f"{months} months"


def _money(plan: Plan, nanos: int) -> str:
    return f"{format_nanos(nanos)} {plan.currency}"


def _ratio(number: Fraction) -> str:
    """A whole number with commas, a decimal where it ends within nine places, else a ratio; exact."""
    scaled = number * 10**9
    if number.denominator == 1:
        return f"{number.numerator:,}"
    return format_nanos(int(scaled)) if scaled.denominator == 1 else f"{number.numerator}/{number.denominator}"
