"""The request of `apply`: commands for one shard, packed as the wallet function reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgpack

from rater.errors import WalletError
from rater.money import NANOS
from rater.wallet.entry import HOLDS, Entry, Kind, Outcome, Steps
from rater.wallet.verdict import pack_told

_WALLET_BYTES_MAX: Final = 255
#: Set by the function alone, from the balance and from the wallet.
_OWN_HOLDS = HOLDS["balance"] | HOLDS["parent"]
_NO_MARKS: Final = bytes(24)


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
        told = pack_told(0, 0, 0, 0, 0, entry.subscriber_version) + entry.fingerprint + _NO_MARKS[8:]
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
