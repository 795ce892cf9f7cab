"""What one shape of usage costs within one tariff version, billing cycle and time band, compiled.

`rate` looks up version, rate and band for every event and writes an explanation. Usage of one shape (service, place,
number) meets the same of them for hours, so `terms_at` looks up once and what is left for each event is integers:
`Terms.rate` gives the numbers `rate` gives, or None where the rate or the usage is not plain. Its explanation has the
words that do not depend on the event; with the quantities beside them the amount can be derived by hand:

    "a step of 60 s, then steps of 1 s", "0.10 EUR per min", "set-up fee 0.05 EUR", "half-up to 0.000000001 EUR"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from rater.money import format_nanos
from rater.rating.charge import Outcome
from rater.rating.explain import money_text
from rater.rating.formula import Amount, Line, amount_formula
from rater.rating.meter import carry_key
from rater.rating.price import tier_key
from rater.rating.pricer import Cards, Pricer
from rater.rating.timeline import LATEST_MS, timeline
from rater.tariff.match import Found
from rater.tariff.model import Rate, Tariff
from schemas.shape import Shaped

#: (billable quantity, nanos, counters before in the order of `keys`, counters after).
Plain = tuple[int, int, tuple[int, ...], tuple[int, ...]]
RatePlain = Callable[[int, Mapping[str, int]], Plain | None]


class Steps(NamedTuple):
    """How a quantity is billed, event by event or carried over, and the line its amount is on."""

    first: int
    following: int
    is_carried: bool
    line: Line


class Terms(msgspec.Struct, frozen=True, gc=False, eq=False):
    """Holds for usage of its shape with low_ms <= start and charged end <= high_ms, both included.

    `rate(quantity, counters)` is None where only the function `rate` can tell: nothing used, or a rate that is no
    closed formula (`keys` is then empty).
    """

    low_ms: int
    high_ms: int
    outcome: Outcome
    currency: str
    tariff_version: str
    period: str
    rate_name: str
    zone: str
    tax_category: str
    #: The counters read, in the order of `Charge.uses`.
    keys: tuple[str, ...]
    explanation: tuple[str, ...]
    rate: RatePlain
    #: What `rate` computes, where that is a line: for rater/compiled/price.pyx.
    steps: Steps | None = None


def terms_at(tariff: Tariff, usage: Shaped, start_ms: int, cycle_zone: str) -> Terms:
    """The terms of usage that looks like this one and starts at an instant; never fails."""
    if not 0 <= start_ms < LATEST_MS:
        return _no_rate(tariff, "", start_ms, start_ms)
    stretch = timeline(tariff, cycle_zone).at(start_ms)
    low_ms, high_ms = max(stretch.low_ms, 0), min(stretch.high_ms, LATEST_MS - 1)
    # A call lasts, so it starts before its end. Other usage may start where it ends, which at the boundary is beyond
    # it; so that two comparisons tell, other usage that ends right at the boundary is left to `rate`.
    last = 0 if usage.service == "voice" else 1
    if stretch.version < 0:
        return _no_rate(tariff, stretch.period, low_ms, high_ms - last)
    found = tariff.indexes[stretch.version].find(usage)
    pricer, band = found.pricer, None
    clock = pricer.clock(tariff.zone) if pricer else None
    if clock is not None:
        band, since_ms, until_ms = clock.at(start_ms)
        low_ms, high_ms = max(low_ms, since_ms), min(high_ms, until_ms)
    keys, words, rate_plain, steps = _compiled(tariff, found, stretch.period, band)
    return Terms(
        low_ms, high_ms - last, found.outcome, tariff.currency, tariff.versions[stretch.version].name, stretch.period,
        found.rate, found.zone, pricer.rate.tax_category if pricer else "", keys, words, rate_plain, steps,
    )  # fmt: skip


def _no_rate(tariff: Tariff, period: str, low_ms: int, high_ms: int) -> Terms:
    """Before the first version, or outside of the calendar."""
    return Terms(low_ms, high_ms, "no_rate", tariff.currency, "", period, "", "", "", (), (), _never)


def _compiled(
    tariff: Tariff, found: Found, period: str, band: int | None
) -> tuple[tuple[str, ...], tuple[str, ...], RatePlain, Steps | None]:
    """The keys, the words and the function of terms, and the steps it takes."""
    pricer = found.pricer
    if found.outcome == "free":
        return (), (f"{found.detail or 'free'}: 0.00 {tariff.currency}",), _free, None
    if found.outcome != "priced" or pricer is None or not pricer.is_plain:
        return (), (), _never, None
    rate = pricer.rate
    kept = tariff.formulas.get((pricer, band))
    if kept is None:
        cards = pricer.cards(band)
        amount, line = amount_formula(rate, cards, tariff.rounding, tariff.precision_nanos)
        kept = tariff.formulas[pricer, band] = _words(tariff, pricer, cards, band), amount, line
    words, amount, line = kept
    is_carried, is_of_cycle = rate.increment_scope == "carry-over", rate.tier_scope == "cycle"
    carry, tier = carry_key(period, rate, found.network), tier_key(period, rate.name)
    steps = Steps(rate.first, rate.next, is_carried, line) if line is not None else None
    if is_carried and is_of_cycle:
        return (carry, tier), words, _carried_in_cycle(rate.next, carry, tier, amount), steps
    if is_carried:
        return (carry,), words, _carried(rate.next, carry, amount), steps
    if is_of_cycle:
        return (tier,), words, _by_event_in_cycle(rate.first, rate.next, tier, amount), steps
    return (), words, _by_event(rate.first, rate.next, amount), steps


# The functions below are `billed_steps` and `paid_until` (rater/rating/increments.py) written out: a call costs as much
# as what they compute.


def _never(_quantity: int, _counters: Mapping[str, int]) -> None:
    return None


def _free(quantity: int, _counters: Mapping[str, int]) -> Plain | None:
    return (0, 0, (), ()) if quantity > 0 else None


def _by_event(first: int, following: int, amount: Amount) -> RatePlain:
    def rate(quantity: int, _counters: Mapping[str, int]) -> Plain | None:
        if quantity <= 0:
            return None
        billed = first if quantity <= first else first - (first - quantity) // following * following
        return billed, amount(0, billed), (), ()

    return rate


def _by_event_in_cycle(first: int, following: int, key: str, amount: Amount) -> RatePlain:
    def rate(quantity: int, counters: Mapping[str, int]) -> Plain | None:
        if quantity <= 0:
            return None
        billed = first if quantity <= first else first - (first - quantity) // following * following
        before = counters.get(key, 0)
        return billed, amount(before, billed), (before,), (before + billed,)

    return rate


def _carried(step: int, key: str, amount: Amount) -> RatePlain:
    up = step - 1

    def rate(quantity: int, counters: Mapping[str, int]) -> Plain | None:
        if quantity <= 0:
            return None
        before = counters.get(key, 0)
        billed = ((before + quantity + up) // step - (before + up) // step) * step
        return billed, amount(0, billed), (before,), (before + quantity,)

    return rate


def _carried_in_cycle(step: int, carry: str, tier: str, amount: Amount) -> RatePlain:
    up = step - 1

    def rate(quantity: int, counters: Mapping[str, int]) -> Plain | None:
        if quantity <= 0:
            return None
        carried, before = counters.get(carry, 0), counters.get(tier, 0)
        billed = ((carried + quantity + up) // step - (carried + up) // step) * step
        return billed, amount(before, billed), (carried, before), (carried + quantity, before + billed)

    return rate


def _words(tariff: Tariff, pricer: Pricer, cards: Cards, band: int | None) -> tuple[str, ...]:
    """What holds for every event, in the order of one charge: steps, prices, set-up fee, rounding."""
    rate, wording, currency = pricer.rate, pricer.wording, tariff.currency
    words = []
    if rate.first != rate.next:
        words.append(f"a step of {wording.first}, then steps of {wording.next}")
    elif rate.next != 1:
        words.append(f"steps of {wording.next}{', carried over' if rate.increment_scope == 'carry-over' else ''}")
    prefix = "" if band is None else f"{rate.bands[band][0].name}: "
    words.append(prefix + _price_words(rate, pricer, cards, currency))
    if rate.setup:
        words.append(f"set-up fee {money_text(rate.setup)} {currency}")
    words.append(f"{tariff.rounding} to {format_nanos(tariff.precision_nanos)} {currency}")
    return tuple(words)


def _price_words(rate: Rate, pricer: Pricer, cards: Cards, currency: str) -> str:
    prices = [f"{card.price_text} {currency} per {rate.per}" for card in cards]
    if len(cards) == 1:
        return prices[0]
    bounds = [pricer.wording.priced(card.up_to) for card in cards if card.up_to is not None]
    tiers = ", ".join(f"{price} up to {bound}" for price, bound in zip(prices, bounds, strict=False))
    counted = f"of the {rate.tier_scope}"
    if rate.tier_mode == "volume":
        counted = "all by the event's total" if rate.tier_scope == "event" else "all by the cycle's total before"
    return f"{tiers}, then {prices[-1]} ({counted})"
