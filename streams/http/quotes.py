"""`POST /v1/quotes`: what usage would cost, step by step, without touching a wallet.

By a plan or a tariff that is named, or by the SIM's own plan at the time of the usage. Carried steps and cycle tiers
begin at zero and go on from event to event of one SIM, as if nothing had been used before.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from msgspec import Meta

from rater.cli.quote import Quoter
from rater.plan import Plan
from rater.rating.charge import Charge
from rater.tariff.model import Tariff
from schemas.adapters.usage_json import NAMES, UsageBody, to_usage
from schemas.checks import check
from schemas.errors import UsageError
from schemas.usage import BASE_UNIT, Usage
from streams.http.endpoint import Call, Endpoint
from streams.http.forms import Form, Money, money
from streams.http.problems import Problem, of_usage

QUOTES_MAX = 100
Text = Annotated[str, Meta(max_length=256, pattern=r"^[^\x00]*$")]


class QuoteUsage(UsageBody, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Usage to be priced; it needs no identity, and no SIM where a plan or tariff is named."""

    id: Text = ""


class QuoteForm(Form, frozen=True):
    """Usage, and by which plan or tariff; by the SIM's own if neither is named."""

    usage: Annotated[list[QuoteUsage], Meta(min_length=1, max_length=QUOTES_MAX)]
    plan: Text = ""
    tariff: Text = ""


class QuotePart(msgspec.Struct):
    """A piece within one tariff version, time band and period, and how its amount comes about."""

    rate: str
    zone: str
    tariff_version: str
    period: str
    quantity: int
    billable_quantity: int
    amount: Money
    explanation: tuple[str, ...]


class Quote(msgspec.Struct):
    """What one event would cost. `outcome`: priced, free, blocked, or no_rate."""

    id: str
    outcome: str
    amount: Money
    currency: str
    unit: str
    quantity: int
    billable_quantity: int
    tariff: str
    detail: str
    parts: list[QuotePart]


class Quotes(msgspec.Struct):
    """One quote for each event, in their order."""

    quotes: list[Quote]


async def quote(call: Call[QuoteForm]) -> Quotes:
    """Price the events."""
    quoters: dict[tuple[str, str], Quoter] = {}
    quotes = []
    for index, body in enumerate(call.form.usage):
        usage = _usage(call, body, index)
        tariff, zone = await _terms(call, usage, index)
        quoter = quoters.setdefault((tariff.name, zone), Quoter(tariff, zone))
        quotes.append(_quote(body.id, usage, tariff, quoter.rate(usage)))
        await asyncio.sleep(0)  # a year of usage in bands is long to rate; others get their turn
    return Quotes(quotes)


def _usage(call: Call[QuoteForm], body: QuoteUsage, index: int) -> Usage:
    usage = to_usage(body, call.tenant or "quote", "quote", body.id or "quote")
    named = usage.subscriber or usage.iccid or usage.imsi or usage.msisdn
    if not named and (call.form.plan or call.form.tariff):
        usage = msgspec.structs.replace(usage, subscriber="quote")
    try:
        return check(usage, NAMES)
    except UsageError as error:
        raise of_usage(error, f"/usage/{index}/") from error


async def _terms(call: Call[QuoteForm], usage: Usage, index: int) -> tuple[Tariff, str]:
    """The tariff, and the zone of the billing cycle."""
    catalogue, form = call.desk.engine.catalogue, call.form
    if form.tariff:
        found = next((tariff for tariff in catalogue.tariffs if tariff.name == form.tariff), None)
        if found is None:
            raise Problem("not-found", f"the catalogue has no tariff {form.tariff}; see /v1/tariffs", "tariff")
        return found, found.zone
    if form.plan:
        return _of_plan(call, form.plan, usage, "plan")
    if not call.tenant:
        raise Problem("invalid", "needed to find the SIM; or name a plan or a tariff", "tenant")
    (subscriber,) = await call.desk.engine.parts.directory.resolve([usage])
    assignment = subscriber.assignment_at(usage.start_ms) if subscriber else None
    what = "such SIM at that time; name a plan or a tariff to quote without one"
    if assignment is None:
        raise Problem("not-found", f"{call.tenant} has no {what}", f"/usage/{index}")
    await call.check_sim(assignment, what, f"/usage/{index}")
    tariff, zone = _of_plan(call, assignment.plan, usage, f"/usage/{index}")
    return tariff, assignment.zone or zone


def _of_plan(call: Call[QuoteForm], name: str, usage: Usage, field: str) -> tuple[Tariff, str]:
    catalogue = call.desk.engine.catalogue
    plan: Plan | None = catalogue.plan(name, usage.start_ms)
    if plan is None:
        raise Problem("not-found", f"the catalogue has no plan {name} in force at that time", field)
    return catalogue.tariff(plan.tariff), plan.zone


def _quote(event_id: str, usage: Usage, tariff: Tariff, charge: Charge) -> Quote:
    parts = [
        QuotePart(
            part.rate,
            part.zone,
            part.tariff_version,
            part.period,
            part.quantity,
            part.billable_quantity,
            money(part.amount_nanos),
            part.explanation,
        )
        for part in charge.parts
    ]
    return Quote(
        id=event_id,
        outcome=charge.outcome,
        amount=money(charge.amount_nanos),
        currency=charge.currency,
        unit=BASE_UNIT[usage.service],
        quantity=usage.quantity,
        billable_quantity=sum(part.billable_quantity for part in charge.parts),
        tariff=tariff.name,
        detail=charge.reason_detail,
        parts=parts,
    )


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/quotes",
        handler=quote,
        scope="read",
        summary="What usage would cost, explained; no wallet is touched",
        form=QuoteForm,
        answer=Quotes,
        problems=(404,),
        any_tenant=True,
    ),
)
