"""What goes into the wallet's calls and what comes out: usage and commands in, decisions or stale answers out."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from schemas.fates import Fate, Reason


class Kind(IntEnum):
    """How a command touches a wallet, and so how far it may go."""

    #: Opens the wallet (currency, floor, first balance); the same again is a no-op with the same verdict.
    CREATE = 1
    #: Top-up, refund, receiving leg: adds, up to the int64 limit (`balance_limit`).
    CREDIT = 2
    #: Fee, purchase, sending leg: all of it or nothing (`insufficient_balance`).
    DEBIT = 3
    #: Reversal, chargeback: forced, may go below the floor.
    FORCE = 4
    #: Puts a hold on (or takes it off) the wallet, or one subscriber if the entry names one.
    HOLD = 5
    RELEASE = 6
    #: Moves the floor (a credit limit is a negative floor).
    FLOOR = 7
    #: A subscriber becomes (or stops being) a member of the wallet, at an assignment version.
    JOIN = 8
    LEAVE = 9
    #: Changes nothing: its `news` goes out once, in order with the wallet's.
    NOTE = 10
    #: A step of a subscriber's subscription: its fee (or what is given back) and its new state, all or nothing.
    PLAN = 11
    #: The wallet is low from so much available down; a note "none" takes the threshold away.
    THRESHOLD = 12


#: The holds a wallet or subscriber can have, as bits. `parent` is set on members of a held wallet.
HOLDS = {"balance": 1, "expired": 2, "payment": 4, "operator": 8, "fraud": 16, "parent": 32}


def hold_names(bits: int) -> tuple[str, ...]:
    """The names of the set bits, in the order of `HOLDS`."""
    return tuple(name for name, bit in HOLDS.items() if bits & bit)


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What becomes of a subscriber by a step of its subscription."""

    #: What its events are rated upon from then on, see `Member.upon`.
    upon: bytes
    #: Its subscription.
    document: bytes
    #: The holds `expired` and `payment` as they then are ("payment"), and the reason a crossing is said to have.
    hold: str
    reason: str
    #: When the next step is due by time; None: never.
    due_ms: int | None
    #: Whether it waits for money: a refill makes it due at once.
    waits: bool = False
    #: Where the wallet's floor goes; None: it stays.
    floor_nanos: int | None = None
    news: tuple[bytes, ...] = ()
    #: Whether it has shared allowances, so that it is the wallet's pool.
    pools: bool = False
    #: Whether these have something left, so that an empty wallet stops nobody.
    shares: bool = False


class Steps(msgspec.Struct, frozen=True, gc=False):
    """The two ways a step can go. Without `unpaid` a fee that cannot be paid refuses all of it."""

    #: The member as it was worked out upon; another in the shard makes the entry stale.
    before: bytes
    paid: Outcome
    unpaid: Outcome | None = None


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One command on one wallet."""

    kind: Kind
    tenant: str
    wallet: str
    #: Identity digest and fingerprint of the content (see rater.identity).
    identity: bytes
    fingerprint: bytes
    #: "source/id" in clear, for the lifecycle event or journal line this entry may cause.
    cause: str
    currency: str = ""
    amount_nanos: int = 0
    subscriber: str = ""
    #: JOIN, LEAVE: the assignment version.
    subscriber_version: int = 0
    #: HOLD, RELEASE: which one. JOIN: the subscriber's own holds it brings along ("operator,fraud").
    hold: str = ""
    #: CREATE: where the floor is.
    floor_nanos: int = 0
    #: For the journal.
    note: str = ""
    #: Goes to the outbox in the same call if the entry is carried out (`rater.wallet.news` packs it).
    news: tuple[bytes, ...] = ()
    #: PLAN: what is to come about; `amount_nanos` is negative where money is given back.
    steps: Steps | None = None


class Decision(msgspec.Struct, frozen=True, gc=False):
    """A verdict. `known` is False when this call made it, True when the id had it already.

    For a known one the caller compares `fingerprint` (another: `id_conflict`) and `token` (same: redelivery, rebuild
    the outputs; another: duplicate). Everything a record needs that is not in the event or the catalogue is here.
    """

    known: bool
    fate: Fate
    reason: Reason
    wallet: str
    epoch: int
    n: int
    charged_nanos: int
    balance_before_nanos: int
    #: When it was decided, by intake's clock.
    decided_ms: int
    fingerprint: bytes
    token: bytes
    catalogue: bytes
    #: The counters before this entry, in the order in which the charge used them.
    counters: tuple[int, ...] = ()
    #: The assignment version it was decided under.
    subscriber_version: int = 0
    #: The member's state that came with the call is not what the shard has, though it did not matter for this event.
    outdated: bool = False
    #: The plan and what its allowances gave (rater/pipeline/cover.py); empty without such a plan.
    cover: bytes = b""


class Stale(msgspec.Struct, frozen=True, gc=False):
    """An assumption no longer holds; nothing was changed by this entry nor by later ones of its wallet in the call.

    `why`: "assignment" (resolve the subscriber again; the shard has `subscriber_version`, 0 if it is no member),
    "counters" (rate again from `state` and `sessions`, as they stand), "no_wallet" or "currency" (nothing waits behind
    such usage), "behind" (an earlier entry of the same wallet in this call was stale; `state` as above), "memory" (ids
    were dropped here that the caller believes remembered: look elsewhere again, `WalletStore.slow_lane_before_ms` is
    up to date) or "epoch".
    """

    why: str
    subscriber_version: int = 0
    #: The member as the shard has it.
    state: bytes | None = None
    #: Values of the event's session counters, in its order.
    sessions: tuple[int, ...] = ()
    dropped_before_ms: int = 0
    #: The subscriber that is the wallet's pool, and its member.
    pool: str = ""
    pool_state: bytes | None = None


Answer = Decision | Stale
