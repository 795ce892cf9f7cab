"""What an event costs by its tariff: the closed formula of its terms, or `rate` where only that can tell."""

from __future__ import annotations

from collections.abc import Mapping

from rater import compiled
from rater.money import AMOUNT_MAX_NANOS
from rater.pipeline.batch import Fault, Rated
from rater.pipeline.counting import advance, advance_in_full, known
from rater.pipeline.payer import Offer
from rater.rating.charge import Charge
from rater.rating.rate import rate
from schemas.fates import Reason


def price_by_tariff(rated: Rated, now_ms: int) -> Fault | None:
    """Price it, and count it. Answers why it has no price."""
    return None if price_plainly(rated, now_ms) else price_in_full(rated, now_ms)


@compiled.twin("price")
def price_plainly(rated: Rated, now_ms: int) -> bool:
    """Price it by the closed formula of its terms, and count it; whether it could be."""
    offer, member = rated.offer, rated.member
    plain = offer.rate(rated.quantity, member.counters) if rated.until_ms <= offer.high_ms else None
    if plain is None:
        return False
    rated.billed, amount, rated.counters, after = plain
    rated.free = offer.is_free
    if amount > AMOUNT_MAX_NANOS or offer.refuse:
        rated.refuse, rated.amount_nanos = offer.refuse or Reason.AMOUNT_LIMIT, 0
        return True
    rated.amount_nanos = amount
    if after:
        advance(rated, offer.keys, after, now_ms)
    return True


def price_in_full(rated: Rated, now_ms: int) -> Fault | None:
    """Price it by `rate`, and count it."""
    usage, payer = rated.usage, rated.payer
    counters = known(rated.member)
    charge = rate(payer.book.tariff, usage, counters, payer.book.zone)
    if charge.outcome == "no_rate":
        return Fault.of_usage(usage, Reason.NO_RATE, charge.reason_detail)
    take_charge(rated, charge, {}, now_ms)
    return None


def take_charge(rated: Rated, charge: Charge, taken: Mapping[str, int], now_ms: int) -> None:
    """Take over a charge in full; `taken` is what it takes of balances."""
    counters = known(rated.member)
    rated.charge = charge
    rated.counters = tuple(counters.get(use.key, 0) for use in charge.uses)
    rated.free, rated.refuse = charge.outcome == "free", refusal(charge, rated.offer)
    if not rated.refuse:
        rated.amount_nanos = charge.amount_nanos
        if charge.uses or taken:
            advance_in_full(rated, charge, taken, now_ms)


def refusal(charge: Charge, offer: Offer) -> Reason:
    """Why tariff or plan refuse a charge; the wallet remembers it under the id."""
    if charge.outcome == "blocked":
        return Reason.REGION_BLOCKED
    if offer.refuse:
        return offer.refuse
    return Reason.AMOUNT_LIMIT if charge.amount_nanos > AMOUNT_MAX_NANOS else Reason.NONE
