"""Packs entries for the wallet function and unpacks its answers and states. Money crosses as (units, nanos)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import msgpack

from rater.money import NANOS
from rater.wallet.entry import HOLDS, Answer, Decision, Entry, Kind, Stale
from schemas.fates import Fate, Reason

# fate, reason, epoch, n (6 bytes), decided_ms (6), charged (units 5 signed, nanos 4), balance before (5, 4),
# assignment version, fingerprint, token, catalogue. Odd widths are read as a low part and a high part.
_VERDICT = struct.Struct("<BBHIHIHIbIIbII8s12s4s")
_TAIL = _VERDICT.size

_FATES = (Fate.RATED, Fate.REFUSED)
_REASONS = {int(reason): reason for reason in Reason}


def pack_call(entries: Sequence[Entry], now_ms: int, epoch: int) -> bytes:
    """One batch for one shard: wallets and members once each, entries referring to them by (1-based) index."""
    wallets: dict[tuple[str, str], int] = {}
    members: dict[tuple[int, str], int] = {}
    items = []
    for entry in entries:
        wallet = wallets.setdefault((entry.tenant, entry.wallet), len(wallets) + 1)
        member = members.setdefault((wallet, entry.subscriber), len(members) + 1) if entry.subscriber else 0
        items.append(_pack_entry(entry, wallet, member))
    packed: bytes = msgpack.packb([now_ms, epoch, list(wallets), list(members), items], use_bin_type=False)
    return packed


def _pack_entry(entry: Entry, wallet: int, member: int) -> list[Any]:
    units, nanos = divmod(entry.amount_nanos, NANOS)
    uses = [(use.key, use.add, use.low, use.high, use.step, use.residue_low, use.residue_high) for use in entry.uses]
    item = [
        int(entry.kind), wallet, member, entry.subscriber_version, entry.identity, entry.fingerprint, entry.token,
        entry.cause, entry.currency, units, nanos, uses, int(entry.refuse), int(entry.free), entry.catalogue,
    ]  # fmt: skip
    if entry.kind is not Kind.USAGE:
        bits = sum(HOLDS[name] for name in entry.hold.split(",") if name)
        item += [bits, entry.hold, entry.note, *divmod(entry.floor_nanos, NANOS)]
    return item


def unpack_answer(reply: bytes) -> Answer:
    """A decision (new or known) or a stale answer."""
    if reply[:1] == b"S":
        why, version, counters = msgpack.unpackb(reply[1:])
        return Stale(why, version, tuple(counters or ()))
    return unpack_verdict(reply[1:], known=reply[:1] == b"K")


def unpack_verdict(packed: bytes, *, known: bool) -> Decision:
    """A verdict as the function packed it."""
    (fate, reason, epoch, n, n_high, ms, ms_high, units, units_high, nanos, before, before_high, before_nanos,
     version, fingerprint, token, catalogue) = _VERDICT.unpack_from(packed)  # fmt: skip
    wallet, counters = msgpack.unpackb(packed[_TAIL:])
    return Decision(
        known=known,
        fate=_FATES[fate],
        reason=_REASONS[reason],
        wallet=wallet,
        epoch=epoch,
        n=n + (n_high << 32),
        charged_nanos=(units + (units_high << 32)) * NANOS + nanos,
        balance_before_nanos=(before + (before_high << 32)) * NANOS + before_nanos,
        decided_ms=ms + (ms_high << 32),
        fingerprint=fingerprint,
        token=token,
        catalogue=catalogue,
        counters=tuple(counters or ()),
        subscriber_version=version,
    )
