"""From what the topics say to what a receiver is told: type, time, data, and an id that is the same each time.

| topic | what | type |
|---|---|---|
| lifecycle | a wallet, held because nothing is left | wallet.zero |
| lifecycle | a wallet, held or released otherwise | wallet.suspended, wallet.resumed |
| lifecycle | a SIM | sim.suspended, sim.resumed |
| wallet-journal | a credit | wallet.refilled |
| notices | anything | its own |
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final

import msgspec

from rater.money import format_nanos
from schemas.lifecycle import LifecycleEvent, WalletEntry
from schemas.notice import Notice
from schemas.webhook import WebhookMessage
from streams.topics import JOURNAL, LIFECYCLE, NOTICES, TopicRecord

TOPICS: Final = (LIFECYCLE, NOTICES, JOURNAL)
#: Of a message as it is sent; what is larger is told without its data.
BODY_BYTES_MAX: Final = 64 * 1024
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: Times past these are no dates.
_LAST_MS: Final = 253_402_300_799_000

_lifecycle = msgspec.json.Decoder(LifecycleEvent).decode
_journal = msgspec.json.Decoder(WalletEntry).decode
_notice = msgspec.json.Decoder(Notice).decode
_encode = msgspec.json.Encoder().encode


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something to tell. `account` is whom it concerns, empty where only its wallet or subscriber says so."""

    id: str
    type: str
    tenant: str
    occurred_ms: int
    data: dict[str, Any]
    account: str = ""
    wallet: str = ""
    subscriber: str = ""


def event_id(tenant: str, *source: object) -> str:
    """The id of what a source says: the same in every process and at every repetition."""
    parts = (tenant, *map(str, source))
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return "msg_" + blake2b(text.encode(), digest_size=16).hexdigest()


def event_of(record: TopicRecord) -> Event | None:
    """What a record of the topics has to tell, if anything.

    Raises:
        msgspec.DecodeError, ValueError: it is not what its topic holds.
    """
    if record.topic == LIFECYCLE:
        return _of_lifecycle(_lifecycle(record.value))
    if record.topic == JOURNAL:
        return _of_journal(_journal(record.value))
    return of_notice(_notice(record.value))


def _of_lifecycle(event: LifecycleEvent) -> Event:
    data: dict[str, Any] = {"wallet": event.wallet}
    if event.subscriber:
        # Without the wallet's balance and what else it pays for: the SIM's company may be another's customer.
        kind = f"sim.{event.type}"
        data = {"sim": event.subscriber} | data
    else:
        kind = "wallet.zero" if (event.type, event.reason) == ("suspended", "balance") else f"wallet.{event.type}"
        data |= {"balance": format_nanos(event.balance_nanos), "currency": event.currency, "cause": event.cause}
    data |= {"reason": event.reason, "holds": list(event.holds), "status_version": event.status_version}
    source = LIFECYCLE, event.wallet, event.subscriber, event.epoch, event.status_version, event.type
    return Event(
        id=event_id(event.tenant, *source),
        type=kind,
        tenant=event.tenant,
        occurred_ms=event.occurred_ms,
        data=data,
        wallet=event.wallet,
        subscriber=event.subscriber,
    )


def _of_journal(entry: WalletEntry) -> Event | None:
    if entry.kind != "credit":
        return None
    data = {
        "wallet": entry.wallet,
        "amount": format_nanos(entry.amount_nanos),
        "balance": format_nanos(entry.balance_after_nanos),
        "currency": entry.currency,
        "source": entry.source,
        "reference": entry.id,
    }
    return Event(
        id=event_id(entry.tenant, JOURNAL, entry.wallet, entry.epoch, entry.n),
        type="wallet.refilled",
        tenant=entry.tenant,
        occurred_ms=entry.occurred_ms,
        data=data | ({"note": entry.note} if entry.note else {}),
        wallet=entry.wallet,
    )


def of_notice(notice: Notice) -> Event:
    """A notice as it is; the names it carries come first in its data."""
    names = {"account": notice.account, "wallet": notice.wallet, "sim": notice.subscriber}
    given = {name: value for name, value in names.items() if value}
    return Event(
        id=event_id(notice.tenant, NOTICES, notice.id),
        type=notice.type,
        tenant=notice.tenant,
        occurred_ms=notice.occurred_ms,
        data=given | notice.data | given,
        account=notice.account,
        wallet=notice.wallet,
        subscriber=notice.subscriber,
    )


def payload(event: Event) -> bytes:
    """The body of its message."""
    timestamp = _EPOCH + timedelta(milliseconds=min(max(event.occurred_ms, 0), _LAST_MS))
    body = _encode(WebhookMessage(event.type, timestamp, event.data))
    if len(body) <= BODY_BYTES_MAX:
        return body
    kept = {name: value for name, value in event.data.items() if name in ("account", "wallet", "sim")}
    return _encode(WebhookMessage(event.type, timestamp, kept | {"truncated": True}))


def concerned(events: Iterable[Event], accounts: dict[tuple[str, str], str]) -> list[tuple[Event, str]]:
    """Each event with its account: its own, else its SIM's (`accounts`, by tenant and SIM), else its wallet's name."""
    return [
        (event, event.account or accounts.get((event.tenant, event.subscriber), "") or event.wallet) for event in events
    ]
