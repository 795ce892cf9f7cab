"""What a worker knows of one member of a wallet: its packed state, and the counters in it.

The shard keeps a member as bytes: assignment version, holds, status version, active; then its counters, which only
workers read. A worker rates an event upon the counters it believes in and tells the wallet's call both states, before
and after; the call compares bytes. So a worker that is wrong is told so, and two workers on one SIM are still exact.

    <IBIB   assignment version, holds, status version, active
    <IB     steps of its subscription so far, whether an allowance covers it
    H       how many counters
    q...    their values
    text    their keys, joined by NUL
"""

from __future__ import annotations

import struct
import time
from collections import deque
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Generic, TypeVar

from rater import compiled

_HEAD: Final = struct.Struct("<IBIB")
HEAD_BYTES: Final = _HEAD.size
_TERMS: Final = struct.Struct("<IB")
#: Counters of periods that began before this are dropped: a cycle of 31 days and events 90 days late.
COUNTER_DAYS: Final = 125
_DAY_S: Final = 86_400
_NO_MEMBER: Final = bytes(HEAD_BYTES)
_NO_TERMS: Final = bytes(_TERMS.size)
#: Counters of one member at most; every network of the world in one cycle is fewer. Events under way keep 50 kB then.
COUNTERS_MAX: Final = 1024
#: Pack so many counter values; most members have one to four.
VALUES: Final = [struct.Struct(f"<{count}q").pack for count in range(256)]
_COUNTED_VALUES: Final = [struct.Struct(f"<H{count}q").pack for count in range(COUNTERS_MAX + 1)]
_COUNT: Final = struct.Struct("<H")
_SPLICE: Final = struct.Struct("<II")
_TERMS_END: Final = HEAD_BYTES + _TERMS.size
VALUES_AT: Final = _TERMS_END + _COUNT.size

Event = TypeVar("Event")


def oldest_period(now_ms: int) -> str:
    """The first day that a period may have begun on whose counters are still kept, "YYYY-MM-DD"."""
    return _day(max(0, now_ms // 1000 // _DAY_S - COUNTER_DAYS))


@lru_cache(maxsize=8)
def _day(number: int) -> str:
    """Of a day since 1970, "YYYY-MM-DD"."""
    return time.strftime("%Y-%m-%d", time.gmtime(number * _DAY_S))


@compiled.twin("fields")
class MemberFields:
    """What the hot path reads and writes of a member."""

    __slots__ = (
        "__weakref__", "counters", "is_held", "key", "last", "mark", "pending", "place", "state", "subscription",
        "version",
    )  # fmt: skip

    #: Its key in Redis, its packed state there, and the counters in it.
    key: bytes
    state: bytes
    counters: dict[str, int]
    version: int
    #: Suspended, when it was last heard of.
    is_held: bool
    #: Events that were rated upon the counters and are not decided yet, oldest first; a tuple of none or one.
    pending: deque[Any] | tuple[Any, ...]
    #: Its subscription after `steps` steps, where it has one (rater/pipeline/sims.py looks it up).
    subscription: Any
    #: For `pack_charge`: the call the member is in, its place there, and its last event that counts.
    mark: object
    place: int
    last: int

    def queue(self, event: Any) -> None:
        """An event was rated upon the counters: it waits behind those before it."""
        pending = self.pending
        if isinstance(pending, tuple):
            self.pending = deque((*pending, event)) if pending else (event,)
        else:
            pending.append(event)

    def settle(self, event: Any) -> None:
        """An event is decided: nothing is rated upon it any more but what it left behind."""
        pending = self.pending
        if isinstance(pending, tuple):
            if pending and pending[0] is event:
                self.pending = ()
            return
        if pending[0] is event:
            pending.popleft()
        elif event in pending:
            pending.remove(event)
        if not pending:
            self.pending = ()


class Member(MemberFields, Generic[Event]):
    """One member, as it will be once every event in `pending` is charged."""

    __slots__ = ("_head", "_keys", "_terms", "is_covered", "sessions", "steps")

    def __init__(self, key: bytes, state: bytes = b"") -> None:
        self.key = key
        self.pending = ()
        #: Counters of sessions by key; they live elsewhere, as long as the verdict memory.
        self.sessions: dict[str, int] = {}
        self.mark, self.place, self.last = None, 0, -1
        self.subscription = None
        self.learn(state)

    def learn(self, state: bytes) -> None:
        """Take over what the shard has; "" where it has nothing."""
        self.state = state
        self.version, holds, _, _ = _HEAD.unpack_from(state or _NO_MEMBER)
        self.is_held = holds != 0
        self.counters = counters_of(state)
        self._head = (state or _NO_MEMBER)[:HEAD_BYTES]
        self._terms = state[HEAD_BYTES:_TERMS_END] or _NO_TERMS
        #: How many steps its subscription has had, 0 without one; and whether an allowance covers it.
        self.steps, covered = _TERMS.unpack(self._terms)
        self.is_covered = covered == 1
        if self.subscription is not None and self.subscription.n != self.steps:
            self.subscription = None  # an older one, until it is looked up
        self._keys = state[VALUES_AT + 8 * len(self.counters) :] if self.counters else b""

    @property
    def upon(self) -> bytes:
        """What its events are rated upon: all but what the function decides by itself."""
        return self.state[HEAD_BYTES:]

    def uncover(self) -> None:
        """With the next event its allowances are used up, so that an empty wallet holds it."""
        self.is_covered = False
        self._terms = _TERMS.pack(self.steps, 0)

    def advance(self, keys: Sequence[str], after: Sequence[int], now_ms: int) -> bytes:
        """Count an event: each counter becomes what it is after it. Answers the member's state after it."""
        counters = self.counters
        count = len(counters)
        counters.update(zip(keys, after, strict=True))
        if len(counters) != count:
            counters = self._begin(keys, now_ms)
            count = len(counters)
        self.state = state = self._head + self._terms + _COUNTED_VALUES[count](count, *counters.values()) + self._keys
        return state

    def has_room(self, keys: Sequence[str], now_ms: int) -> bool:
        """Whether these can be counted too, once counters of long closed periods have gone."""
        if len(self.counters) + len(keys) <= COUNTERS_MAX:
            return True
        return len(self._begin(keys, now_ms).keys() | keys) <= COUNTERS_MAX

    def _begin(self, keys: Sequence[str], now_ms: int) -> dict[str, int]:
        """Some counter is new: those of long closed periods go."""
        oldest = oldest_period(now_ms)
        self.counters = {key: value for key, value in self.counters.items() if key >= oldest or key in keys}
        self._keys = "\0".join(self.counters).encode()
        return self.counters


def counters_of(state: bytes) -> dict[str, int]:
    """The counters in a packed member."""
    if len(state) <= _TERMS_END:
        return {}
    (count,) = _COUNT.unpack_from(state, _TERMS_END)
    if not count:
        return {}
    values = struct.unpack_from(f"<{count}q", state, VALUES_AT)
    keys = state[VALUES_AT + 8 * count :].decode().split("\0")
    return dict(zip(keys, values, strict=True))


def pack_upon(steps: int, covered: bool, counters: Mapping[str, int]) -> bytes:
    """What a member's events are rated upon, as `Member.upon` has it."""
    if not counters:
        return _TERMS.pack(steps, covered)
    values = _COUNTED_VALUES[len(counters)](len(counters), *counters.values())
    return _TERMS.pack(steps, covered) + values + "\0".join(counters).encode()


def splice_of(before: bytes, after: bytes) -> bytes:
    """What an event changed of a member, for the call that decides: mostly one counter among many.

    <II: how many bytes stay at the beginning and at the end, the member's head not counted; then what stands between.
    """
    before, after = before[HEAD_BYTES:], after[HEAD_BYTES:]
    size = min(len(before), len(after))
    head = size - _bytes_of(int.from_bytes(before[:size], "big") ^ int.from_bytes(after[:size], "big"))
    size -= head
    ends = before[len(before) - size :], after[len(after) - size :]
    tail = size - _bytes_of(int.from_bytes(ends[0], "little") ^ int.from_bytes(ends[1], "little"))
    return _SPLICE.pack(head, tail) + after[head : len(after) - tail]


def _bytes_of(number: int) -> int:
    return (number.bit_length() + 7) // 8


def head_of(state: bytes) -> tuple[int, int, int, int]:
    """Assignment version, holds, status version and active of a packed member."""
    return _HEAD.unpack_from(state)
