"""The amount of a plain charge as a closed formula over integers, built once and evaluated for every event.

A price is a ratio of nanos, so is the set-up fee; over one denominator D the exact amount is N / D with N an integer:

    132 s at 0.10 EUR per minute and a fee of 0.05 EUR: (5,000 x 132,000 + 150,000,000) / 3 = 270,000,000 nanos

Rounding to steps of s nanos is a division, too, once N is scaled by what the method asks for:

    down       N // Ds                  up   (N + Ds - 1) // Ds
    half-up    (2 N + Ds) // 2 Ds       half-even the same, less 1 where that is exact and odd

So price, fee, rounding and scale melt into `price * billed + base`, divided once. Prices are never negative.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise
from math import lcm
from typing import NamedTuple

from rater.money import NANOS, Rounding
from rater.rating.pricer import Cards
from rater.tariff.model import Rate

#: (total of the tiers before, billed quantity) -> nanos.
Amount = Callable[[int, int], int]
_Round = Callable[[int], int]


class Line(NamedTuple):
    """An amount of graduated tiers, mostly of one: (what its quantity costs by them + base) // divisor * step.

    Tier i has `prices[i]` and begins above `below[i]`, up to where all costs `costs[i]`.
    """

    below: Sequence[int]
    prices: Sequence[int]
    costs: Sequence[int]
    base: int
    divisor: int
    step: int


def amount_formula(rate: Rate, cards: Cards, method: Rounding, step_nanos: int) -> tuple[Amount, Line | None]:
    """What a billed quantity costs under a rate's prices, with its set-up fee, rounded; and the line that it is."""
    setup = rate.setup * NANOS
    denominator = lcm(setup.denominator, *(card.denominator for card in cards))
    scale, half, divisor = _rounding(method, denominator * step_nanos)
    prices = [scale * card.numerator * (denominator // card.denominator) for card in cards]
    base = scale * setup.numerator * (denominator // setup.denominator) + half
    is_even = method == "half-even" and divisor > 1
    rounded = _round(divisor, step_nanos, is_even=is_even)
    bounds = [card.up_to for card in cards if card.up_to is not None]
    if bounds and rate.tier_mode == "volume":
        return _volume(bounds, prices, base, rounded, is_of_event=rate.tier_scope == "event"), None
    below, costs = _below(bounds, prices)
    line = None if is_even else Line(below, prices, costs, base, divisor, step_nanos)
    if bounds:
        return _graduated(below, prices, costs, base, rounded), line
    return _exact(prices[0], base) if divisor == step_nanos == 1 else _flat(prices[0], base, rounded), line


def _rounding(method: Rounding, denominator: int) -> tuple[int, int, int]:
    """(scale, summand, divisor) of rounding by one floor division."""
    if method == "down" or denominator == 1:
        return 1, 0, denominator
    if method == "up":
        return 1, denominator - 1, denominator
    return 2, denominator, 2 * denominator


def _round(divisor: int, step_nanos: int, *, is_even: bool) -> _Round:
    def floor(total: int) -> int:
        return total // divisor * step_nanos

    def even(total: int) -> int:
        count, rest = divmod(total, divisor)
        if not rest and count & 1:
            count -= 1
        return count * step_nanos

    return even if is_even else floor


def _exact(price: int, base: int) -> Amount:
    """One price of whole nanos: nothing to round."""

    def amount(_before: int, billed: int) -> int:
        return price * billed + base

    return amount


def _flat(price: int, base: int, rounded: _Round) -> Amount:
    def amount(_before: int, billed: int) -> int:
        return rounded(price * billed + base)

    return amount


def _volume(bounds: Sequence[int], prices: Sequence[int], base: int, rounded: _Round, *, is_of_event: bool) -> Amount:
    """One tier prices all of it: that of the event's total, or of the cycle's before the event."""

    def by_event(_before: int, billed: int) -> int:
        return rounded(prices[bisect_left(bounds, billed)] * billed + base)

    def by_cycle(before: int, billed: int) -> int:
        return rounded(prices[bisect_left(bounds, before)] * billed + base)

    return by_event if is_of_event else by_cycle


def _below(bounds: Sequence[int], prices: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
    """Where each tier begins, and what all below it costs."""
    below, costs = [0, *bounds], [0]
    for price, (low, high) in zip(prices, pairwise(below), strict=False):
        costs.append(costs[-1] + price * (high - low))
    return below, costs


def _graduated(below: Sequence[int], prices: Sequence[int], costs: Sequence[int], base: int, rounded: _Round) -> Amount:
    """Each tier prices its own; what a total costs is what its tier costs from the bound below it, and all below."""
    bounds = below[1:]

    def amount(before: int, billed: int) -> int:
        end = before + billed
        tier = bisect_left(bounds, end)
        if before >= below[tier]:
            return rounded(prices[tier] * billed + base)
        first = bisect_left(bounds, before)
        paid = costs[first] + prices[first] * (before - below[first])
        return rounded(costs[tier] + prices[tier] * (end - below[tier]) - paid + base)

    return amount
