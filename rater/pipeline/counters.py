"""The worker's view of counters: a guess that the wallet's call checks, so it may be wrong but is never trusted.

Two values for each counter. `settled` is what the shard has, as far as this worker was told. `guess` is that plus what
is rated but not decided yet, so that the next event of a SIM is rated after the one whose call is still under way:

    rate        guess += add                    the event is rated from guess
    check in    settled += add                  just before the call; if settled gives another charge, it is rated again
    take back   settled -= add, guess -= add    it did not count after all: a duplicate, a refusal, stale
    believe     settled = present, guess moves along    a stale answer told what the shard has

So a wrong guess about one event (a repeat, say) is put right for the batches behind it before they are sent.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from rater.rating.charge import CounterUse

#: Subscribers remembered at once: about 600 bytes each, so some 150 MB at the bound.
SUBSCRIBERS_MAX = 250_000
#: Keys kept for one subscriber. Sessions come and go; past this all are forgotten and learnt again from the shard.
KEYS_MAX = 64


class Counters:
    """The counters of one subscriber. A missing guess reads as 0; a missing settled value is not known yet."""

    __slots__ = ("guess", "settled")

    def __init__(self) -> None:
        self.guess: dict[str, int] = {}
        self.settled: dict[str, int] = {}

    def rate(self, uses: Sequence[CounterUse]) -> None:
        """Count a rated event."""
        for use in uses:
            self.guess[use.key] = self.guess.get(use.key, 0) + use.add

    def unrate(self, uses: Sequence[CounterUse]) -> None:
        """Undo `rate` for an event that is not sent."""
        for use in uses:
            if use.key in self.guess:
                self.guess[use.key] -= use.add

    def check_in(self, uses: Sequence[CounterUse], assumed: Sequence[int]) -> tuple[int, ...]:
        """Count an event that is about to be sent; answers the settled values before it (unknown: as assumed)."""
        settled, before = self.settled, []
        for use, value in zip(uses, assumed, strict=True):
            present = settled.get(use.key, value)
            before.append(present)
            settled[use.key] = present + use.add
        return tuple(before)

    def check_out(self, uses: Sequence[CounterUse]) -> None:
        """Undo `check_in`, and keep `rate`: for an event that will be rated anew at once."""
        for use in uses:
            if use.key in self.settled:
                self.settled[use.key] -= use.add

    def take_back(self, uses: Sequence[CounterUse]) -> None:
        """Undo both for an event that did not count after all."""
        self.check_out(uses)
        self.unrate(uses)

    def believe(self, uses: Sequence[CounterUse], present: Sequence[int]) -> None:
        """The shard said what it has."""
        for use, value in zip(uses, present, strict=True):
            self.guess[use.key] = self.guess.get(use.key, 0) + value - self.settled.get(use.key, 0)
            self.settled[use.key] = value


def holds(uses: Sequence[CounterUse], values: Sequence[int]) -> bool:
    """Whether a charge is the same for these values: what the wallet's call will check."""
    return all(
        use.low <= value <= use.high and (not use.step or use.residue_low <= value % use.step <= use.residue_high)
        for use, value in zip(uses, values, strict=True)
    )


class CounterView:
    """Counters by (tenant, subscriber), least recently used dropped first."""

    def __init__(self, subscribers_max: int = SUBSCRIBERS_MAX) -> None:
        self._by_subscriber: OrderedDict[tuple[str, str], Counters] = OrderedDict()
        self._max = subscribers_max

    def of(self, tenant: str, subscriber: str) -> Counters:
        """The counters of one subscriber."""
        key = (tenant, subscriber)
        counters = self._by_subscriber.get(key)
        if counters is None:
            counters = self._by_subscriber[key] = Counters()
            if len(self._by_subscriber) > self._max:
                self._by_subscriber.popitem(last=False)
        else:
            self._by_subscriber.move_to_end(key)
            if len(counters.guess) > KEYS_MAX:
                counters.guess.clear()
                counters.settled.clear()
        return counters
