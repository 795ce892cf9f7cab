"""A subscription as usage meets it: whether a step must come first, and what its allowances have left.

The terms of a grant stand in a version of the catalogue and do not change, so they are looked up once. How much of it
is used is a counter of the member ("~" and the grant's id), which events move like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from rater.catalogue import Catalogue
from rater.plans.allowances import NEVER_MS, Balance
from rater.plans.credits import Use, cost_parts
from rater.plans.life import Subscription, View, balances, needs_step, plan_at, read_subscription
from rater.wallet.member import Member

#: Before the keys of counters that say how much of a grant is used. It sorts behind digits: these never age.
USED: Final = "~"
#: Before the ids of a pool's balances, where they are used with those of a subscriber.
POOL: Final = "pool:"


class Candidate(NamedTuple):
    """A balance that is for a usage: where its use is counted, and what a base unit costs of it."""

    order: tuple[int, int, bool, str]
    key: str
    balance: Balance
    cost: int
    shared: bool


def whole(
    candidates: Sequence[Candidate], own: Mapping[str, int], pool: Mapping[str, int], quantity: int, start_ms: int,
    until_ms: int,
) -> tuple[Candidate, int, int] | None:  # fmt: skip
    """The one balance that pays for all of a usage, as `consume` has it: it, what is used of it then, and left.

    None where a balance begins or ends within the usage, or the first that has something left does not reach.
    """
    for _, _, balance, _, _ in candidates:
        if start_ms < balance.from_ms < until_ms or start_ms < balance.until_ms < until_ms:
            return None
    for found in candidates:
        _, key, balance, cost, shared = found
        if balance.from_ms <= start_ms < balance.until_ms:
            used = (pool if shared else own).get(key, 0)
            left = balance.left_parts - used - quantity * cost
            if left >= 0:
                return found, used + quantity * cost, left
            if balance.left_parts > used:
                return None
    return None


class Live:
    """The subscription of a member, after `n` steps."""

    __slots__ = ("_for", "_full", "_granted_ms", "_keys", "_shared", "due_ms", "is_used", "n", "subscription")

    def __init__(self, subscription: Subscription, catalogue: Catalogue) -> None:
        self.subscription = subscription
        self.n = subscription.n
        #: When the next step is due by time, and whether none comes with usage alone.
        self.due_ms = NEVER_MS if subscription.due_ms is None else subscription.due_ms
        self.is_used = subscription.first_usage_ms is not None
        self._full = balances(subscription, view_of(catalogue, {}, 0))
        self._keys = [USED + balance.id for balance in self._full]
        self._for: dict[tuple[Use, bool], tuple[Candidate, ...]] = {}
        #: What others of the wallet may use, under ids that are not those of their own.
        self._shared = [
            (msgspec.structs.replace(balance, id=POOL + balance.id), key)
            for balance, key in zip(self._full, self._keys, strict=True)
            if balance.allowance.shared
        ]
        self._granted_ms = max((balance.from_ms for balance in self._full), default=0)

    def awaits_step(self, at_ms: int, last_ms: int, *, is_refused: bool = False) -> bool:
        """Whether usage that starts at a time must wait for a step, up to its last moment; refused, it begins none."""
        return self.due_ms <= max(at_ms, last_ms) or (not is_refused and needs_step(self.subscription, at_ms))

    def plan_at(self, at_ms: int) -> str:
        """The plan that usage at a time falls under."""
        return plan_at(self.subscription, at_ms)

    def left(self, counters: Mapping[str, int]) -> list[Balance]:
        """The balances, each with what is left of it."""
        return [_left(balance, key, counters) for balance, key in zip(self._full, self._keys, strict=True)]

    def shared(self, counters: Mapping[str, int]) -> list[Balance]:
        """Those that are for all of the wallet."""
        return [_left(balance, key, counters) for balance, key in self._shared]

    def candidates(self, use: Use, *, shared: bool = False) -> tuple[Candidate, ...]:
        """The balances that are for a usage, in their order."""
        found = self._for.get((use, shared))
        if found is None:
            chosen = self._shared if shared else zip(self._full, self._keys, strict=True)
            costs = [(balance, key, cost_parts(balance.allowance, use)) for balance, key in chosen]
            found = tuple(sorted(
                Candidate(balance.order, key, balance, cost, shared) for balance, key, cost in costs if cost is not None
            ))  # fmt: skip
            self._for[use, shared] = found
        return found

    def covers(self, counters: Mapping[str, int], at_ms: int) -> bool:
        """Whether an allowance has something left at a time; late usage asks for the time of the last grant."""
        own = self.left(counters)
        at_ms = max([at_ms, *(balance.from_ms for balance in own)])
        return any(balance.left_parts > 0 and balance.until_ms > at_ms for balance in own)

    def shares(self, counters: Mapping[str, int], at_ms: int) -> bool:
        """The same of what is for all of the wallet."""
        at_ms = max(at_ms, self._granted_ms)
        return any(one.left_parts > counters.get(key, 0) and one.until_ms > at_ms for one, key in self._shared)


def _left(balance: Balance, key: str, counters: Mapping[str, int]) -> Balance:
    return msgspec.structs.replace(balance, left_parts=balance.left_parts - counters.get(key, 0))


def used_of(counters: Mapping[str, int]) -> dict[str, int]:
    """How much is used of each grant, by its id."""
    return {key.removeprefix(USED): used for key, used in counters.items() if key.startswith(USED)}


def view_of(
    catalogue: Catalogue, counters: Mapping[str, int], available_nanos: int, *, is_held: bool = False
) -> View:  # fmt: skip
    """What a step is worked out upon."""
    return View(catalogue.plan, catalogue.version, used_of(counters), available_nanos, catalogue.plan_until_ms, is_held)


def live_of(member: Member[object], document: bytes | None, catalogue: Catalogue) -> Live | None:
    """The subscription of a member from its document; one that is newer than the member is told so by the wallet."""
    return None if document is None or not member.steps else Live(read_subscription(document), catalogue)
