"""From what is billed to what it costs: each piece's exact amount by its prices and tiers, before fees and rounding."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from rater.rating.explain import money_text
from rater.rating.pricer import Pricer
from rater.rating.split import Piece
from rater.rating.tiers import graduated, graduated_range, tier_of, volume_range
from rater.rating.tracker import Tracker
from rater.tariff.model import Schedule, Tier


def tier_key(period: str, rate_name: str) -> str:
    """Counter of the quantity billed in a cycle under a rate: "2026-11-01:tier:data/eu"."""
    return f"{period}:tier:{rate_name}"


def price(pieces: Sequence[Piece], tracker: Tracker, currency: str) -> None:
    """Set the exact amount of each piece that has a price, and explain it."""
    of_event: dict[str, int] = {}
    for piece in pieces:
        if piece.found.pricer is not None:
            name = piece.found.pricer.rate.name
            of_event[name] = of_event.get(name, 0) + piece.billed
    before_in_event: dict[str, int] = {}
    for piece in pieces:
        pricer = piece.found.pricer
        if pricer is None:
            continue
        rate, schedule = pricer.rate, pricer.schedule(piece.band)
        if rate.tier_scope == "cycle":
            cut = _cycle_tiers(pricer, schedule, piece, tracker)
        elif rate.tier_mode == "volume":
            cut = [(piece.billed, tier_of(schedule, of_event[rate.name])[1])]
        else:
            before = before_in_event.get(rate.name, 0)
            cut = graduated(schedule, before, piece.billed)
            before_in_event[rate.name] = before + piece.billed
        _charge(piece, pricer, cut or [(0, schedule[0])], currency, is_tiered=len(schedule) > 1)


def _cycle_tiers(pricer: Pricer, schedule: Schedule, piece: Piece, tracker: Tracker) -> list[tuple[int, Tier]]:
    key = tier_key(piece.period, pricer.rate.name)
    before = tracker.value(key)
    if pricer.rate.tier_mode == "volume":
        tracker.use(key, piece.billed, *volume_range(schedule, before, piece.billed))
        return [(piece.billed, tier_of(schedule, before)[1])]
    tracker.use(key, piece.billed, *graduated_range(schedule, before, piece.billed))
    return graduated(schedule, before, piece.billed)


def _charge(piece: Piece, pricer: Pricer, cut: list[tuple[int, Tier]], currency: str, *, is_tiered: bool) -> None:
    """Add up what each tier takes: "5 MB x 0.10 EUR = 0.50 EUR"."""
    band = pricer.band_name(piece.band)
    for quantity, tier in cut:
        amount = tier.price * Fraction(quantity, pricer.rate.unit)
        piece.amount += amount
        text = (
            f"{pricer.wording.priced(quantity)} x {money_text(tier.price)} {currency} = {money_text(amount)} {currency}"
        )
        if is_tiered:
            bound = "beyond the last bound" if tier.up_to is None else f"up to {pricer.wording.priced(tier.up_to)}"
            text = f"tier {bound}: {text}"
        piece.lines.append(f"{band}: {text}" if band else text)
    if len(cut) > 1:
        piece.lines.append(f"together {money_text(piece.amount)} {currency}")
