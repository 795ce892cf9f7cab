"""How a verdict is laid out, and what the wallet function answers. Money crosses as (units, nanos).

A verdict is told in two parts (lua/usage.lua): the head, which only the function knows, and what the caller knew.
"""

from __future__ import annotations

import struct
from typing import Final

import msgpack

from rater.money import NANOS
from rater.wallet.debit import Head
from rater.wallet.entry import Answer, Decision, Stale
from schemas.fates import Fate, Reason

# fate, reason, epoch, n (6 bytes), decided_ms (6), balance before (units 5 signed, nanos 4). Odd widths are read as a
# low and a high part.
_HEAD: Final = struct.Struct("<BBHIHIHIbI")
#: What the caller tells: place, ahead_nanos, charged (units low and high, nanos), assignment version.
pack_told: Final = struct.Struct("<HqIBII").pack
# The same together with fingerprint, token, catalogue and length of the wallet's name; the name and the counters before
# (8 bytes each) follow.
_VERDICT: Final = struct.Struct("<BBHIHIHIbIHqIBII8s12s4sB")
_WALLET: Final = struct.Struct("<3sIbIIbIIHBI")
_LOW: Final = struct.Struct("<IbI")
_COVER_BYTES: Final = struct.Struct("<H")
#: Beside the holds stand two marks of the pool.
_HOLDS: Final = 63

_FATES = (Fate.RATED, Fate.REFUSED)
_REASONS = {int(reason): reason for reason in Reason}


def pack_cover(cover: bytes) -> bytes:
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
