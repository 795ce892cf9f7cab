"""Tiers: what a quantity costs by how much came before it.

Bounds belong to the lower tier. `up_to: 100 MB` at 0.10 and 0.05 beyond, 95 MB used before, 10 MB now:

    graduated    5 MB x 0.10 + 5 MB x 0.05 = 0.75
    volume      10 MB x 0.10               = 1.00    (the total before, 95 MB, decides)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar


class Bounded(Protocol):
    """A tier, or anything made from one: it holds up to and including its bound, or without end."""

    @property
    def up_to(self) -> int | None:
        """The bound."""


T = TypeVar("T", bound=Bounded)


def tier_of(schedule: Sequence[T], total: int) -> T:
    """The tier a total falls in."""
    for tier in schedule:
        if tier.up_to is None or total <= tier.up_to:
            return tier
    raise AssertionError("the last tier of a schedule has no end")


def graduated(schedule: Sequence[T], before: int, quantity: int) -> list[tuple[int, T]]:
    """The quantity cut at the bounds it crosses: (quantity, tier) for each tier it reaches."""
    cut, position, end = [], before, before + quantity
    for tier in schedule:
        upper = end if tier.up_to is None else min(tier.up_to, end)
        if upper > position:
            cut.append((upper - position, tier))
            position = upper
    return cut
