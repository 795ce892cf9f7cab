"""Who a SIM is, and which wallet and plan are its at a time."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schemas.usage import Usage

#: Identifiers a usage event may name its subscriber by, in the order they are believed.
IDENTIFIERS = ("subscriber", "iccid", "imsi", "msisdn")
#: (tenant, kind of identifier, identifier)
Key = tuple[str, str, str]


class Assignment(msgspec.Struct, frozen=True):
    """From when on a wallet pays and a plan applies. `zone` overrides the plan's zone for billing cycles."""

    from_ms: int
    wallet: str
    account: str
    plan: str
    currency: str
    zone: str = ""


class Subscriber(msgspec.Struct, frozen=True):
    """A subscriber and its assignments, oldest first."""

    tenant: str
    id: str
    version: int
    assignments: tuple[Assignment, ...]
    iccid: str = ""
    imsi: str = ""
    msisdn: str = ""
    #: A move that was begun and is not finished yet.
    moving: Assignment | None = None

    def assignment_at(self, at_ms: int) -> Assignment | None:
        """The assignment in force at a time, None before the first."""
        return _in_force(self.assignments, at_ms)

    def next_from_ms(self, at_ms: int) -> int | None:
        """When the next assignment after a time begins, None if none does."""
        return min((one.from_ms for one in self.assignments if one.from_ms > at_ms), default=None)

    def assignment_as_of(self, version: int, at_ms: int) -> Assignment | None:
        """The same as it was at an earlier version: each version since then added one at the end."""
        return _in_force(self.assignments[: len(self.assignments) - (self.version - version)], at_ms)


def _in_force(assignments: Sequence[Assignment], at_ms: int) -> Assignment | None:
    return next((one for one in reversed(assignments) if one.from_ms <= at_ms), None)


def lookup_key(usage: Usage) -> Key:
    """By which name an event gives its subscriber: (tenant, kind of identifier, identifier)."""
    for kind in IDENTIFIERS:
        value = getattr(usage, kind)
        if value:
            return usage.tenant, kind, value
    return usage.tenant, "subscriber", ""
