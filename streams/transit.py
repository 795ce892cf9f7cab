"""How much money is between two wallets, as a metric: it counts as ours until it has arrived."""

from __future__ import annotations

import asyncio

from rater.money import to_decimal
from rater.wallet.outbox import Outbox
from streams.metrics import IN_TRANSIT
from streams.patience import patiently

EVERY_S = 5.0
#: An outbox that has grown long (Kafka is away) is looked through this much more rarely than it takes.
REST = 20


async def watch_transit(outbox: Outbox) -> None:
    """Look for ever; cancel to stop."""
    known: set[str] = set()
    clock = asyncio.get_running_loop().time
    while True:
        begun = clock()
        found = await patiently("redis", outbox.in_transit)
        known |= found.keys()
        for currency in known:  # a metric is a float by Prometheus' definition; the ledger is not fed from here
            IN_TRANSIT.labels(currency).set(float(to_decimal(found.get(currency, 0))))
        await asyncio.sleep(max(EVERY_S, REST * (clock() - begun)))
