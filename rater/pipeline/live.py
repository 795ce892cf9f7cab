"""A subscription as usage meets it: whether a step must come first, and what its allowances have left.

The terms of a grant stand in a version of the catalogue and do not change, so they are looked up once. How much of it
is used is a counter of the member ("~" and the grant's id), which events move like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from rater.catalogue import Catalogue
from rater.plans.allowances import Balance, Consumed, Part, consume
from rater.plans.life import Subscription, View, balances, needs_step, plan_at
from rater.wallet.member import Member

#: Before the keys of counters that say how much of a grant is used. It sorts behind digits: these never age.
USED: Final = "~"

read_subscription = msgspec.json.Decoder(Subscription).decode
pack_subscription = msgspec.json.Encoder().encode


class Live:
    """The subscription of a member, after `n` steps."""

    __slots__ = ("_full", "_keys", "n", "subscription")

    def __init__(self, subscription: Subscription, catalogue: Catalogue) -> None:
        self.subscription = subscription
        self.n = subscription.n
        self._full = balances(subscription, view_of(catalogue, {}, 0))
        self._keys = [USED + balance.id for balance in self._full]

    def awaits_step(self, at_ms: int) -> bool:
        """Whether usage at a time must wait for a step."""
        return needs_step(self.subscription, at_ms)

    def plan_at(self, at_ms: int) -> str:
        """The plan that usage at a time falls under."""
        return plan_at(self.subscription, at_ms)

    def left(self, counters: Mapping[str, int]) -> list[Balance]:
        """The balances, each with what is left of it."""
        return [
            msgspec.structs.replace(balance, left_parts=balance.left_parts - counters.get(key, 0))
            for balance, key in zip(self._full, self._keys, strict=True)
        ]

    def consume(self, counters: Mapping[str, int], part: Part) -> Consumed:
        """What the allowances give of a usage."""
        return consume([balance for balance in self.left(counters) if not balance.allowance.shared], part)

    def covers(self, counters: Mapping[str, int], at_ms: int) -> bool:
        """Whether an allowance has something left at a time; late usage asks for the time of the last grant."""
        own = [balance for balance in self.left(counters) if not balance.allowance.shared]
        at_ms = max([at_ms, *(balance.from_ms for balance in own)])
        return any(balance.left_parts > 0 and balance.until_ms > at_ms for balance in own)


def used_of(counters: Mapping[str, int]) -> dict[str, int]:
    """How much is used of each grant, by its id."""
    return {key.removeprefix(USED): used for key, used in counters.items() if key.startswith(USED)}


def view_of(catalogue: Catalogue, counters: Mapping[str, int], available_nanos: int) -> View:
    """What a step is worked out upon."""
    return View(catalogue.plan, catalogue.version, used_of(counters), available_nanos, catalogue.plan_until_ms)


def live_of(member: Member[object], document: bytes | None, catalogue: Catalogue) -> Live | None:
    """The subscription of a member from its document; one that is newer than the member is told so by the wallet."""
    return None if document is None or not member.steps else Live(read_subscription(document), catalogue)
