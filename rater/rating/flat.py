"""The common case: a flat price, plain or carried-over increments, one piece. A few integer operations.

It gives the charge that `rate_in_pieces` gives, explanation included; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping

from rater.money import NANOS, format_nanos, round_ratio
from rater.rating.charge import Charge, ChargePart, CounterUse
from rater.rating.explain import ratio_text
from rater.rating.increments import billed_steps, paid_until, residue_range
from rater.rating.meter import carry_key, steps_line
from rater.rating.timeline import Timeline
from rater.tariff.match import Found
from rater.tariff.model import Tariff
from rater.tariff.units import QUANTITY_MAX
from schemas.usage import Usage


def flat_charge(tariff: Tariff, usage: Usage, counters: Mapping[str, int], line: Timeline, found: Found) -> Charge:
    """The charge of a usage that lies within one version and cycle, under a flat rate."""
    pricer, currency, quantity = found.pricer, tariff.currency, usage.quantity
    assert pricer is not None
    rate, period, paid, covered = pricer.rate, line.period, 0, 0
    uses: tuple[CounterUse, ...] = ()
    explanation: tuple[str, ...]
    if not quantity:
        billed, amount, explanation = 0, 0, (f"nothing used: 0.00 {currency}",)
    else:
        end = quantity
        if rate.increment_scope == "carry-over":
            key, step = carry_key(period, rate, found.network), rate.next
            before = counters.get(key, 0)
            low, high = residue_range(before, quantity, step)
            uses = (CounterUse(key, quantity, 0, QUANTITY_MAX, step, low, high),)
            paid, end = paid_until(before, step, step), before + quantity
            covered = min(paid - before, quantity)
        billed = billed_steps(paid, end, rate.first, rate.next)
        nanos = pricer.numerator * billed
        amount = round_ratio(nanos, pricer.denominator, tariff.rounding, tariff.precision_nanos)
        exact = ratio_text(nanos, pricer.denominator * NANOS, 2)
        explanation = (
            steps_line(pricer.wording, rate, quantity, billed, covered, is_start=not paid),
            f"{pricer.wording.priced(billed)} x {pricer.price_text} {currency} = {exact} {currency}",
            f"{tariff.rounding_text}: {format_nanos(amount)} {currency}",
        )
    part = ChargePart(
        usage.start_ms, max(usage.end_ms, usage.start_ms), period, tariff.versions[line.version].name, found.rate,
        found.zone, quantity, billed, amount, rate.tax_category, explanation,
    )  # fmt: skip
    return Charge("priced", currency, amount, (part,), uses)
