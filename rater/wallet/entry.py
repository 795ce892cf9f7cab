"""What goes into the wallet's one call and what comes out: entries in, decisions or stale answers out."""

from enum import IntEnum

import msgspec

from rater.rating.charge import CounterUse
from schemas.fates import Fate, Reason


class Kind(IntEnum):
    """How an entry touches a wallet, and so how far it may go."""

    #: Covered as far as the balance reaches; the rest is recorded as uncovered.
    USAGE = 0
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


#: The holds a wallet or subscriber can have, as bits. `parent` is set on members of a held wallet.
HOLDS = {"balance": 1, "expired": 2, "payment": 4, "operator": 8, "fraud": 16, "parent": 32}


def hold_names(bits: int) -> tuple[str, ...]:
    """The names of the set bits, in the order of `HOLDS`."""
    return tuple(name for name, bit in HOLDS.items() if bits & bit)


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One change asked of one wallet. Only USAGE uses `subscriber_version`, `uses`, `free`, `refuse`, `token`."""

    kind: Kind
    tenant: str
    wallet: str
    #: Identity digest, fingerprint of the content, delivery token (see rater.identity).
    identity: bytes
    fingerprint: bytes
    #: "source/id" in clear, for the lifecycle event or journal line this entry may cause.
    cause: str
    token: bytes = bytes(12)
    currency: str = ""
    amount_nanos: int = 0
    subscriber: str = ""
    #: The assignment version the subscriber was resolved with; another one in the shard makes the entry stale.
    subscriber_version: int = 0
    uses: tuple[CounterUse, ...] = ()
    #: Decided already by the tariff: remember this refusal, debit nothing (region_blocked, amount_limit).
    refuse: Reason = Reason.NONE
    #: Emergency numbers and the like: also for a held subscriber.
    free: bool = False
    #: HOLD, RELEASE: which one. JOIN: the subscriber's own holds it brings along ("operator,fraud").
    hold: str = ""
    #: CREATE: where the floor is.
    floor_nanos: int = 0
    #: For the journal.
    note: str = ""
    #: First four bytes of the catalogue's digest: what rated it, to rate it again the same way.
    catalogue: bytes = b"\0\0\0\0"


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
    #: The counters before this entry, in the order of `Entry.uses`.
    counters: tuple[int, ...] = ()
    #: The assignment version it was decided under.
    subscriber_version: int = 0


class Stale(msgspec.Struct, frozen=True, gc=False):
    """An assumption no longer holds; nothing was changed by this entry nor by later ones of its wallet in the call.

    `why`: "assignment" (resolve the subscriber again; the shard has `subscriber_version`, 0 if it is no member),
    "counters" (rate again from `counters`, present values of `Entry.uses`), "no_wallet" or "currency" (nothing waits
    behind such usage), "behind" (an earlier entry of the same wallet in this call was stale; `counters` as above),
    "memory" (ids were dropped here that the caller believes remembered: look elsewhere again,
    `WalletStore.slow_lane_before_ms` is up to date) or "epoch".
    """

    why: str
    subscriber_version: int = 0
    counters: tuple[int, ...] = ()


Answer = Decision | Stale
