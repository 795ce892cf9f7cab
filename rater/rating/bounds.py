"""Set-up fee, minimum and maximum charge: once an event, or once a session, by the rate of the first piece."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from rater.money import NANOS, round_exact
from rater.rating.explain import money_text
from rater.rating.meter import session_key
from rater.rating.split import Piece
from rater.rating.tracker import Tracker
from rater.tariff.model import Rate
from rater.tariff.units import QUANTITY_MAX
from schemas.usage import Usage


def totals(pieces: Sequence[Piece], usage: Usage, tracker: Tracker, currency: str) -> list[Fraction]:
    """The exact charge up to and including each piece, fees and bounds applied; the last is the event's charge."""
    running, sums = Fraction(0), []
    first = next((piece for piece in pieces if piece.found.pricer is not None), None)
    rate = first.found.pricer.rate if first and first.found.pricer else None
    if rate and first:
        running = _setup(rate, first, usage, tracker, currency)
    for piece in pieces:
        running += piece.amount
        sums.append(running)
    if rate is None or not (rate.minimum or rate.maximum is not None):
        return sums
    charge = _bounded(rate, pieces[-1], running, usage, tracker, currency)
    return [min(total, charge) for total in sums[:-1]] + [charge]


def _setup(rate: Rate, first: Piece, usage: Usage, tracker: Tracker, currency: str) -> Fraction:
    if not rate.setup:
        return Fraction(0)
    if _of_session(rate, usage) and tracker.before(session_key(usage, rate, "used")):
        first.lines.append(f"set-up fee {money_text(rate.setup)} {currency} paid earlier in the session")
        return Fraction(0)
    total = first.amount + rate.setup
    first.lines.append(f"+ set-up fee {money_text(rate.setup)} {currency} = {money_text(total)} {currency}")
    return rate.setup


def _of_session(rate: Rate, usage: Usage) -> bool:
    return rate.scope == "session" and usage.session_id is not None


def _bounded(rate: Rate, last: Piece, total: Fraction, usage: Usage, tracker: Tracker, currency: str) -> Fraction:
    """The event's charge within minimum and maximum; of a session, what it adds to the session's charge."""
    if not _of_session(rate, usage):
        charge = _clamp(rate, total)
        if charge != total:
            last.lines.append(f"{_bound(rate, total)} {currency}: {money_text(charge)} {currency}")
        return charge
    key = session_key(usage, rate, "amount")
    before_nanos = tracker.before(key)
    add = min(round_exact(total * NANOS, "half-up"), QUANTITY_MAX - before_nanos)
    tracker.use(key, add)
    before = Fraction(before_nanos, NANOS)
    had_usage = bool(tracker.before(session_key(usage, rate, "used")))
    paid = _clamp(rate, before) if had_usage else Fraction(0)
    charge = _clamp(rate, before + total) - paid
    if charge != total:
        last.lines.append(
            f"session {money_text(before)} + {money_text(total)} {currency}, {_bound(rate, before + total)} {currency}"
            f" = {money_text(paid + charge)} {currency}, less {money_text(paid)} {currency} charged before"
            f" = {money_text(charge)} {currency}"
        )
    return charge


def _clamp(rate: Rate, amount: Fraction) -> Fraction:
    at_least = max(amount, rate.minimum)
    return at_least if rate.maximum is None else min(at_least, rate.maximum)


def _bound(rate: Rate, amount: Fraction) -> str:
    """Which bound an amount meets, in words."""
    if rate.maximum is not None and (amount > rate.maximum or not rate.minimum):
        return f"at most {money_text(rate.maximum)}"
    return f"at least {money_text(rate.minimum)}"
