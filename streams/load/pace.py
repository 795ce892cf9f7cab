"""When each event is due. Counted from the start, so that it does not drift however late a page went out."""

from __future__ import annotations

from dataclasses import dataclass

SECOND_NS = 1_000_000_000
#: Pages a second at most, as far as PAGE_MAX lets: what goes out together is at most this early.
TICKS = 100
#: One page is one request to Kafka: in smaller ones a busy broker takes fewer events a second.
PAGE_MAX = 5000


@dataclass(frozen=True)
class Pace:
    """`rate` events a second, 0 as fast as it goes; `events` in all; for `seconds`. 0 is no limit."""

    rate: int
    events: int = 0
    seconds: int = 0

    def __post_init__(self) -> None:
        assert self.events or self.seconds, "it would never end"

    @property
    def total(self) -> int:
        """Events to be offered; 0 where the clock says when to stop."""
        limits = [limit for limit in (self.events, self.rate * self.seconds) if limit]
        return min(limits, default=0)

    def page(self, offered: int, batch: int = 0) -> int:
        """How many events the next page has; `batch` is what the sender asks for."""
        wanted = batch or max(1, min(PAGE_MAX, self.rate // TICKS if self.rate else PAGE_MAX))
        return min(wanted, self.total - offered) if self.total else wanted

    def due_ns(self, offered: int) -> int:
        """When the next event is due after so many, from the start; at no rate, at once."""
        return offered * SECOND_NS // self.rate if self.rate else 0

    def is_over(self, offered: int, elapsed_ns: int) -> bool:
        """Whether all was offered, or the time is up: an open loop that got late ends in time all the same."""
        if self.total and offered >= self.total:
            return True
        return bool(self.seconds and not self.total and elapsed_ns >= self.seconds * SECOND_NS)
