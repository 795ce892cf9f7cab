"""A phone number of the inventory, and who has it."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

Capability = Literal["voice", "sms", "mms"]
CAPABILITIES: tuple[Capability, ...] = get_args(Capability)
#: `resting`: given up not long ago, so that only who had it can have it again. `withdrawn`: out of the inventory.
State = Literal["available", "taken", "resting", "withdrawn"]


class Holder(msgspec.Struct, frozen=True, omit_defaults=True):
    """The subscription that a number is claimed for, by an order."""

    wallet: str
    sim: str
    #: The order's id in the subscription, and the id of its step.
    order: str
    request: str
    since_ms: int
    quarantine_days: int = 0
    #: An order that waits for its payment holds the number until then.
    until_ms: int = 0


class PhoneNumber(msgspec.Struct, frozen=True, omit_defaults=True):
    """A number, E.164. Each change raises its version, so that none is taken for one of before."""

    tenant: str
    number: str
    #: ISO 3166-1 alpha-2.
    country: str
    capabilities: tuple[Capability, ...]
    #: The add-on by which plans sell it.
    addon: str
    version: int = 1
    holder: Holder | None = None
    #: Who had it last, and until when it rests.
    last_sim: str = ""
    free_from_ms: int = 0
    withdrawn: bool = False

    def state(self, now_ms: int) -> State:
        """How it stands."""
        if self.withdrawn:
            return "withdrawn"
        if self.holder is not None:
            return "taken"
        return "resting" if now_ms < self.free_from_ms else "available"

    def lacks(self, capabilities: frozenset[Capability]) -> list[Capability]:
        """What is asked for and it cannot do."""
        return [one for one in CAPABILITIES if one in capabilities and one not in self.capabilities]
