"""One message on its way to one endpoint: its attempts, and when the next one is due.

Gaps grow from 5 s to 20 h; the eleventh and last attempt comes 71 h 36 min after the first. An attempt that would come
more than three days after the first is not made: the delivery has failed.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

_S, _MIN, _H = 1_000, 60_000, 3_600_000
#: From one attempt to the next; past the end the last one again.
GAPS_MS: Final = (5 * _S, 30 * _S, 5 * _MIN, 30 * _MIN, 2 * _H, 5 * _H, 10 * _H, 14 * _H, 20 * _H, 20 * _H)
#: From the first attempt on; then the delivery has failed.
GIVE_UP_MS: Final = 72 * _H
#: A receiver that asks for a longer pause (Retry-After) gets this one.
PAUSE_MAX_MS: Final = 24 * _H
#: Attempts that are kept of a delivery, the newest.
ATTEMPTS_KEPT: Final = 20

#: `missed`: never sent, as the endpoint was not enabled; a replay sends it.
DeliveryState = Literal["pending", "delivered", "failed", "missed"]


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request. `status` is 0 where no answer came; `error` says why it does not count as delivered."""

    number: int
    at_ms: int
    took_ms: int = 0
    status: int = 0
    error: str = ""


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message to an endpoint, as it stands in Redis."""

    id: str
    tenant: str
    account: str
    endpoint: str
    type: str
    created_ms: int
    payload: msgspec.Raw
    state: DeliveryState = "pending"
    #: When the next attempt is due.
    due_ms: int = 0
    #: When the first attempt was made, since the last replay.
    first_ms: int = 0
    #: Since then.
    tries: int = 0
    attempts: tuple[Attempt, ...] = ()
    #: Digest of the Idempotency-Key of the last replay.
    replayed_by: str = ""

    @property
    def place(self) -> bytes:
        """Its place in the log: by time, then by id."""
        return f"{self.created_ms:013d}-{self.id}".encode()

    @property
    def number(self) -> int:
        """How many attempts there were, replays included."""
        return self.attempts[-1].number if self.attempts else 0


def tried(delivery: Delivery, attempt: Attempt) -> Delivery:
    """The delivery with one attempt more."""
    return msgspec.structs.replace(
        delivery,
        first_ms=delivery.first_ms or attempt.at_ms,
        tries=delivery.tries + 1,
        attempts=(*delivery.attempts, attempt)[-ATTEMPTS_KEPT:],
    )


def next_due(delivery: Delivery, *, since_ms: int, now_ms: int, pause_ms: int) -> int | None:
    """When a delivery that was just tried in vain is tried again; None if that would be too late.

    `since_ms`: from when its three days count. `pause_ms`: what the receiver asked for.
    """
    gap_ms = GAPS_MS[min(delivery.tries, len(GAPS_MS)) - 1]
    due_ms = now_ms + max(gap_ms, min(pause_ms, PAUSE_MAX_MS))
    return due_ms if due_ms - since_ms <= GIVE_UP_MS else None


def replayed(delivery: Delivery, now_ms: int, key: str) -> Delivery:
    """The delivery to be made anew, under the id it always had."""
    return msgspec.structs.replace(delivery, state="pending", due_ms=now_ms, first_ms=0, tries=0, replayed_by=key)


decode_delivery = msgspec.json.Decoder(Delivery).decode
encode_delivery = msgspec.json.Encoder().encode
