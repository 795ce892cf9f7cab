"""`rate`: what a usage costs under a tariff. The one entry point; pure: no clock, no I/O, same input, same charge.

The order of one charge: split at boundaries, minimum quantity, increments, price by tier, plus set-up fee, minimum and
maximum bound the sum, round once. A call of 132 s at 0.10 EUR per minute, 60/1, set-up fee 0.05 EUR:

    132 s used -> 1 step of 60 s + 72 steps of 1 s = 132 s = 2.2 min
    2.2 min x 0.10 EUR = 0.22 EUR
    + set-up fee 0.05 EUR = 0.27 EUR
    rounded half-up to 0.000000001: 0.27 EUR
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from rater.money import NANOS, format_nanos, round_exact
from rater.rating.bounds import totals
from rater.rating.charge import Charge, ChargePart, Outcome
from rater.rating.explain import money_text
from rater.rating.meter import Meter
from rater.rating.price import price
from rater.rating.split import Piece, TooManyPartsError, charged_until, split
from rater.rating.timeline import LATEST_MS
from rater.rating.tracker import Tracker
from rater.tariff.model import Tariff
from schemas.usage import Usage


def rate(tariff: Tariff, usage: Usage, counters: Mapping[str, int], cycle_zone: str) -> Charge:
    """The charge for a usage, from the subscriber's counters (a missing one is 0).

    An amount may pass what the ledger holds; the caller refuses it. The keys of `Charge.uses` and their order depend on
    tariff, usage and zone only. Plain usage is rated faster by `Terms` (rater/rating/terms.py), to the same numbers.
    """
    if usage.start_ms < 0 or max(usage.start_ms, charged_until(usage)) >= LATEST_MS:
        return Charge(
            "no_rate", tariff.currency, 0, (), reason_detail="the usage lies outside of the years 1970 to 8999"
        )
    try:
        pieces = split(tariff, usage, cycle_zone)
    except TooManyPartsError as error:
        return Charge("no_rate", tariff.currency, 0, (), reason_detail=str(error))
    outcome, detail = _outcome(pieces)
    if outcome == "no_rate":
        return Charge("no_rate", tariff.currency, 0, (), reason_detail=detail)
    tracker = Tracker(counters)
    if not usage.quantity:
        pieces[0].lines.append(f"nothing used: 0.00 {tariff.currency}")
        return Charge(outcome, tariff.currency, 0, (_part(pieces[0], 0),), reason_detail=detail)
    priced = [piece for piece in pieces if piece.found.pricer is not None]
    first = priced[0].found.pricer if priced else None
    Meter(usage, tracker, first.rate.minimum_quantity if first else 0).run(pieces)
    price(pieces, tracker, tariff.currency)
    parts = _rounded(tariff, pieces, [total * NANOS for total in totals(pieces, usage, tracker, tariff.currency)])
    amount = sum(part.amount_nanos for part in parts)
    return Charge(outcome, tariff.currency, amount, parts, tracker.uses(), detail)


def _outcome(pieces: Sequence[Piece]) -> tuple[Outcome, str]:
    """The event's outcome: one piece without a rate, or blocked, decides for all; free is free throughout."""
    for outcome in ("no_rate", "blocked", "priced"):
        for piece in pieces:
            if piece.found.outcome == outcome:
                return piece.found.outcome, piece.found.detail
    return "free", ""


def _rounded(tariff: Tariff, pieces: Sequence[Piece], totals_nanos: Sequence[Fraction]) -> tuple[ChargePart, ...]:
    """Round the running total after each piece; the differences are the parts, so they add up to it exactly."""
    before, parts = 0, []
    for piece, total in zip(pieces, totals_nanos, strict=True):
        rounded = round_exact(total, tariff.rounding, tariff.precision_nanos)
        amount = rounded - before
        piece.lines.append(_last_line(tariff, piece, total, rounded, before))
        parts.append(_part(piece, amount))
        before = rounded
    return tuple(parts)


def _last_line(tariff: Tariff, piece: Piece, total_nanos: Fraction, rounded: int, before: int) -> str:
    currency = tariff.currency
    if piece.found.pricer is None:
        why = piece.found.detail or "free"
        return f"{why}: {format_nanos(rounded - before)} {currency}"
    if not before:
        return f"{tariff.rounding_text}: {format_nanos(rounded)} {currency}"
    return (
        f"with the parts before {money_text(total_nanos * Fraction(1, NANOS))} {currency}, {tariff.rounding_text}:"
        f" {format_nanos(rounded)} {currency}, less {format_nanos(before)} {currency}"
        f" = {format_nanos(rounded - before)} {currency}"
    )


def _part(piece: Piece, amount_nanos: int) -> ChargePart:
    found = piece.found
    return ChargePart(
        start_ms=piece.start_ms,
        end_ms=piece.end_ms,
        period=piece.period,
        tariff_version=piece.version,
        rate=found.rate,
        zone=found.zone,
        quantity=piece.quantity,
        billable_quantity=piece.billed,
        amount_nanos=amount_nanos,
        tax_category=found.pricer.rate.tax_category if found.pricer else "",
        explanation=tuple(piece.lines),
    )
