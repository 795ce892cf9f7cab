"""Packs entries for the wallet function and unpacks its answers and states. Money crosses as (units, nanos)."""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from typing import Any

import msgpack

from rater.errors import WalletError
from rater.money import NANOS
from rater.rating.charge import CounterUse
from rater.wallet.entry import HOLDS, Answer, Decision, Entry, Kind, Stale
from schemas.fates import Fate, Reason

# fate, reason, epoch, n (6 bytes), decided_ms (6), charged (units 5 signed, nanos 4), balance before (5, 4),
# assignment version, fingerprint, token, catalogue, length of the wallet's name. Odd widths are read as a low part and
# a high part. The wallet's name follows, then the counters before, 8 bytes each.
_VERDICT = struct.Struct("<BBHIHIHIbIIbII8s12s4sB")
_TAIL = _VERDICT.size
_WALLET_BYTES_MAX = 255
_NUMBERS = struct.Struct("<6q").pack

_FATES = (Fate.RATED, Fate.REFUSED)
_REASONS = {int(reason): reason for reason in Reason}


#: Counters of periods that began before this are dropped from a member: a cycle of 31 days and events 90 days late.
COUNTER_DAYS = 125
_DAY_S = 86_400
#: Set by the function alone, from the balance and from the wallet.
_OWN_HOLDS = HOLDS["balance"] | HOLDS["parent"]


def pack_call(entries: Sequence[Entry], now_ms: int, epoch: int, dropped_before_ms: int) -> bytes:
    """One batch for one shard: wallets and members once each, entries referring to them by (1-based) index.

    Entries go as columns: a few long arrays are read much faster in Lua than many short ones.
    """
    wallets: dict[tuple[str, str], int] = {}
    members: dict[tuple[int, str], int] = {}
    wallet_of, member_of = [], []
    for entry in entries:
        wallet = wallets.setdefault((entry.tenant, entry.wallet), len(wallets) + 1)
        wallet_of.append(wallet)
        member_of.append(members.setdefault((wallet, entry.subscriber), len(members) + 1) if entry.subscriber else 0)
    columns = (
        [entry.kind for entry in entries],
        wallet_of,
        member_of,
        [entry.subscriber_version for entry in entries],
        [entry.identity for entry in entries],
        [entry.fingerprint + entry.token + entry.catalogue for entry in entries],
        [entry.cause for entry in entries],
        [entry.currency for entry in entries],
        [entry.amount_nanos // NANOS for entry in entries],
        [entry.amount_nanos % NANOS for entry in entries],
        [_pack_uses(entry.uses) if entry.uses else 0 for entry in entries],
        [entry.refuse for entry in entries],
        [entry.free for entry in entries],
        [0 if entry.kind is Kind.USAGE else _pack_command(entry) for entry in entries],
    )
    oldest_period = time.strftime("%Y-%m-%d", time.gmtime(max(0, now_ms // 1000 - COUNTER_DAYS * _DAY_S)))
    call = (now_ms, epoch, dropped_before_ms, oldest_period, list(wallets), list(members), columns)
    packed: bytes = msgpack.packb(call, use_bin_type=False)
    return packed


def _pack_uses(uses: Sequence[CounterUse]) -> list[str | bytes]:
    packed: list[str | bytes] = []
    for use in uses:
        numbers = _NUMBERS(use.add, use.low, use.high, use.step, use.residue_low, use.residue_high)
        packed += (use.key, numbers)
    return packed


def _pack_command(entry: Entry) -> list[Any]:
    return [_hold_bits(entry), entry.hold, entry.note, *divmod(entry.floor_nanos, NANOS)]


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


def unpack_answer(reply: bytes) -> Answer:
    """A decision (new or known) or a stale answer."""
    if reply[:1] == b"S":
        why, version, counters = msgpack.unpackb(reply[1:])
        return Stale(why, version, tuple(counters or ()))
    return unpack_verdict(reply[1:], known=reply[:1] == b"K")


def unpack_verdict(packed: bytes, *, known: bool) -> Decision:
    """A verdict as the function packed it."""
    (fate, reason, epoch, n, n_high, ms, ms_high, units, units_high, nanos, before, before_high, before_nanos,
     version, fingerprint, token, catalogue, name_bytes) = _VERDICT.unpack_from(packed)  # fmt: skip
    end = _TAIL + name_bytes
    return Decision(
        known=known,
        fate=_FATES[fate],
        reason=_REASONS[reason],
        wallet=packed[_TAIL:end].decode(),
        epoch=epoch,
        n=n + (n_high << 32),
        charged_nanos=(units + (units_high << 32)) * NANOS + nanos,
        balance_before_nanos=(before + (before_high << 32)) * NANOS + before_nanos,
        decided_ms=ms + (ms_high << 32),
        fingerprint=fingerprint,
        token=token,
        catalogue=catalogue,
        counters=struct.unpack(f"<{(len(packed) - end) // 8}q", packed[end:]) if len(packed) > end else (),
        subscriber_version=version,
    )
