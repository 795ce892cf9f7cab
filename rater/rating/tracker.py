"""What a charge read from counters and adds to them, collected while it is computed."""

from __future__ import annotations

from collections.abc import Mapping

from rater.rating.charge import CounterUse


class Tracker:
    """Counters as they are while an event's pieces are rated one after the other."""

    __slots__ = ("_added", "_counters")

    def __init__(self, counters: Mapping[str, int]) -> None:
        self._counters = counters
        self._added: dict[str, int] = {}

    def before(self, key: str) -> int:
        """The counter's value before the event."""
        return self._counters.get(key, 0)

    def value(self, key: str) -> int:
        """The counter's value before the next piece."""
        return self.before(key) + self._added.get(key, 0)

    def use(self, key: str, add: int) -> None:
        """The charge depends on the counter, and moves it by `add`."""
        self._added[key] = self._added.get(key, 0) + add

    def uses(self) -> tuple[CounterUse, ...]:
        """All of them, in the order in which they were first used."""
        return tuple(CounterUse(key, add) for key, add in self._added.items())
