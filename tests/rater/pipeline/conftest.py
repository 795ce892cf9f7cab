"""A small catalogue, two wallets and a pipeline on a real Redis."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest

from rater.catalogue import Catalogue
from rater.directory import Directory
from rater.identity import identity
from rater.money import parse_nanos
from rater.pipeline.batch import Batch, Door, RawEvent
from rater.pipeline.catalogues import Catalogues
from rater.pipeline.pipeline import Pipeline
from rater.pipeline.settle import Outputs
from rater.subscriber import Assignment, Subscriber
from rater.wallet.entry import Entry, Kind
from rater.wallet.store import WalletStore

NOW_MS = 1_793_491_200_000  # 2026-11-01T00:00:00Z

TARIFF = """
tariff: test-eur
currency: EUR
zone: UTC
zones: {{eu: [DE, FR]}}
versions:
  - version: "1"
    effective_from: "2026-01-01T00:00"
    blocked: [KP]
    emergency: ["112"]
    rates:
      - {{service: data, where: eu, price: "{price}", per: MB, increments: {{next: 100 kB, scope: carry-over}}}}
      - {{service: voice, where: DE, price: "0.60", per: min, setup: "0.05", increments: {{first: 60 s, next: 1 s}}}}
      - {{service: message, price: "0.10"}}
"""
PLAN = """
plan: payg
zone: UTC
settlement: prepaid
versions:
  - {version: "1", effective_from: "2026-01-01T00:00", tariff: test-eur, entitlements: [data, message, voice]}
"""


def catalogue(price: str = "1.00", zone: str = "[DE, FR]") -> Catalogue:
    """Data at `price` a MB in DE and FR, in steps of 100 kB carried over; messages at 0.10; KP blocked."""
    tariff = TARIFF.format(price=price).replace("[DE, FR]", zone)
    return Catalogue({"tariffs/test.yaml": tariff, "plans/payg.yaml": PLAN})


class Bench:
    """A pipeline and the means to feed it by hand."""

    def __init__(self, redis: Any, store: WalletStore) -> None:
        self.redis = redis
        self.store = store
        self.directory = Directory(redis, store)
        self.door = Door("file:test")

    async def pipeline(self, price: str = "1.00", zone: str = "[DE, FR]", **options: Any) -> Pipeline:
        """Another worker, with its own caches."""
        catalogues = Catalogues(self.redis, catalogue(price, zone))
        await catalogues.keep()
        return Pipeline(self.store, Directory(self.redis, self.store), catalogues, **options)

    async def wallet(self, name: str, balance: str, *sims: str) -> None:
        """A wallet and its SIMs."""
        entry = Entry(
            kind=Kind.CREATE, tenant="t", wallet=name, identity=identity("t", "test", f"create-{name}"),
            fingerprint=bytes(8), cause=f"test/create-{name}", currency="EUR", amount_nanos=parse_nanos(balance),
        )  # fmt: skip
        await self.store.apply([entry], now_ms=NOW_MS)
        assignment = Assignment(0, name, name, "payg", "EUR")
        await self.directory.add([Subscriber("t", sim, 1, (assignment,)) for sim in sims], now_ms=NOW_MS)

    async def top_up(self, name: str, amount: str, event_id: str) -> None:
        """Money in."""
        entry = Entry(
            kind=Kind.CREDIT, tenant="t", wallet=name, identity=identity("t", "test", event_id),
            fingerprint=bytes(8), cause=f"test/{event_id}", amount_nanos=parse_nanos(amount),
        )  # fmt: skip
        await self.store.apply([entry], now_ms=NOW_MS)

    async def balance_nanos(self, name: str) -> int:
        """What is left."""
        state = await self.store.wallet("t", name)
        assert state is not None
        return state.balance_nanos

    def batch(self, *events: bytes, start: int = 0, door: Door | None = None) -> Batch:
        """A batch of raw events at consecutive positions."""
        door = door or self.door
        raw = [RawEvent(event, door, start + number) for number, event in enumerate(events)]
        return Batch(raw, NOW_MS, format="usage")


def usage(event_id: str, sim: str = "sim-1", volume_bytes: int = 1_000_000, **fields: Any) -> bytes:
    """A data event of a MB in Germany, unless said otherwise."""
    event = {
        "tenant": "t", "source": "feed", "id": event_id, "service": "data", "subscriber": sim, "country": "DE",
        "volume_bytes": volume_bytes, "start_time": "2026-10-31T10:00:00Z", "end_time": "2026-10-31T10:00:00Z",
    }  # fmt: skip
    event |= fields
    return orjson.dumps({name: value for name, value in event.items() if value is not None})


def message(event_id: str, sim: str = "sim-1", **fields: Any) -> bytes:
    """A message for 0.10."""
    return usage(event_id, sim, None, service="message", kind="sms", message_count=1, **fields)  # type: ignore[arg-type]


@pytest.fixture
async def bench(redis: Any) -> Bench:
    """An empty engine."""
    return Bench(redis, await WalletStore.open(redis, shards=4))


Feed = Callable[..., Awaitable[Outputs]]
