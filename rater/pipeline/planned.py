"""What an event costs by a plan: the steps that must come first, what allowances give, and the tariff for the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rater.pipeline.batch import Fault, Rated
from rater.pipeline.counting import advance, depend, known
from rater.pipeline.cover import Cover, Given, charge_of, cover_of, pack
from rater.pipeline.live import Live, whole
from rater.pipeline.pricing import price_by_tariff, take_charge
from rater.plans.allowances import Balance, Part, consume
from rater.rating.rate import rate
from rater.wallet.member import Member
from schemas.fates import Reason


def price_by_plan(rated: Rated, now_ms: int) -> Fault | None:
    """Price it, or mark it as due where a step comes first. Answers why it has no price."""
    payer, offer = rated.payer, rated.offer
    pool = rated.pool = payer.pool
    rated.cover = pack(Cover(payer.book.plan.name))
    if pool is not None:
        rated.pool_before = pool.state
    if offer.is_free:
        return price_by_tariff(rated, now_ms)
    if _awaits_own(rated, now_ms) or (pool is not None and _awaits_pool(pool, rated, now_ms)):
        rated.is_due = rated.uncounted = True
        return None
    if offer.is_refused:
        return price_by_tariff(rated, now_ms)
    return None if _take_whole(rated, now_ms) else _price_by_parts(rated, now_ms)


def _price_by_parts(rated: Rated, now_ms: int) -> Fault | None:
    """What allowances give of it, and for the rest what the tariff says."""
    payer, balances = rated.payer, _balances(rated)
    part = Part(payer.book.use(rated.shape), rated.quantity, rated.start_ms, rated.end_ms)
    consumed = consume(balances.values(), part)
    if consumed.uncovered and payer.book.plan.overage == "refused":
        return _refuse_overage(rated)
    if not consumed.lines:
        fault = price_by_tariff(rated, now_ms)
        if fault is None and balances:
            depend(rated)
        return fault
    cover = cover_of(payer.book.plan.name, balances, consumed)
    charge = charge_of(cover, "priced", payer.book.tariff, rated.usage, known(rated.member), payer.book.zone)
    if charge.outcome == "no_rate":
        return Fault.of_usage(rated.body, Reason.NO_RATE, charge.reason_detail)
    rated.cover, rated.allowed = pack(cover), True
    taken: dict[str, int] = {}
    for line in consumed.lines:
        taken[line.id] = taken.get(line.id, 0) + line.parts
    take_charge(rated, charge, taken, now_ms)
    depend(rated)
    return None


def _refuse_overage(rated: Rated) -> Fault | None:
    """Refuse what the allowances do not cover in full, and take nothing of them; its record says the price."""
    payer, counters = rated.payer, known(rated.member)
    charge = rate(payer.book.tariff, rated.usage, counters, payer.book.zone)
    if charge.outcome == "no_rate":
        return Fault.of_usage(rated.body, Reason.NO_RATE, charge.reason_detail)
    rated.charge, rated.counters = charge, tuple(counters.get(use.key, 0) for use in charge.uses)
    rated.free, rated.refuse, rated.amount_nanos = False, Reason.ALLOWANCE_USED_UP, 0
    return None


def _take_whole(rated: Rated, now_ms: int) -> bool:
    """Let one allowance pay for all of it, as it mostly can."""
    member, pool, quantity = rated.member, rated.pool, rated.quantity
    use, live = rated.payer.book.use(rated.shape), member.subscription
    candidates = live.candidates(use) if live is not None else ()
    shared: Mapping[str, int] = {}
    is_mixed = False
    if pool is not None and pool is not member:
        theirs, shared = pool.subscription.candidates(use, shared=True), pool.counters
        is_mixed = bool(candidates and theirs)
        candidates = tuple(sorted((*candidates, *theirs))) if is_mixed else candidates or theirs
    found = whole(candidates, member.counters, shared, quantity, rated.start_ms, rated.until_ms) if quantity else None
    if found is None:
        return False
    (_, key, balance, cost, is_shared), used, left = found
    allowance = balance.allowance
    given = Given(allowance.name, quantity, quantity * cost, left, allowance.parts_per_credit, rated.start_ms)
    rated.given, rated.billed, rated.counters = given, quantity, ()
    rated.cover, rated.allowed = pack(Cover(rated.payer.book.plan.name, (given,))), True
    if is_shared:
        advance(rated, (), (), now_ms, {key: used})
    else:
        advance(rated, (key,), (used,), now_ms)
    if is_mixed:
        depend(rated)
    return True


def _awaits_own(rated: Rated, now_ms: int) -> bool:
    """Whether a step of the subscriber comes before usage, up to its last moment."""
    payer = rated.payer
    if payer.has_left or not payer.lives:
        return payer.awaits_terms
    if payer.joins or payer.is_past:
        return payer.joins
    return _awaits_step(payer.live, rated, now_ms)


def _awaits_pool(pool: Member[Any], rated: Rated, now_ms: int) -> bool:
    """Whether a step of the pool does; it has nothing for usage from before it was one."""
    live: Live | None = pool.subscription
    if live is None or live.subscription.assigned_ms > rated.start_ms:
        return live is None
    return _awaits_step(live, rated, now_ms)


def _awaits_step(live: Live, rated: Rated, now_ms: int) -> bool:
    if live.is_used and rated.until_ms < live.due_ms:
        return False  # as nearly always
    return live.awaits_step(rated.start_ms, rated.last_ms(now_ms), is_refused=rated.offer.is_refused)


def _balances(rated: Rated) -> dict[str, Balance]:
    """What the subscriber may use: its own allowances, and those of its wallet's pool."""
    member, pool = rated.member, rated.pool
    found = member.subscription.left(member.counters) if member.subscription is not None else []
    if pool is not None and pool is not member:
        found += pool.subscription.shared(pool.counters)
    return {balance.id: balance for balance in found}
