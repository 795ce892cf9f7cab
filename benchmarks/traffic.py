"""Usage of a made-up fleet, from a seed: what each event is, and so what must come of it.

One SIM a wallet. Wallets are drawn by Zipf's law (exponent 1.05), as real fleets are: a few use most. One wallet in
twenty is nearly empty and is suspended on the way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from typing import Any

from rater.wallet.load import SimForm, WalletForm

TENANT = "bench"
ZIPF = 1.05
#: In thousandths of all events.
REPEATS, DAMAGED, UNKNOWN = 10, 5, 5
#: One wallet in so many is nearly empty.
DRY_EVERY = 20
#: Networks visited, home first; `data` is charged in tiers over the month at home, by zone elsewhere.
NETWORKS = [("262", "01")] * 6 + [("208", "01"), ("222", "10"), ("234", "15"), ("404", "45")]
START = "2026-10-20T10:{:02d}:{:02d}Z"


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


def fleet(wallets: int, name: str = "w", balance: str = "1000000.00", dry: str = "0.05") -> list[WalletForm]:
    """Wallets with a SIM each."""
    return [
        WalletForm(
            tenant=TENANT,
            wallet=f"{name}{number:07d}",
            currency="EUR",
            plan="payg-eur",
            balance=dry if number % DRY_EVERY == DRY_EVERY - 1 else balance,
            zone="Europe/Berlin",
            sims=[SimForm(iccid=iccid(name, number))],
        )
        for number in range(wallets)
    ]


def iccid(name: str, number: int) -> str:
    """A made-up ICCID; fleets of different names do not share any."""
    return f"8988{sum(name.encode()):06d}{number:09d}"


def traffic(run: str, count: int, wallets: int, seed: int = 1, fleet_name: str = "w") -> Sent:
    """`count` events of one run as (key, value), some of them repeated, damaged or of no known SIM."""
    random = Random(f"{seed}-{run}")
    weights = list(accumulate(1 / rank**ZIPF for rank in range(1, wallets + 1)))
    chosen = random.choices(range(wallets), cum_weights=weights, k=count)
    sent = Sent()
    good: list[tuple[bytes, bytes]] = []
    for number, wallet in enumerate(chosen):
        sim = iccid(fleet_name, wallet)
        event = usage(random, f"{run}-{number}", sim)
        kind = random.randrange(1000)
        if kind < REPEATS and good:
            sent.messages.append(random.choice(good))
            sent.repeats += 1
        elif kind < REPEATS + DAMAGED:
            sent.messages.append((sim.encode(), encode(event)[:-20]))
            sent.damaged += 1
        elif kind < REPEATS + DAMAGED + UNKNOWN:
            sent.messages.append((b"", encode(event | {"iccid": iccid("nobody", number)})))
            sent.unknown += 1
        else:
            good.append((sim.encode(), encode(event)))
            sent.messages.append(good[-1])
    return sent


def usage(random: Random, event_id: str, sim: str) -> dict[str, Any]:
    """One event: 85 % data, 9 % messages, 6 % calls."""
    mcc, mnc = random.choice(NETWORKS)
    second = random.randrange(3000)
    event: dict[str, Any] = {
        "tenant": TENANT, "source": "load", "id": event_id, "service": "data", "iccid": sim, "mcc": mcc, "mnc": mnc,
        "start_time": START.format(second // 60, second % 60),
        "end_time": START.format((second + 300) // 60, second % 60),
    }  # fmt: skip
    kind = random.randrange(100)
    if kind < 85:
        return event | {"volume_bytes": int(random.lognormvariate(12.4, 1.6)) + 1}
    if kind < 94:
        return event | {"service": "message", "kind": "sms", "message_count": 1, "destination_country": "DE"}
    duration_s = random.randrange(1, 300)
    return event | {"service": "voice", "called_number": "+4930123456", "duration_ms": duration_s * 1000}


def one_message(event_id: str, sim: str) -> bytes:
    """A message, which costs more than a nearly empty wallet has."""
    return encode({
        "tenant": TENANT, "source": "load", "id": event_id, "service": "message", "kind": "sms", "iccid": sim,
        "mcc": "262", "mnc": "01", "destination_country": "DE", "message_count": 1,
        "start_time": START.format(0, 0), "end_time": START.format(0, 0),
    })  # fmt: skip


def encode(event: dict[str, Any]) -> bytes:
    """As it goes over the wire."""
    return json.dumps(event, separators=(",", ":")).encode()


def pages(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """The values, `size` at a time."""
    return (values[start : start + size] for start in range(0, len(values), size))
