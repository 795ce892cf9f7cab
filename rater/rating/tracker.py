"""What a charge read from counters and adds to them, collected while it is computed."""

from __future__ import annotations

from collections.abc import Mapping

from rater.rating.charge import CounterUse
from rater.tariff.units import QUANTITY_MAX


class Tracker:
    """Counters as they are while an event's pieces are rated one after the other.

    A counter that is used once keeps the range stated for it. Used again by a later piece, the charge is taken to
    depend on its exact value: true, and simple.
    """

    __slots__ = ("_counters", "_uses")

    def __init__(self, counters: Mapping[str, int]) -> None:
        self._counters = counters
        self._uses: dict[str, CounterUse] = {}

    def before(self, key: str) -> int:
        """The counter's value before the event."""
        return self._counters.get(key, 0)

    def value(self, key: str) -> int:
        """The counter's value before the next piece."""
        use = self._uses.get(key)
        return self.before(key) + (use.add if use else 0)

    def use(self, key: str, add: int, low: int, high: int) -> None:
        """The counter moves by `add`; the charge would be the same for low <= value <= high."""
        if not self._again(key, add):
            self._uses[key] = CounterUse(key, add, low, high)

    def use_residue(self, key: str, add: int, step: int, residues: tuple[int, int]) -> None:
        """The counter moves by `add`; the charge depends on its value modulo `step` only."""
        if not self._again(key, add):
            low, high = residues
            self._uses[key] = CounterUse(key, add, 0, QUANTITY_MAX, step, low, high)

    def _again(self, key: str, add: int) -> bool:
        use = self._uses.get(key)
        if use is None:
            return False
        value = self.before(key)
        self._uses[key] = CounterUse(key, use.add + add, value, value)
        return True

    def uses(self) -> tuple[CounterUse, ...]:
        """All of them, in the order in which they were first used."""
        return tuple(self._uses.values())
