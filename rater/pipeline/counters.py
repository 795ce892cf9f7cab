"""The worker's view of counters: a guess that the wallet's call checks, so it may be wrong but is never trusted.

Rating an event moves the view at once, before the debit is decided, so that the next event of the same subscriber is
rated after it though its call is still under way. What turns out not to have counted (a duplicate, a refusal) is taken
back, and a stale answer replaces the guess with what the shard has.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from rater.rating.charge import CounterUse

#: Subscribers remembered at once: about 400 bytes each, so some 100 MB at the bound.
SUBSCRIBERS_MAX = 250_000
#: Keys kept for one subscriber. Sessions come and go; past this all are forgotten and read back from the shard.
KEYS_MAX = 64

Counters = dict[str, int]


class CounterView:
    """Counters by (tenant, subscriber), least recently used dropped first. A missing counter reads as 0."""

    def __init__(self, subscribers_max: int = SUBSCRIBERS_MAX) -> None:
        self._by_subscriber: OrderedDict[tuple[str, str], Counters] = OrderedDict()
        self._max = subscribers_max

    def of(self, tenant: str, subscriber: str) -> Counters:
        """The counters of one subscriber; change them only through the methods here."""
        key = (tenant, subscriber)
        counters = self._by_subscriber.get(key)
        if counters is None:
            counters = self._by_subscriber[key] = {}
            if len(self._by_subscriber) > self._max:
                self._by_subscriber.popitem(last=False)
        else:
            self._by_subscriber.move_to_end(key)
            if len(counters) > KEYS_MAX:
                counters.clear()
        return counters

    @staticmethod
    def advance(counters: Counters, uses: Sequence[CounterUse]) -> tuple[int, ...]:
        """Count an event that is about to be charged; answers the values before, in the order of `uses`."""
        before = tuple(counters.get(use.key, 0) for use in uses)
        for use, value in zip(uses, before, strict=True):
            counters[use.key] = value + use.add
        return before

    @staticmethod
    def take_back(counters: Counters, uses: Sequence[CounterUse]) -> None:
        """Undo `advance` for an event that did not count after all."""
        for use in uses:
            counters[use.key] = counters.get(use.key, 0) - use.add

    @staticmethod
    def replace(counters: Counters, uses: Sequence[CounterUse], present: Sequence[int]) -> None:
        """Believe the shard: these are the values now."""
        for use, value in zip(uses, present, strict=True):
            counters[use.key] = value
