"""`POST /v1/estimates`: what the last whole months of real usage would have cost by another plan. Only reads.

The usage comes from the ledger in pages and is rated by the pure functions as it comes, so memory is that of a page and
of one SIM's counters (of every SIM's, where they share an allowance). Between few events others get their turn.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from fractions import Fraction
from typing import Final

from rater.directory import Subscriber
from rater.plans.calendar import local, month_end_ms
from rater.plans.estimate import Estimator, as_sold
from rater.plans.model import Plan
from rater.plans.proration import to_minor_nanos
from rater.tariff.model import Tariff
from schemas.usage import BASE_UNIT
from streams.clickhouse.past_usage import Whose, past_usage_count, past_usage_page, usage_of
from streams.http.endpoint import Call, Endpoint
from streams.http.forms import instant, money
from streams.http.forms_sales import Estimate, EstimateForm, EstimateMonth, Unpriced
from streams.http.plans import check_volume, plan_in_force
from streams.http.problems import Problem
from streams.http.sims import find_sim
from streams.http.wallets import find

#: Of one estimate: what is read and rated well within the time that a call may take. 200,000 took 12 s to read from the
#: embedded engine and 2 s to rate, on two shared cores.
EVENTS_MAX: Final = 200_000
PAGE: Final = 10_000
#: Rated between two turns of others: about two milliseconds.
TURN: Final = 200


async def estimate(call: Call[EstimateForm]) -> Estimate:
    """Rate past usage with a plan."""
    form = call.form
    plan = plan_in_force(call, form.plan, "plan")
    check_volume(plan, form.volume, "volume")
    now_ms = call.desk.now_ms
    bounds_ms = [month_end_ms(plan.zone, now_ms, -before) for before in range(form.months, -1, -1)]
    whose = await _whose(call, bounds_ms[0], bounds_ms[-1])
    clickhouse = call.desk.engine.clickhouse
    events = await past_usage_count(clickhouse, whose)
    if events > EVENTS_MAX:
        detail = f"{events} events in these months; an estimate takes {EVENTS_MAX}: ask for fewer months or for one SIM"
        raise Problem("too-large", detail, "months")
    if not events and not form.sim and not form.wallet:
        raise Problem("not-found", f"{call.tenant} has no usage of account {form.account} in these months", "account")
    tariff = as_sold(call.desk.engine.catalogue.tariff(plan.tariff), now_ms)
    is_one = form.per == "account"
    estimator = Estimator(plan, tariff, plan.zone, bounds_ms, volume=form.volume, is_one=is_one)
    place, more = None, events > 0
    while more:
        rows, place = await past_usage_page(clickhouse, whose, PAGE, place, by_time=estimator.is_common)
        for number, row in enumerate(rows):
            estimator.add(usage_of(call.tenant, row))
            if number % TURN == TURN - 1:
                await asyncio.sleep(0)
        more = place is not None
    holders = 1 if is_one or form.sim else estimator.subscribers
    return _shown(plan, tariff, estimator, bounds_ms, holders)


async def _whose(call: Call[EstimateForm], from_ms: int, until_ms: int) -> Whose:
    """Whose usage is asked about, if the key reaches it."""
    form = call.form
    if sum(map(bool, (form.account, form.wallet, form.sim))) != 1:
        raise Problem("invalid", "say whose usage: exactly one of account, wallet and sim", "account")
    whose = Whose(call.tenant, from_ms, until_ms, ())
    if form.account:
        await call.check_account(form.account, f"account {form.account}")
        return whose._replace(accounts=(form.account,))
    if form.wallet:
        await find(call, form.wallet)
        return whose._replace(wallet=form.wallet, accounts=await _accounts_of_wallet(call, form.wallet))
    sim = await find_sim(call, form.sim)
    return whose._replace(accounts=await _accounts_of_sim(call, sim), subscriber=sim.id)


async def _accounts_of_wallet(call: Call[EstimateForm], wallet: str) -> tuple[str, ...]:
    """By whose records; none is any. A wallet may have paid for SIMs that the key does not reach."""
    if not call.is_bound:
        return ()
    accounts = {call.key.account, await call.desk.reach.account_of(call.tenant, wallet)}
    if await call.desk.engine.parts.accounts.get(call.tenant, wallet) is None:
        accounts.add(wallet)  # from before it was claimed
    return tuple(sorted(accounts - {""}))


async def _accounts_of_sim(call: Call[EstimateForm], sim: Subscriber) -> tuple[str, ...]:
    """The accounts it was of, as far as they are within reach."""
    found = []
    for assignment in sim.assignments:
        with suppress(Problem):
            await call.check_sim(assignment, "such SIM")
            found.append(assignment.account)
    return tuple(dict.fromkeys(found))


def _shown(plan: Plan, tariff: Tariff, estimator: Estimator, bounds_ms: list[int], holders: int) -> Estimate:
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
    total_nanos = sum(fee_nanos + month.usage_nanos for month in estimator.months)
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
        mean=money(to_minor_nanos(Fraction(total_nanos, len(months)), tariff.currency)),
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
