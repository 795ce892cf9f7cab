"""What an outbox entry says, from the bytes that stand there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgpack

from rater.money import NANOS, format_nanos
from rater.wallet.entry import Kind, hold_names
from rater.wallet.news import NOTICE, ONWARD, Onward, read_notice, read_onward
from schemas.lifecycle import LifecycleEvent, WalletEntry
from schemas.notice import Notice

#: What may stand in an outbox.
Event = LifecycleEvent | WalletEntry | Notice | Onward


def unpack_event(packed: bytes) -> Event:
    """An outbox entry: "L" lifecycle and "J" journal as the function packed them, the rest as rater.wallet.news did."""
    sort, *fields = msgpack.unpackb(packed)
    return _READERS[sort](*fields)


def _lifecycle(
    sort: str, tenant: str, wallet: str, subscriber: str, reason: str, holds: int, version: int,
    units: int, nanos: int, currency: str, epoch: int, n: int, cause: str, now_ms: int,
) -> LifecycleEvent:  # fmt: skip
    return LifecycleEvent(
        type=sort,
        tenant=tenant,
        wallet=wallet,
        subscriber=subscriber,
        reason=reason,
        holds=hold_names(holds),
        status_version=version,
        balance_nanos=units * NANOS + nanos,
        currency=currency,
        epoch=epoch,
        n=n,
        cause=cause,
        occurred_ms=now_ms,
    )


def _journal(
    kind: int, tenant: str, wallet: str, epoch: int, n: int, cause: str, units: int, nanos: int,
    before: int, before_nanos: int, after: int, after_nanos: int, currency: str, now_ms: int, holds: int,
    subscriber: str, note: str,
) -> WalletEntry:  # fmt: skip
    source, _, event_id = cause.partition("/")
    return WalletEntry(
        tenant=tenant,
        wallet=wallet,
        epoch=epoch,
        n=n,
        kind=Kind(kind).name.lower(),
        source=source,
        id=event_id,
        amount_nanos=units * NANOS + nanos,
        balance_before_nanos=before * NANOS + before_nanos,
        balance_after_nanos=after * NANOS + after_nanos,
        currency=currency,
        occurred_ms=now_ms,
        holds=hold_names(holds),
        subscriber=subscriber,
        note=note,
    )


def _low(
    sort: str, tenant: str, wallet: str, units: int, nanos: int, low: int, low_nanos: int, currency: str, epoch: int,
    n: int, cause: str, now_ms: int,
) -> Notice:  # fmt: skip
    available, threshold = units * NANOS + nanos, low * NANOS + low_nanos
    data = {"available": format_nanos(available), "threshold": format_nanos(threshold), "currency": currency}
    return Notice(f"low-{wallet}-{epoch}.{n}", sort, tenant, now_ms, wallet=wallet, data=data | {"cause": cause})


_READERS: Final[dict[str, Callable[..., Event]]] = {
    "L": _lifecycle,
    "J": _journal,
    "W": _low,
    NOTICE: read_notice,
    ONWARD: read_onward,
}
