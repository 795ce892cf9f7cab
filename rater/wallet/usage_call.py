"""The request of `charge`: the usage of one batch in one shard, packed as the wallet function reads it.

In columns, since a few long arrays are read much faster in Lua than many short ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgpack

from rater import compiled
from rater.money import NANOS
from rater.wallet.debit import Debit
from rater.wallet.member import HEAD_BYTES, VALUES, splice_of
from rater.wallet.verdict import pack_cover, pack_told

_FREE: Final = 256
_UNCOUNTED: Final = 512
_ALLOWED: Final = 1024
_SHARES: Final = 2048
#: Where a member's state says how many steps its subscription has had.
_STEPS: Final = slice(HEAD_BYTES, HEAD_BYTES + 4)
#: What may be charged ahead of an event within one call and still be told in an int64.
_AHEAD_MAX: Final = 2**63 - 1


@compiled.twin("call")
def pack_charge(groups: Sequence[list[Debit]], now_ms: int, epoch: int, dropped_before_ms: int) -> bytes:
    """The usage of one batch in one shard, a list for each wallet, as columns."""
    wallets: tuple[list[Any], ...] = ([], [], [], [], [], [], [])
    pools: list[Any] = []
    members: tuple[list[Any], ...] = ([], [], [])
    events: tuple[list[Any], ...] = ([], [], [], [], [], [], [])
    call = object()
    for group in groups:
        count = len(members[0])
        is_plain, total = _pack_group(group, call, members, events)
        pool: Any = 0
        if group[0].pool is not None or any(event.pool is not None for event in group):
            pool, follows = _pack_pool(group, events[4])
            is_plain = is_plain and follows
        pools.append(pool)
        units, nanos = divmod(total, NANOS)
        currency: Any = group[0].currency
        if len(group) > 1 and len({event.currency for event in group}) > 1:
            currency = [event.currency for event in group]
        row = (group[0].wallet.key, currency, len(group), len(members[0]) - count, units, nanos, int(is_plain))
        for column, value in zip(wallets, row, strict=True):
            column.append(value)
    packed: bytes = msgpack.packb(
        (now_ms, epoch, dropped_before_ms, *wallets, *members, *events, pools), use_bin_type=False
    )
    return packed


def _pack_group(
    group: list[Debit], call: object, members: tuple[list[Any], ...], events: tuple[list[Any], ...]
) -> tuple[bool, int]:
    """One wallet's events; answers whether they may be charged at once, and what they cost together."""
    keys, befores, afters = members
    identities, told, member_of, after, flags, causes, sessions = events
    is_plain, ahead, tail, start = True, 0, group[0].wallet.tail, len(after)
    for place, event in enumerate(group):
        member = event.member
        if member.mark is not call:
            member.mark, member.place, member.last = call, len(keys), -1
            keys.append(member.key)
            befores.append(event.before)
            afters.append(b"")
        after_it, flag = event.after, 0
        # What is refused may be so because of the counters; if it is not, it does not matter what it was rated upon.
        by_counters = (event.counters or event.refuse) and event.pool is not event.member
        upon = afters[member.place] or befores[member.place]
        if event.before != upon and (event.after or by_counters or event.before[_STEPS] != upon[_STEPS]):
            # It was rated upon an event that is not in this call, so the states told do not follow from each other; or
            # before a step that those beside it know of.
            after_it, flag, is_plain = b"", _UNCOUNTED, False
        if after_it:
            if member.last >= 0:
                last = group[member.last - start]
                after[member.last] = splice_of(last.before, last.after)
            afters[member.place], member.last = after_it, len(after)
            after.append(1)
        else:
            after.append(b"")
        amount = event.amount_nanos
        event.place, event.ahead_nanos = place, ahead
        identities.append(event.identity)
        told.append(_told(event, tail))
        member_of.append(member.place + 1)
        causes.append(event.cause)
        ahead += amount
        if event.refuse or event.free or event.uncounted or event.sessions or event.allowed:
            # Free usage, and what allowances pay, only matter where somebody is held: then nothing is charged at once.
            is_plain = is_plain and not (event.refuse or event.uncounted or event.sessions)
            flag = flag or _UNCOUNTED * event.uncounted
            flags.append(event.refuse + _FREE * event.free + flag + _ALLOWED * event.allowed)
            sessions.append([(use.field, str(use.before), str(use.after)) for use in event.sessions] or 0)
        else:
            flags.append(flag)
            sessions.append(0)
        if event.version != member.version:
            is_plain = False
    return is_plain and ahead <= _AHEAD_MAX, ahead


def _told(event: Debit, tail: bytes) -> bytes:
    """The caller's part of an event's verdict; `tail` is the wallet's name."""
    ahead, counters, cover = event.ahead_nanos, event.counters, event.cover
    units, nanos = divmod(event.amount_nanos, NANOS)
    charged = units & 0xFFFFFFFF, units >> 32, nanos
    head = pack_told(event.place, ahead if ahead <= _AHEAD_MAX else 0, *charged, event.version)
    packed = head + event.marks + tail + (VALUES[len(counters)](*counters) if counters else b"")
    return packed + pack_cover(cover) if cover else packed


def _pack_pool(group: list[Debit], flags: list[int]) -> tuple[tuple[bytes, bytes, bytes, list[Any], bool], bool]:
    """The pool of one wallet: key, state before and after, what each event made of it (as with members), its shares.

    Answers too whether all events were rated upon it, each upon the one before; else they are decided one by one. One
    that was rated upon anything else (no pool, events that are not in this call) is marked: it is to be rated again.
    """
    pool = next(event.pool for event in group if event.pool is not None)
    before = next(event.pool_before for event in group if event.pool is not None)
    after, last, follows, shares = b"", -1, True, False
    afters: list[Any] = []
    for place, event in enumerate(group):
        afters.append(b"")
        if event.pool is not pool or event.pool_before != (after or before):
            follows = False
            flags[place - len(group)] |= _UNCOUNTED
        elif event.pool_after:
            if last >= 0:
                afters[last] = splice_of(group[last].pool_before, after)
            after, last, shares = event.pool_after, place, event.shares
            afters[place] = 1
            flags[place - len(group)] |= _SHARES * shares
    return (pool.key, before, after, afters, shares), follows
