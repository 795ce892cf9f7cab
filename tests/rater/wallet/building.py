"""Entries as tests write them: money in units, names for identities."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

from rater.identity import FINGERPRINT_BYTES, identity
from rater.money import parse_nanos
from rater.rating.charge import CounterUse
from rater.wallet.entry import Answer, Decision, Entry, Kind, Stale
from rater.wallet.outbox import Outbox
from rater.wallet.store import WalletState, WalletStore
from schemas.lifecycle import LifecycleEvent, WalletEntry

NOW_MS = 1_793_491_200_000  # 2026-11-01T00:00:00Z
_made_up = count()


def amount(text: str) -> int:
    """Nanos of "1.50"."""
    return parse_nanos(text)


def entry(kind: Kind, money: str = "0", event_id: str = "", **fields: Any) -> Entry:
    """An entry on wallet "w" of tenant "t", with a made-up id unless one is given."""
    event_id = event_id or f"made-up-{next(_made_up)}"
    content: dict[str, Any] = {
        "kind": kind,
        "tenant": "t",
        "wallet": "w",
        "identity": identity("t", "test", event_id),
        "fingerprint": b"f" * FINGERPRINT_BYTES,
        "cause": f"test/{event_id}",
        "amount_nanos": amount(money),
    }
    return Entry(**(content | fields))


def create(money: str = "0", event_id: str = "", **fields: Any) -> Entry:
    """Opens the wallet, in EUR unless said otherwise."""
    return entry(Kind.CREATE, money, event_id, **({"currency": "EUR"} | fields))


def usage(money: str = "1", event_id: str = "", **fields: Any) -> Entry:
    """Usage of sim-1 at its first assignment."""
    return entry(
        Kind.USAGE, money, event_id, **({"currency": "EUR", "subscriber": "sim-1", "subscriber_version": 1} | fields)
    )


def join(subscriber: str = "sim-1", version: int = 1, **fields: Any) -> Entry:
    """A SIM becomes a member."""
    return entry(Kind.JOIN, subscriber=subscriber, subscriber_version=version, **fields)


def counting(key: str, add: int, low: int = 0, high: int = 2**53, **fields: int) -> CounterUse:
    """A counter that any value suits, unless said otherwise."""
    return CounterUse(key, add, low, high, **fields)


class Wallets:
    """A store and what a test wants to know of it."""

    def __init__(self, redis: Any, store: WalletStore) -> None:
        self.redis = redis
        self.store = store
        self.outbox = Outbox(redis, store)

    async def apply(self, *entries: Entry, now_ms: int = NOW_MS) -> list[Answer]:
        """Decide, in one call."""
        return await self.store.apply(entries, now_ms=now_ms)

    async def decide(self, *entries: Entry, now_ms: int = NOW_MS) -> list[Decision]:
        """Decide what no assumption stands in the way of."""
        answers = await self.apply(*entries, now_ms=now_ms)
        stale = [answer for answer in answers if isinstance(answer, Stale)]
        assert not stale
        return [answer for answer in answers if isinstance(answer, Decision)]

    async def opened(self, money: str, *sims: str, **fields: Any) -> None:
        """A wallet with members."""
        await self.decide(create(money, **fields), *(join(sim) for sim in sims or ("sim-1",)))

    async def state(self, wallet: str = "w") -> WalletState:
        """The wallet as it stands."""
        state = await self.store.wallet("t", wallet)
        assert state is not None
        return state

    async def balance(self, wallet: str = "w") -> int:
        """Its balance in nanos."""
        return (await self.state(wallet)).balance_nanos

    async def news(self) -> list[LifecycleEvent | WalletEntry]:
        """What came to the outboxes since the last look, shard by shard."""
        news = []
        for shard in range(self.store.shards):
            while items := await self.outbox.read(shard, 1000):
                news += [item.event for item in items]
                await self.outbox.delete(shard, [item.id for item in items])
        return news

    async def crossings(self) -> list[tuple[str, str]]:
        """("suspended" or "resumed", subscriber or "" for the wallet) since the last look, in order."""
        return [(event.type, event.subscriber) for event in await self.news() if isinstance(event, LifecycleEvent)]


def charged(answers: Sequence[Answer]) -> list[int]:
    """What each decision took."""
    return [answer.charged_nanos for answer in answers if isinstance(answer, Decision)]
