"""Usage on its way into a wallet's call: one event's charge, where its wallet stands, and what comes back for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from rater import compiled
from rater.wallet.entry import Decision, Stale
from rater.wallet.member import Member
from schemas.fates import Fate, Reason


@compiled.twin("fields")
class WalletFields:
    """What the hot path reads of a wallet's place."""

    __slots__ = ("key", "name", "shard", "tail", "tenant")

    tenant: str
    name: str
    shard: int
    #: In Redis.
    key: bytes
    #: Its name as verdicts carry it.
    tail: bytes


class WalletRef(WalletFields):
    """Where a wallet stands: its shard, its key there, and its name as verdicts carry it."""

    __slots__ = ()

    def __init__(self, tenant: str, name: str, shard: int, key: bytes) -> None:
        self.tenant = tenant
        self.name = name
        self.shard = shard
        self.key = key
        encoded = name.encode()[:255]  # a longer one is no wallet's
        self.tail = bytes([len(encoded)]) + encoded


class SessionUse(msgspec.Struct, frozen=True, gc=False):
    """A counter of a session: its field in Redis, and what it was and is once the event is charged."""

    field: str
    before: int
    after: int


@compiled.twin("fields")
class Head(msgspec.Struct, frozen=True, gc=False):
    """What events of a wallet that were charged at once have in common: number and balance before the first."""

    epoch: int
    n: int
    decided_ms: int
    balance_nanos: int


class InterpretedDebit(msgspec.Struct, gc=False, eq=False):
    """One event's charge to one wallet. Exactly one of `head` and `answer` is set once the call has come back."""

    wallet: WalletRef
    member: Member[Any]
    #: Identity digest of (tenant, source, id), see rater.identity.
    identity: bytes
    #: Fingerprint (8 bytes), delivery token (12) and catalogue (4), kept in the verdict.
    marks: bytes
    #: "source/id" in clear, for a lifecycle event this may cause.
    cause: str
    currency: str
    amount_nanos: int
    #: The assignment version the subscriber was resolved with; another one in the shard makes the entry stale.
    version: int
    #: The member as the event was rated upon, and as it is after it (empty: not changed).
    before: bytes = b""
    after: bytes = b""
    #: Values before, of the counters it was rated with.
    counters: tuple[int, ...] = ()
    sessions: tuple[SessionUse, ...] = ()
    #: Decided already by tariff or plan: remember this refusal, debit nothing (region_blocked, amount_limit).
    refuse: Reason = Reason.NONE
    #: Emergency numbers and the like: also for a held subscriber.
    free: bool = False
    #: Rated without counting: only a decision that moves no counters may be made (a repeat, a refusal).
    uncounted: bool = False
    #: The plan and what its allowances give, as the verdict keeps it (rater/pipeline/cover.py); empty without one.
    cover: bytes = b""
    #: Whether an allowance gives something.
    allowed: bool = False
    #: The member whose shared allowances are for all of the wallet, as the event was rated upon it and as it is after.
    pool: Member[Any] | None = None
    pool_before: bytes = b""
    pool_after: bytes = b""
    #: Whether the pool still has something left for all.
    shares: bool = False
    #: Charged at once with others of its wallet, as told by `place` and `ahead_nanos`, what was charged between.
    head: Head | None = None
    place: int = 0
    ahead_nanos: int = 0
    answer: Decision | Stale | None = None

    @property
    def fingerprint(self) -> bytes:
        """Digest of the content."""
        return self.marks[:8]

    @property
    def token(self) -> bytes:
        """The delivery token."""
        return self.marks[8:20]

    @property
    def decision(self) -> Decision | None:
        """What was decided, in full; None while it is not."""
        if self.head is None:
            return self.answer if isinstance(self.answer, Decision) else None
        return decided_at_once(self, self.head)


def decided_at_once(event: Debit, head: Head) -> Decision:
    """The decision on an event that was charged at once with others of its wallet."""
    return Decision(
        known=False,
        fate=Fate.RATED,
        reason=Reason.NONE,
        wallet=event.wallet.name,
        epoch=head.epoch,
        n=head.n + event.place,
        charged_nanos=event.amount_nanos,
        balance_before_nanos=head.balance_nanos - event.ahead_nanos,
        decided_ms=head.decided_ms,
        fingerprint=event.fingerprint,
        token=event.token,
        catalogue=event.marks[20:],
        counters=event.counters,
        subscriber_version=event.version,
        cover=event.cover,
    )


if TYPE_CHECKING or not compiled.IS_ON:
    Debit = InterpretedDebit
else:
    from rater.compiled.event import Debit as Debit
