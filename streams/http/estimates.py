"""`POST /v1/estimates`: what the last whole months of real usage would have cost by another plan. Only reads."""

from __future__ import annotations

from typing import Any

from rater.plans.calendar import local
from rater.plans.model import Plan
from rater.subscriber import Subscriber
from schemas.usage import BASE_UNIT
from streams.clickhouse.past_usage import Whose
from streams.estimating import PastCost, TooMuchUsageError, past_cost
from streams.http.endpoint import Call, Endpoint
from streams.http.forms import instant, money
from streams.http.forms_sales import Estimate, EstimateForm, EstimateMonth, Unpriced
from streams.http.plans import check_volume, plan_in_force
from streams.http.problems import Problem
from streams.http.sims import find_sim
from streams.http.wallets import find


async def estimate(call: Call[EstimateForm]) -> Estimate:
    """Rate past usage with a plan."""
    form = call.form
    plan = plan_in_force(call, form.plan, "plan")
    check_volume(plan, form.volume, "volume")
    whose, is_one = await _whose(call), form.per == "account"
    try:
        found = await past_cost(
            call.desk.engine, whose, plan, form.volume, months=form.months, now_ms=call.desk.now_ms, is_one=is_one
        )
    except TooMuchUsageError as error:
        raise Problem("too-large", f"{error}: ask for fewer months or for one SIM", "months") from error
    if not found.events and not form.sim and not form.wallet:
        raise Problem("not-found", f"{call.tenant} has no usage of account {form.account} in these months", "account")
    return shown(found, 1 if is_one or form.sim else found.estimator.subscribers)


async def estimate_of(
    call: Call[Any], subscriber: Subscriber, plan: Plan, volume: int | None, months: int
) -> Estimate | None:
    """The same of one SIM that may change to a plan; None if there is too much usage for an answer in time."""
    try:
        found = await past_cost(
            call.desk.engine, await _of_sim(call, subscriber), plan, volume, months=months, now_ms=call.desk.now_ms
        )
    except TooMuchUsageError:
        return None
    return shown(found, 1)


async def _whose(call: Call[EstimateForm]) -> Whose:
    """Whose usage is asked about, if the key reaches it."""
    form = call.form
    if sum(map(bool, (form.account, form.wallet, form.sim))) != 1:
        raise Problem("invalid", "say whose usage: exactly one of account, wallet and sim", "account")
    if form.account:
        await call.check_account(form.account, f"account {form.account}", "account")
        return Whose(call.tenant, 0, 0, (form.account,))
    if form.wallet:
        await find(call, form.wallet, "wallet")
        return Whose(call.tenant, 0, 0, wallet=form.wallet)
    return await _of_sim(call, await find_sim(call, form.sim))


async def _of_sim(call: Call[Any], sim: Subscriber) -> Whose:
    accounts = dict.fromkeys(assignment.account for assignment in sim.assignments)
    reached = [account for account in accounts if await call.desk.reach.covers(call.key, call.tenant, account)]
    return Whose(call.tenant, 0, 0, tuple(reached), subscriber=sim.id)


def shown(found: PastCost, holders: int) -> Estimate:
    """An estimate as the API writes it, where so many have the plan."""
    plan, tariff, estimator, bounds_ms = found.plan, found.tariff, found.estimator, found.bounds_ms
    fee_nanos = estimator.fee_nanos() * holders
    months = [
        EstimateMonth(
            month=f"{local(plan.zone, month.start_ms):%Y-%m}",
            events=month.events,
            covered_events=month.covered_events,
            fee=money(fee_nanos),
            usage=money(month.usage_nanos),
            total=money(fee_nanos + month.usage_nanos),
        )
        for month in estimator.months
    ]
    unpriced = [
        Unpriced(sort.reason, sort.service, sort.kind, sort.country, sort.destination_country, found.events,
                 found.quantity, BASE_UNIT[sort.service], found.detail)
        for sort, found in estimator.unpriced.items()
    ]  # fmt: skip
    return Estimate(
        plan=plan.name,
        version=plan.version,
        tariff=tariff.name,
        tariff_version=tariff.versions[0].name,
        currency=tariff.currency,
        zone=plan.zone,
        from_time=instant(bounds_ms[0]),
        until=instant(bounds_ms[-1]),
        sims=estimator.subscribers,
        months=months,
        mean=money(found.mean_nanos(holders)),
        activation_fee=money(plan.activation_nanos * holders),
        unpriced_events=estimator.unpriced_events,
        unpriced=unpriced,
    )


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/estimates",
        handler=estimate,
        scope="read",
        summary="What the last months of real usage would have cost by a plan; a moment behind, from the ledger",
        form=EstimateForm,
        answer=Estimate,
        problems=(404, 413),
    ),
)
