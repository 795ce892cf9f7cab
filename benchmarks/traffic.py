"""Usage of a made-up fleet from the load generator (streams/load/), from a seed, with what must come of it.

One SIM a wallet. Wallets are drawn by Zipf's law (exponent 1.05), as real fleets are: a few use most. One wallet in
twenty is nearly empty and is suspended on the way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from rater.wallet.load import WalletForm
from streams.load import Fleet, Recipe, Traffic
from streams.load.fleet import Terms
from streams.load.traffic import DAMAGED, REPEAT, UNKNOWN

TENANT = "bench"
#: Within the sample's month, after its tariffs' second version has begun.
DAY = date(2026, 10, 20)
NOON = f"{DAY}T12:00:00Z"


@dataclass
class Sent:
    """What was sent, and how much of it must meet which fate whatever the balances."""

    messages: list[tuple[bytes, bytes]] = field(default_factory=list)
    repeats: int = 0
    damaged: int = 0
    unknown: int = 0

    def add(self, other: Sent) -> None:
        """Count another batch of traffic in, without keeping its messages."""
        self.repeats += other.repeats
        self.damaged += other.damaged
        self.unknown += other.unknown


def fleet(wallets: int, name: str = "w") -> list[WalletForm]:
    """Wallets with a SIM each."""
    return list(Fleet(TENANT, name, wallets).forms(Terms()))


def iccid(name: str, number: int) -> str:
    """The ICCID of a fleet's SIM; fleets of different names do not share any."""
    return Fleet(TENANT, name).iccid(number)


def traffic(run: str, count: int, wallets: int, seed: int = 1, fleet_name: str = "w") -> Sent:
    """`count` events of one run as (key, value), some of them repeated, damaged or of no known SIM."""
    made = Traffic(Recipe(Fleet(TENANT, fleet_name, wallets), seed=seed, run=run, day=DAY)).page(count, 0)
    messages = list(zip(made.keys, made.values, strict=True))
    return Sent(messages, made.sorts[REPEAT], made.sorts[DAMAGED], made.sorts[UNKNOWN])


def one_message(event_id: str, sim: str) -> bytes:
    """A message, which costs more than a nearly empty wallet has."""
    return encode({
        "tenant": TENANT, "source": "load", "id": event_id, "service": "message", "kind": "sms", "iccid": sim,
        "mcc": "262", "mnc": "01", "destination_country": "DE", "message_count": 1,
        "start_time": NOON, "end_time": NOON,
    })  # fmt: skip


def free_message(sim: bytes) -> bytes:
    """A message that comes in, which costs nothing."""
    return encode({
        "tenant": TENANT, "source": "load", "id": f"seen-{sim.decode()}", "service": "message", "kind": "sms",
        "direction": "incoming", "iccid": sim.decode(), "mcc": "262", "mnc": "01", "message_count": 1,
        "start_time": NOON, "end_time": NOON,
    })  # fmt: skip


def encode(event: dict[str, Any]) -> bytes:
    """As it goes over the wire."""
    return json.dumps(event, separators=(",", ":")).encode()


def pages(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """The values, `size` at a time."""
    return (values[start : start + size] for start in range(0, len(values), size))
