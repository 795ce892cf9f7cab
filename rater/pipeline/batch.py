"""What passes between the stages: a batch of raw events, and the place of each event while it is decided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rater.directory import Assignment, Subscriber
from rater.identity import NO_TOKEN, door_digest, token
from rater.plan import Plan
from rater.rating.charge import Charge
from rater.tariff.model import Tariff
from rater.wallet.entry import Decision, Entry
from schemas.fates import Reason
from schemas.usage import Usage


class Door:
    """A place events come from: "kafka:usage/3", "file:...", "http". Shared by all its events.

    `redelivers` is False where a repeat is always a duplicate. (HTTP has no places, but every event of that door the
    same one: a repeat gets its record again, see streams/http/flow.py.)
    """

    __slots__ = ("digest", "name", "redelivers", "sort")

    def __init__(self, name: str, *, redelivers: bool = True) -> None:
        self.name = name
        self.redelivers = redelivers
        self.digest = door_digest(name)
        #: "kafka", "file" ...: what metrics count by.
        self.sort = name.partition(":")[0]

    def token(self, position: int, element: int = 0) -> bytes:
        """The delivery token of a position at this door, and of an element of the array that stands there."""
        if not self.redelivers:
            return NO_TOKEN
        digest = door_digest(f"{self.name}[{element}]") if element else self.digest
        return token(digest, position)


@dataclass(slots=True, frozen=True)
class RawEvent:
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


@dataclass(slots=True, frozen=True)
class Fault:
    """Why an event is parked or dead-lettered; `field` names the field where one is wrong."""

    reason: Reason
    detail: str
    field: str = ""
    #: (tenant, source, id) as far as it could be read, so that a person can find the event.
    identity: tuple[str, str, str] = ("", "", "")

    @classmethod
    def of_usage(cls, usage: Usage, reason: Reason, detail: str, field: str = "") -> Fault:
        """The fault of an event that could be read."""
        return cls(reason, detail, field, (usage.tenant, usage.source, usage.id))


@dataclass(slots=True, frozen=True)
class Payer:
    """Who pays for an event and by which terms, all by the event's own time."""

    subscriber: Subscriber
    assignment: Assignment
    plan: Plan
    tariff: Tariff

    @property
    def zone(self) -> str:
        """The time zone of the account's billing cycles."""
        return self.assignment.zone or self.plan.zone


@dataclass(slots=True)
class Faulted:
    """An event that gets no decision: parked or dead-lettered. `usage` is there if it could be read."""

    raw: RawEvent
    usage: Usage | None
    fault: Fault


@dataclass(slots=True)
class Rated:
    """A rated event and its wallet entry, on its way to a decision.

    Decided when one of these is set: `decision`; `old_fingerprint`, of an id decided so long ago that only ClickHouse
    remembers it; or `fault`, if it turns out that there is no wallet to ask.
    """

    raw: RawEvent
    usage: Usage
    payer: Payer
    charge: Charge
    #: The counters the charge was rated with, in the order of `charge.uses`.
    assumed: tuple[int, ...]
    entry: Entry
    decision: Decision | None = None
    old_fingerprint: bytes | None = None
    fault: Fault | None = None

    @property
    def is_open(self) -> bool:
        """Whether the event still needs a decision."""
        return self.decision is None and self.old_fingerprint is None and self.fault is None

    @property
    def is_redelivery(self) -> bool:
        """Whether it was decided at this very delivery before; its outputs may be lost, so they are rebuilt."""
        decision = self.decision
        return decision is not None and decision.known and decision.token == self.entry.token != NO_TOKEN


Item = Faulted | Rated


@dataclass(slots=True)
class Work:
    """A batch and its events between two stages, in the order they came."""

    batch: Batch
    items: list[Item]

    def rated(self) -> Iterator[Rated]:
        """The events that were rated."""
        return (item for item in self.items if isinstance(item, Rated))
