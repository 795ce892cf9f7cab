"""What passes between the stages: a batch of raw events, and the place of each event while it is decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from rater import compiled
from rater.identity import NO_TOKEN, door_digest, token
from rater.pipeline.cover import Given
from rater.pipeline.payer import Offer, Payer
from rater.rating.charge import Charge
from rater.wallet.debit import InterpretedDebit
from rater.wallet.entry import Decision
from schemas.adapters.usage_json import UsageEvent, normalised
from schemas.fates import Reason
from schemas.rated import quoted
from schemas.shape import Shape
from schemas.usage import Usage


class Door:
    """A place events come from: "kafka:usage/3", "file:...", "http". Shared by all its events.

    `redelivers` is False where a repeat is always a duplicate. (HTTP has no places, but every event of that door the
    same one: a repeat gets its record again, see streams/http/flow.py.)
    """

    __slots__ = ("digest", "name", "redelivers", "sort", "text")

    def __init__(self, name: str, *, redelivers: bool = True) -> None:
        self.name = name
        self.redelivers = redelivers
        self.digest = door_digest(name)
        #: "kafka", "file" ...: what metrics count by.
        self.sort = name.partition(":")[0]
        #: The name as records spell it.
        self.text = quoted(name)

    def token(self, position: int, element: int = 0) -> bytes:
        """The delivery token of a position at this door, and of an element of the array that stands there."""
        if not self.redelivers:
            return NO_TOKEN
        digest = door_digest(f"{self.name}[{element}]") if element else self.digest
        return token(digest, position)


@compiled.twin("fields")
class RawEvent(msgspec.Struct, frozen=True, gc=False):
    """The bytes of one record, where they stood, and their headers where the door has such."""

    value: bytes
    door: Door
    position: int
    headers: Sequence[tuple[str, bytes]] = ()
    #: Which one of an array of events that came as one record.
    element: int = 0


@dataclass(slots=True)
class Batch:
    """Raw events in order. `now_ms` is intake's clock: nothing below the door reads another one."""

    events: Sequence[RawEvent]
    now_ms: int
    format: str = "auto"
    tenant: str = ""
    source: str = ""
    #: What the door needs back to acknowledge the batch (offsets, a file position); the pipeline only carries it.
    receipt: object = None


class Fault(msgspec.Struct, frozen=True, gc=False):
    """Why an event is parked or dead-lettered; `field` names the field where one is wrong."""

    reason: Reason
    detail: str
    field: str = ""
    #: (tenant, source, id) as far as it could be read, so that a person can find the event.
    identity: tuple[str, str, str] = ("", "", "")

    @classmethod
    def of_usage(cls, usage: Usage | UsageEvent, reason: Reason, detail: str, field: str = "") -> Fault:
        """The fault of an event that could be read."""
        return cls(reason, detail, field, (usage.tenant, usage.source, usage.id))


class Faulted(msgspec.Struct, gc=False):
    """An event that gets no decision: parked or dead-lettered. `usage` is there if it could be read."""

    raw: RawEvent
    usage: Usage | None
    fault: Fault


class Unresolved(msgspec.Struct, gc=False):
    """An event that fulfils every rule and whose SIM has yet to be looked up."""

    raw: RawEvent
    usage: Usage
    shape: Shape


#: What `Rated.billed` says of an event that has yet to be rated by the terms that decided it.
UNRATED = -1


class InterpretedRated(InterpretedDebit, gc=False, eq=False, kw_only=True):
    """A rated event, which is its wallet entry, on its way to a decision.

    Decided when one of these is set: `head` or `answer` by the wallet; `old_fingerprint`, of an id decided so long ago
    that only ClickHouse remembers it; or `fault`, if it turns out that there is no wallet to ask.
    """

    raw: RawEvent
    #: The event: in plain JSON as it was decoded, any other as a Usage.
    body: Usage | UsageEvent
    start_ms: int
    end_ms: int
    shape: Shape
    payer: Payer
    offer: Offer
    quantity: int
    #: Up to when it is charged.
    until_ms: int
    #: Whether its id came lately; then its shard is first asked for a verdict.
    is_repeat: bool = False
    billed: int = 0
    #: The charge in full, where it is no plain one.
    charge: Charge | None = None
    #: The one allowance that pays for all of it.
    given: Given | None = None
    #: Whether a step of its subscription must come first; it is not charged before.
    is_due: bool = False
    #: Where it waits among events that count: upon those with a lower number.
    order: int = 0
    #: Whether it moves counters; then it waits in `member.pending` until it is decided.
    counts: bool = False
    old_fingerprint: bytes | None = None
    fault: Fault | None = None

    @property
    def usage(self) -> Usage:
        """The event in its one normalised form."""
        return normalised(self.body, self.start_ms, self.end_ms)

    def last_ms(self, now_ms: int) -> int:
        """Its last moment under its assignment, as far as it has come by now: steps until then are due before it."""
        return min(self.until_ms - 1, self.payer.ends_ms - 1, now_ms)

    def leave(self) -> None:
        """It is decided: nothing waits for it any more."""
        self.member.settle(self)
        if self.pool is not None:
            self.pool.settle(self)

    @property
    def is_open(self) -> bool:
        """Whether the event still needs a decision."""
        return self.head is None and self.old_fingerprint is None and self.fault is None and self.decision is None

    @property
    def is_redelivery(self) -> bool:
        """Whether it was decided at this very delivery before; its outputs may be lost, so they are rebuilt."""
        decision = self.answer
        return isinstance(decision, Decision) and decision.known and decision.token == self.token != NO_TOKEN


if TYPE_CHECKING or not compiled.IS_ON:
    Rated = InterpretedRated
else:
    from rater.compiled.event import Rated as Rated

Item = Faulted | Rated | Unresolved


@dataclass(slots=True)
class Work:
    """A batch and its events between two stages, in the order they came."""

    batch: Batch
    items: list[Item]
    #: Places of the events that are unresolved.
    unresolved: list[int]
