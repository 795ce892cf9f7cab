"""From what is billed to what it costs: each piece's exact amount by its prices and tiers, before fees and rounding."""

from __future__ import annotations

from collections.abc import Sequence

from rater.rating.explain import money_text
from rater.rating.pricer import Card, Cards
from rater.rating.split import Piece
from rater.rating.tiers import graduated, tier_of
from rater.rating.tracker import Tracker
from rater.tariff.model import Rate


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
        rate, cards = pricer.rate, pricer.cards(piece.band)
        if rate.tier_scope == "cycle":
            cut = _cycle_tiers(rate, cards, piece, tracker)
        elif rate.tier_mode == "volume":
            cut = [(piece.billed, tier_of(cards, of_event[rate.name]))]
        else:
            before = before_in_event.get(rate.name, 0)
            cut = graduated(cards, before, piece.billed)
            before_in_event[rate.name] = before + piece.billed
        _charge(piece, cut or [(0, cards[0])], currency)


def _cycle_tiers(rate: Rate, cards: Cards, piece: Piece, tracker: Tracker) -> list[tuple[int, Card]]:
    key = tier_key(piece.period, rate.name)
    before = tracker.value(key)
    tracker.use(key, piece.billed)
    if rate.tier_mode == "volume":
        return [(piece.billed, tier_of(cards, before))]
    return graduated(cards, before, piece.billed)


def _charge(piece: Piece, cut: list[tuple[int, Card]], currency: str) -> None:
    """Add up what each tier takes: "5 MB x 0.10 EUR = 0.50 EUR"."""
    for quantity, card in cut:
        piece.amount += card.price * quantity
        piece.lines.append(card.line(quantity, currency))
    if len(cut) > 1:
        piece.lines.append(f"together {money_text(piece.amount)} {currency}")
