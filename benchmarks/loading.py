"""Fleets loaded through the engine's own functions, as many wallets as a benchmark asks for.

Each wallet is created, and each SIM joined to it and entered in the directory, by `load_wallets`. Their lines of the
journal are taken from the outbox by the engine's publisher and counted instead of delivered: Redis is left as after a
delivery, and nobody stores 20 million lines that nobody reads.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from itertools import islice

from rater.wallet.load import load_wallets
from streams.load import Fleet
from streams.load.fleet import Terms
from streams.parts import Parts
from streams.publisher import Publisher
from streams.topics import JOURNAL, Messages

#: Wallets between two looks at the outbox, and between two notes of how far it has come.
PAGE = 20_000
#: Between two looks at an outbox that is emptied.
LOOK_S = 0.03


class Counted:
    """A sink that counts messages by topic and forgets them."""

    def __init__(self) -> None:
        self.messages: Counter[str] = Counter()

    async def publish(self, messages: Messages) -> None:
        """See Sink."""
        self.messages.update({topic: len(pairs) for topic, pairs in messages.items()})

    async def close(self) -> None:
        """See Sink."""


async def at_rest(parts: Parts) -> None:
    """Return once somebody has published all of the outbox."""
    while await parts.outbox.waiting():
        await asyncio.sleep(LOOK_S)


async def load(
    parts: Parts, fleet: Fleet, terms: Terms, start: int = 0, reached: Callable[[int], None] = lambda _: None
) -> list[str]:
    """Load the wallets from `start` on, telling how far it is after each page; answers what was wrong.

    Safe to repeat: what is there already stays as it is, and writes no journal.
    """
    done = await discard_outbox(parts)
    forms, number = fleet.forms(terms, start), start
    while page := list(islice(forms, PAGE)):
        await load_wallets(page, parts.store, parts.directory, now_ms=parts.clock_ms())
        done += await discard_outbox(parts)
        number += len(page)
        reached(number)
    lines = sum(1 + fleet.sims_per_wallet for _ in range(start, number))
    # Fewer where an earlier attempt was cut short between a page and its note.
    return [f"{done[JOURNAL]:,} lines of journal for {lines:,} changes"] if done[JOURNAL] > lines else []


async def discard_outbox(parts: Parts) -> Counter[str]:
    """Take everything out of the outbox; answers how many messages of each topic there were."""
    sink = Counted()
    await Publisher(parts.outbox, parts.store.shards, sink, parts.clock_ms).drain()
    return sink.messages


async def come_to(parts: Parts, fleet: Fleet, reached: int) -> int:
    """From which wallet on to go on loading, where `reached` were noted: the last ones may be lost to a power cut."""
    while reached > 0 and await parts.store.wallet(fleet.tenant, fleet.wallet(reached - 1)) is None:
        reached = max(0, reached - PAGE)
    return reached
