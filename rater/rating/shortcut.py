"""The common case in a few integer operations: usage within one version, cycle, band and tier, under a plain rate.

It gives the charge that `rate_in_pieces` gives, explanation included; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping

from rater.money import NANOS, format_nanos, round_ratio
from rater.rating.charge import Charge, ChargePart, CounterUse
from rater.rating.explain import money_text, ratio_text
from rater.rating.increments import billed_steps, paid_until, residue_range
from rater.rating.meter import carry_key, steps_line
from rater.rating.price import tier_key
from rater.rating.pricer import Card, Cards, Pricer
from rater.rating.tiers import graduated_range, tier_of, volume_range
from rater.rating.timeline import Stretch
from rater.tariff.match import Found
from rater.tariff.model import Tariff
from rater.tariff.units import QUANTITY_MAX
from schemas.usage import Usage


def short_charge(
    tariff: Tariff, usage: Usage, counters: Mapping[str, int], stretch: Stretch, found: Found, end_ms: int
) -> Charge | None:
    """The charge of a usage up to `end_ms`, within one version and cycle; None if it crosses a band or a tier."""
    pricer, currency, quantity = found.pricer, tariff.currency, usage.quantity
    assert pricer is not None
    clock = pricer.clock(tariff.zone)
    band = None
    if clock is not None:
        band, until_ms = clock.at(usage.start_ms)
        if until_ms < end_ms:
            return None
    if not quantity:
        part = _part(tariff, usage, stretch, found, 0, 0, (f"nothing used: 0.00 {currency}",))
        return Charge("priced", currency, 0, (part,))
    billed, first_line, uses = _bill(pricer, quantity, counters, stretch.period, found.network)
    card = _card(pricer, pricer.cards(band), billed, counters, stretch.period, uses)
    if card is None:
        return None
    explanation = [first_line, card.line(billed, currency)]
    numerator, denominator = card.numerator * billed, card.denominator
    if pricer.setup_numerator:
        numerator = numerator * pricer.setup_denominator + pricer.setup_numerator * denominator
        denominator *= pricer.setup_denominator
        total = ratio_text(numerator, denominator * NANOS, 2)
        explanation.append(f"+ set-up fee {money_text(pricer.rate.setup)} {currency} = {total} {currency}")
    amount = round_ratio(numerator, denominator, tariff.rounding, tariff.precision_nanos)
    explanation.append(f"{tariff.rounding_text}: {format_nanos(amount)} {currency}")
    part = _part(tariff, usage, stretch, found, billed, amount, tuple(explanation))
    return Charge("priced", currency, amount, (part,), tuple(uses))


def _bill(
    pricer: Pricer, quantity: int, counters: Mapping[str, int], period: str, network: str
) -> tuple[int, str, list[CounterUse]]:
    """What is billed, how it is explained, and the carried total it depends on."""
    rate, uses, paid, covered, end = pricer.rate, [], 0, 0, quantity
    if rate.increment_scope == "carry-over":
        key, step = carry_key(period, rate, network), rate.next
        before = counters.get(key, 0)
        low, high = residue_range(before, quantity, step)
        uses.append(CounterUse(key, quantity, 0, QUANTITY_MAX, step, low, high))
        paid, end = paid_until(before, step, step), before + quantity
        covered = min(paid - before, quantity)
    billed = billed_steps(paid, end, rate.first, rate.next)
    return billed, steps_line(pricer.wording, rate, quantity, billed, covered, is_start=not paid), uses


def _card(
    pricer: Pricer, cards: Cards, billed: int, counters: Mapping[str, int], period: str, uses: list[CounterUse]
) -> Card | None:
    """The one price that holds for all that is billed; None if tiers cut it."""
    rate = pricer.rate
    is_volume = rate.tier_mode == "volume"
    if rate.tier_scope == "event":
        card = tier_of(cards, billed)[1]
        return card if is_volume or card is cards[0] else None
    key = tier_key(period, rate.name)
    before = counters.get(key, 0)
    if not is_volume and (not billed or tier_of(cards, before + billed)[1] is not tier_of(cards, before + 1)[1]):
        return None
    low, high = (volume_range if is_volume else graduated_range)(cards, before, billed)
    uses.append(CounterUse(key, billed, low, high))
    return tier_of(cards, before if is_volume else before + 1)[1]


def _part(
    tariff: Tariff, usage: Usage, stretch: Stretch, found: Found, billed: int, amount_nanos: int,
    explanation: tuple[str, ...],
) -> ChargePart:  # fmt: skip
    assert found.pricer is not None
    return ChargePart(
        usage.start_ms, max(usage.end_ms, usage.start_ms), stretch.period, tariff.versions[stretch.version].name,
        found.rate, found.zone, usage.quantity, billed, amount_nanos, found.pricer.rate.tax_category, explanation,
    )  # fmt: skip
