"""What a batch came to, counted, and the answer for one event."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import msgspec

from rater.wallet.entry import Decision
from schemas.fates import Fate, Reason


@dataclass(slots=True)
class Tally:
    """What a batch came to: events by (fate, reason), and money by currency. Events in = the sum of fates."""

    events: int = 0
    fates: Counter[tuple[Fate, Reason]] = field(default_factory=Counter)
    redelivered: int = 0
    charged_nanos: Counter[str] = field(default_factory=Counter)
    uncovered_nanos: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Add another tally to this one."""
        self.events += other.events
        self.redelivered += other.redelivered
        for mine, theirs in (
            (self.charged_nanos, other.charged_nanos),
            (self.uncovered_nanos, other.uncovered_nanos),
        ):
            mine.update(theirs)
        self.fates.update(other.fates)

    def of(self, fate: Fate) -> int:
        """How many events had this fate."""
        return sum(count for (found, _), count in self.fates.items() if found is fate)

    @property
    def adds_up(self) -> bool:
        """Whether every event has exactly one fate."""
        return self.events == sum(self.fates.values())


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """The answer for one event, as a door that answers gives it back."""

    fate: Fate
    reason: Reason
    detail: str = ""
    charged_nanos: int = 0
    currency: str = ""
    #: What the wallet could not pay.
    uncovered_nanos: int = 0
    #: The decision that stood before this call, if one did.
    first: Decision | None = None
