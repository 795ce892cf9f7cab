"""The counters an event moves: its member's, its pool's, its session's; and those that must not have moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rater.pipeline.batch import Rated
from rater.pipeline.live import POOL, USED
from rater.rating.charge import Charge
from rater.subscriber import Subscriber
from rater.wallet.debit import SessionUse
from rater.wallet.member import Member
from schemas.fates import Reason

#: Doubles count exactly up to here, and so does whoever reads a counter with them; usage that would pass it is refused.
COUNTER_MAX: Final = 2**53 - 1
SESSION: Final = "session:"
#: Session counters remembered of one SIM; past this all are learnt again from the shard, once none is waited upon.
SESSIONS_MAX: Final = 64
_NONE: Final[Mapping[str, int]] = {}


def advance(
    rated: Rated, keys: Sequence[str], after: Sequence[int], now_ms: int, shared: Mapping[str, int] = _NONE
) -> None:
    """Count it: its own counters, and of the pool's those in `shared`."""
    member, pool = rated.member, rated.pool
    if rated.is_repeat or member.is_held:
        # It will hardly be charged, so it moves no counters: what comes after it is rated upon the right ones.
        rated.uncounted = True
        return
    for value in (*after, *shared.values()) if shared else after:
        if value > COUNTER_MAX:
            rated.refuse, rated.amount_nanos = Reason.AMOUNT_LIMIT, 0
            return
    if not member.has_room(keys, now_ms):
        rated.refuse, rated.amount_nanos = Reason.AMOUNT_LIMIT, 0
        return
    if pool is member:  # the pool's own usage: one member, not two
        keys, after = [*keys, *shared], [*after, *shared.values()]
        _move_pool(rated, member, _counted(rated, member, keys, after, now_ms))
    else:
        if keys:
            rated.after = _counted(rated, member, keys, after, now_ms)
        if pool is not None and shared:
            _move_pool(rated, pool, _counted(rated, pool, [*shared], [*shared.values()], now_ms))
    rated.counts = True


def advance_in_full(rated: Rated, charge: Charge, taken: Mapping[str, int], now_ms: int) -> None:
    """Count what a charge uses, its session's counters too, and what it takes of balances."""
    sessions = rated.member.sessions
    if len(sessions) > SESSIONS_MAX and not rated.member.pending:
        sessions.clear()
    after = {use.key: before + use.add for use, before in zip(charge.uses, rated.counters, strict=True)}
    own = {key: value for key, value in after.items() if not key.startswith(SESSION)}
    is_all = len(own) == len(after)
    mine, shared = _taken(rated, taken)
    own.update(mine)
    if own or shared:
        advance(rated, list(own), list(own.values()), now_ms, shared)
    else:
        rated.uncounted = rated.is_repeat or rated.member.is_held
    if is_all or rated.uncounted or rated.refuse:
        return
    rated.counts = True
    prefix = session_prefix(rated.payer.subscriber)
    rated.sessions = tuple(
        SessionUse(prefix + use.key, before, before + use.add)
        for use, before in zip(charge.uses, rated.counters, strict=True)
        if use.key.startswith(SESSION)
    )
    sessions |= {key: value for key, value in after.items() if key.startswith(SESSION)}


def depend(rated: Rated) -> None:
    """What has nothing left for a usage must still have nothing when that is decided, so it is rated upon it too.

    Else one that seemed to use an allowance up and then did not count, as a repeat, would let the next one pay.
    """
    member, pool = rated.member, rated.pool
    if rated.uncounted or rated.refuse:
        return
    after = member.state if pool is not member and not rated.after and _has_for(rated, member, shared=False) else b""
    theirs = pool.state if pool is not None and not rated.pool_after else b""
    if pool is None or not _has_for(rated, pool, shared=pool is not member):
        theirs = b""
    if not after and not theirs:
        return
    if rated.is_repeat or member.is_held:
        rated.uncounted = True
        return
    rated.after = rated.after or after
    if theirs and pool is not None:
        _move_pool(rated, pool, theirs)
    rated.counts = True


def known(member: Member[Any]) -> Mapping[str, int]:
    """All counters of a member, those of its sessions included."""
    return {**member.counters, **member.sessions} if member.sessions else member.counters


def session_prefix(subscriber: Subscriber) -> str:
    """How the names of a SIM's session counters begin in Redis; its id may have slashes."""
    return f"{subscriber.tenant}/{subscriber.id}/"


def _counted(rated: Rated, member: Member[Any], keys: Sequence[str], after: Sequence[int], now_ms: int) -> bytes:
    """The state of a member after the event; with the last of its allowances it is not covered any more."""
    if rated.allowed and member.is_covered:
        taken = {**member.counters, **dict(zip(keys, after, strict=True))}
        if not member.subscription.covers(taken, rated.start_ms):
            member.uncover()
    return member.advance(keys, after, now_ms)


def _move_pool(rated: Rated, pool: Member[Any], after: bytes) -> None:
    """The pool as it is after the event, and whether it has something left for others than its own line."""
    rated.pool_after = after
    rated.shares = pool.is_covered and pool.subscription.shares(pool.counters, rated.start_ms)


def _has_for(rated: Rated, line: Member[Any], *, shared: bool) -> bool:
    """Whether a member has had something for a usage at its time, left or not."""
    live = line.subscription
    found = live.candidates(rated.payer.book.use(rated.shape), shared=shared) if live is not None else ()
    return any(one.balance.from_ms <= rated.until_ms and rated.start_ms < one.balance.until_ms for one in found)


def _taken(rated: Rated, taken: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """The counters of grants after the event, by what it takes of them: the subscriber's own, and the pool's."""
    own, shared = rated.member.counters, rated.pool.counters if rated.pool is not None else {}
    mine: dict[str, int] = {}
    theirs: dict[str, int] = {}
    for name, parts in taken.items():
        key = USED + name.removeprefix(POOL)
        if name.startswith(POOL):
            theirs[key] = shared.get(key, 0) + parts
        else:
            mine[key] = own.get(key, 0) + parts
    return mine, theirs
