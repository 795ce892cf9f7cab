"""Packs what goes into the wallet function and unpacks what comes out. Money crosses as (units, nanos).

A verdict is told in two parts (lua/usage.lua): the head, which only the function knows, and what the caller knew.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

import msgpack

from rater.errors import WalletError
from rater.money import NANOS
from rater.wallet.entry import HOLDS, Answer, Debit, Decision, Entry, Head, Kind, Outcome, Stale, Steps
from rater.wallet.member import VALUES
from schemas.fates import Fate, Reason

# fate, reason, epoch, n (6 bytes), decided_ms (6), balance before (units 5 signed, nanos 4). Odd widths are read as a
# low and a high part.
_HEAD: Final = struct.Struct("<BBHIHIHIbI")
# place, ahead_nanos, charged (units low and high, nanos), assignment version.
_TOLD: Final = struct.Struct("<HqIBII").pack
# The same together with fingerprint, token, catalogue and length of the wallet's name; the name and the counters before
# (8 bytes each) follow.
_VERDICT: Final = struct.Struct("<BBHIHIHIbIHqIBII8s12s4sB")
_WALLET_BYTES_MAX: Final = 255
_WALLET: Final = struct.Struct("<3sIbIIbIIHBI")
_LOW: Final = struct.Struct("<IbI")

_FATES = (Fate.RATED, Fate.REFUSED)
_REASONS = {int(reason): reason for reason in Reason}
_FREE: Final = 256
_UNCOUNTED: Final = 512
_ALLOWED: Final = 1024
_SHARES: Final = 2048
_COVER_BYTES: Final = struct.Struct("<H")
#: What may be charged ahead of an event within one call and still be told in an int64.
_AHEAD_MAX: Final = 2**63 - 1

#: Set by the function alone, from the balance and from the wallet.
_OWN_HOLDS = HOLDS["balance"] | HOLDS["parent"]
_NO_MARKS: Final = bytes(24)
#: Beside the holds stand two marks of the pool.
_HOLDS: Final = 63


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
    is_plain, ahead, tail = True, 0, group[0].wallet.tail
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
        if (event.after or by_counters) and event.before != (afters[member.place] or befores[member.place]):
            # It was rated upon an event that is not in this call, so the states told do not follow from each other.
            after_it, flag, is_plain = b"", _UNCOUNTED, False
        if after_it:
            if member.last >= 0:
                after[member.last] = afters[member.place]
            afters[member.place], member.last = after_it, len(after)
            after.append(1)
        else:
            after.append(b"")
        amount = event.amount_nanos
        event.place, event.ahead_nanos = place, ahead
        identities.append(event.identity)
        units, nanos = divmod(amount, NANOS)
        head = _TOLD(place, ahead if ahead <= _AHEAD_MAX else 0, units & 0xFFFFFFFF, units >> 32, nanos, event.version)
        counters = event.counters
        cover = event.cover
        packed = head + event.marks + tail + (VALUES[len(counters)](*counters) if counters else b"")
        told.append(packed + _pack_cover(cover) if cover else packed)
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


def _pack_pool(group: list[Debit], flags: list[int]) -> tuple[tuple[bytes, bytes, bytes, list[Any], bool], bool]:
    """The pool of one wallet: key, state before and after, what each event made of it (1: the last), whether it shares.

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
                afters[last] = after
            after, last, shares = event.pool_after, place, event.shares
            afters[place] = 1
            flags[place - len(group)] |= _SHARES * shares
    return (pool.key, before, after, afters, shares), follows


def pack_commands(entries: Sequence[Entry], now_ms: int, epoch: int) -> bytes:
    """Commands for one shard: wallets and members once each, entries referring to them by (1-based) index."""
    wallets: dict[tuple[str, str], int] = {}
    members: dict[tuple[int, str], int] = {}
    items = []
    for entry in entries:
        wallet = wallets.setdefault((entry.tenant, entry.wallet), len(wallets) + 1)
        member = members.setdefault((wallet, entry.subscriber), len(members) + 1) if entry.subscriber else 0
        name = entry.wallet.encode()[:_WALLET_BYTES_MAX]  # a longer one is no wallet's
        bits = _hold_bits(entry)
        told = _TOLD(0, 0, 0, 0, 0, entry.subscriber_version) + entry.fingerprint + _NO_MARKS[8:]
        items.append(
            (entry.kind, wallet, member, entry.subscriber_version, entry.identity,
             told + bytes([len(name)]) + name, entry.cause, entry.currency, *divmod(entry.amount_nanos, NANOS),
             bits, entry.hold, entry.note, *divmod(entry.floor_nanos, NANOS), entry.news, _pack_steps(entry.steps))
        )  # fmt: skip
    packed: bytes = msgpack.packb((now_ms, epoch, list(wallets), list(members), items), use_bin_type=False)
    return packed


def _pack_steps(steps: Steps | None) -> tuple[bytes, Any, Any] | int:
    if steps is None:
        return 0
    return steps.before, _pack_outcome(steps.paid), steps.unpaid is not None and _pack_outcome(steps.unpaid)


def _pack_outcome(outcome: Outcome) -> tuple[Any, ...]:
    due_ms = -1 if outcome.due_ms is None else outcome.due_ms
    # `false` and not nil: a hole would end the list for Lua's unpack.
    floor = (False, False) if outcome.floor_nanos is None else divmod(outcome.floor_nanos, NANOS)
    bits = sum(HOLDS[name] for name in outcome.hold.split(",") if name)
    return (
        outcome.upon,
        outcome.document,
        bits,
        outcome.reason,
        due_ms,
        int(outcome.waits),
        *floor,
        outcome.news,
        outcome.pools,
        outcome.shares,
    )


def _pack_cover(cover: bytes) -> bytes:
    """Behind the counters, 8 bytes each: padded so that the rest over 8 is 1, its length at the very end."""
    padding = bytes((-1 - len(cover)) % 8)
    return cover + padding + _COVER_BYTES.pack(len(cover))


def _unpack_tail(tail: bytes) -> tuple[tuple[int, ...], bytes]:
    """The counters before, and what allowances gave."""
    cover, size = b"", len(tail)
    if size % 8:
        (length,) = _COVER_BYTES.unpack_from(tail, size - _COVER_BYTES.size)
        size -= _COVER_BYTES.size + length + (-1 - length) % 8
        cover = tail[size : size + length]
    return (struct.unpack_from(f"<{size // 8}q", tail) if size else ()), cover


def _hold_bits(entry: Entry) -> int:
    if entry.kind is Kind.CREATE:
        _check_names(entry)
    try:
        bits = sum({HOLDS[name] for name in entry.hold.split(",") if name})
    except KeyError as error:
        raise WalletError(f"hold: there is no {error}; one of {', '.join(HOLDS)}") from error
    if bits & _OWN_HOLDS:
        raise WalletError(f"hold: {entry.hold} follows the balance; only a top-up or the floor changes it")
    return bits


def _check_names(entry: Entry) -> None:
    """Keys are built as tenant/wallet/subscriber; only the last may have slashes."""
    if not (entry.tenant and entry.wallet and "/" not in entry.tenant + entry.wallet):
        raise WalletError(f'wallet: "{entry.tenant}" and "{entry.wallet}" must be names without "/"')
    if len(entry.wallet.encode()) > _WALLET_BYTES_MAX:
        raise WalletError(f"wallet: {entry.wallet[:20]}... is longer than {_WALLET_BYTES_MAX} bytes")


def unpack_head(reply: bytes) -> Head:
    """What events that were charged at once have in common."""
    _, _, epoch, n, n_high, ms, ms_high, units, units_high, nanos = _HEAD.unpack(reply)
    balance = (units + (units_high << 32)) * NANOS + nanos
    return Head(epoch, n + (n_high << 32), ms + (ms_high << 32), balance)


def unpack_answer(reply: bytes) -> Answer:
    """A decision (new or known) or a stale answer."""
    if reply[:1] == b"S":
        return _unpack_stale(reply)
    return unpack_verdict(reply[1:], known=reply[:1] == b"K", outdated=reply[:1] == b"n")


def _unpack_stale(reply: bytes) -> Stale:
    raw_why, detail = msgpack.unpackb(reply[1:], raw=True)
    why = raw_why.decode()
    if why == "memory":
        return Stale(why, dropped_before_ms=detail)
    if isinstance(detail, int):
        return Stale(why, subscriber_version=detail)
    state, sessions, *pool = detail
    name, pool_state = (pool[0].decode(), pool[1]) if pool else ("", None)
    return Stale(why, 0, state, tuple(int(value) for value in sessions or ()), pool=name, pool_state=pool_state)


def unpack_verdict(packed: bytes, *, known: bool, outdated: bool = False) -> Decision:
    """A verdict as it is remembered."""
    (fate, reason, epoch, n, n_high, ms, ms_high, units, units_high, nanos, place, ahead, charged, charged_high,
     charged_nanos, version, fingerprint, token, catalogue, name_bytes) = _VERDICT.unpack_from(packed)  # fmt: skip
    end = _VERDICT.size + name_bytes
    counters, cover = _unpack_tail(packed[end:])
    return Decision(
        known=known,
        fate=_FATES[fate],
        reason=_REASONS[reason],
        wallet=packed[_VERDICT.size : end].decode(),
        epoch=epoch,
        n=n + (n_high << 32) + place,
        charged_nanos=(charged + (charged_high << 32)) * NANOS + charged_nanos,
        balance_before_nanos=(units + (units_high << 32)) * NANOS + nanos - ahead,
        decided_ms=ms + (ms_high << 32),
        fingerprint=fingerprint,
        token=token,
        catalogue=catalogue,
        counters=counters,
        subscriber_version=version,
        outdated=outdated,
        cover=cover,
    )


def unpack_wallet(packed: bytes) -> tuple[str, int, int, int, int, int, int | None]:
    """Currency, balance and floor in nanos, n, holds, status version and threshold of a wallet."""
    (currency, units, units_high, nanos, floor, floor_high, floor_nanos, n, n_high, holds, version) = (
        _WALLET.unpack_from(packed)
    )
    balance = (units + (units_high << 32)) * NANOS + nanos
    floor_all = (floor + (floor_high << 32)) * NANOS + floor_nanos
    low = None
    if len(packed) > _WALLET.size:
        low_units, low_units_high, low_nanos = _LOW.unpack_from(packed, _WALLET.size)
        low = (low_units + (low_units_high << 32)) * NANOS + low_nanos
    return currency.decode(), balance, floor_all, n + (n_high << 32), holds & _HOLDS, version, low
