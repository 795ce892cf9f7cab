"""Webhooks by hand on a real Redis: a clock that is moved, endpoints, events, and any number of processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from rater.accounts.book import Accounts
from rater.accounts.wallets import AccountWallets
from rater.directory import Directory
from rater.settings import WebhookSettings
from rater.wallet.store import WalletStore
from schemas.lifecycle import LifecycleEvent, WalletEntry
from schemas.notice import Notice
from streams.spool import SpoolSource
from streams.spool_sink import SpoolSink
from streams.topics import JOURNAL, LIFECYCLE, NOTICES
from streams.webhooks.delivery import Delivery, decode_delivery
from streams.webhooks.dispatcher import Dispatcher
from streams.webhooks.endpoints import WebhookEndpoint
from streams.webhooks.events import TOPICS, Event, event_id
from streams.webhooks.fanout import Fanout
from streams.webhooks.follower import Follower
from streams.webhooks.queue import Queue
from streams.webhooks.rules import Rule
from streams.webhooks.sender import Sender
from streams.webhooks.shelf import Shelf
from streams.webhooks.signing import new_secret

NOW_MS = 1_793_491_200_000  # 2026-11-01T00:00:00Z
DAY_MS = 24 * 3_600_000
_encode = msgspec.json.Encoder().encode


class Hooks:
    """What one installation has; `process` is one of its processes."""

    def __init__(self, redis: Any, store: WalletStore, queue: Queue, settings: WebhookSettings, folder: Path) -> None:
        self.redis = redis
        self.store = store
        self.queue = queue
        self.settings = settings
        self.folder = folder
        self.now_ms = NOW_MS
        self.endpoints: Shelf[WebhookEndpoint] = Shelf(redis, store, "hooks", WebhookEndpoint)
        self.rules: Shelf[Rule] = Shelf(redis, store, "rules", Rule)
        accounts = Accounts(redis, store, Directory(redis, store))
        wallets = AccountWallets(redis, store, accounts)
        self.fanout = Fanout(redis, self.endpoints, queue, accounts, wallets, self.clock_ms)
        self.sink = SpoolSink(folder)

    @classmethod
    async def open(cls, redis: Any, folder: Path, **settings: Any) -> Hooks:
        store = await WalletStore.open(redis, shards=4)
        chosen = WebhookSettings(**{"allow_private": True, "timeout_s": 2.0} | settings)
        return cls(redis, store, await Queue.open(redis, chosen), chosen, folder)

    def clock_ms(self) -> int:
        return self.now_ms

    async def endpoint(self, url: str, name: str = "we_1", **fields: Any) -> WebhookEndpoint:
        """An endpoint that is enabled, unless said otherwise."""
        made: dict[str, Any] = {
            "id": name, "tenant": "t", "account": "", "url": url, "events": ("*",), "secret": new_secret(),
            "created_ms": self.now_ms, "status": "enabled", "enabled_ms": self.now_ms,
        }  # fmt: skip
        return await self.endpoints.add(WebhookEndpoint(**made | fields), most=50)

    async def offer(self, *names: str, tenant: str = "t", **fields: Any) -> list[str]:
        """Events by name; answers their ids."""
        events = [self.event(name, tenant, **fields) for name in names]
        await self.fanout.offer(events)
        return [event.id for event in events]

    def event(self, name: str, tenant: str = "t", **fields: Any) -> Event:
        made = {"type": "wallet.zero", "occurred_ms": self.now_ms, "data": {"name": name}, "wallet": "acme"} | fields
        return Event(id=event_id(tenant, name), tenant=tenant, **made)

    async def publish(self, *messages: LifecycleEvent | WalletEntry | Notice) -> None:
        """As the publisher would."""
        topics = {LifecycleEvent: LIFECYCLE, WalletEntry: JOURNAL, Notice: NOTICES}
        for message in messages:
            await self.sink.publish({topics[type(message)]: [(b"", _encode(message))]})

    def follower(self) -> Follower:
        """Of a process that has just started."""
        return Follower(SpoolSource(self.folder, "webhooks", TOPICS), self.endpoints, self.fanout, lambda: None)

    @asynccontextmanager
    async def process(self, **settings: Any) -> AsyncIterator[Dispatcher]:
        """A dispatcher that does nothing by itself."""
        chosen = msgspec.structs.replace(self.settings, **settings)
        queue = Queue(self.redis, chosen)
        async with Sender(chosen, self.clock_ms) as sender:
            yield Dispatcher(queue, self.endpoints, self.fanout, sender, chosen, self.clock_ms)

    async def deliver(self, dispatcher: Dispatcher) -> int:
        """Attempt all that is due now; answers how many attempts there were."""
        attempts = 0
        while True:
            dispatcher.wake()
            begun = await dispatcher.dispatch_once()
            await dispatcher.ended()
            if not begun:
                return attempts
            attempts += begun

    async def delivery(self, endpoint: WebhookEndpoint, message_id: str) -> Delivery:
        raw = await self.queue.get(endpoint.id, message_id)
        assert raw is not None
        return decode_delivery(raw)

    async def present(self, endpoint: WebhookEndpoint) -> WebhookEndpoint:
        found = await self.endpoints.get(endpoint.tenant, endpoint.id)
        assert found is not None
        return found

    async def types(self, endpoint: WebhookEndpoint) -> list[str]:
        """Of the endpoint's log, oldest first."""
        return [delivery.type for delivery in reversed(await self.queue.log(endpoint.id, 100))]


async def until(condition: Any, seconds: float = 10.0) -> None:
    """Wait for something that runs beside the test."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def crossing(kind: str = "suspended", subscriber: str = "", **fields: Any) -> LifecycleEvent:
    made: dict[str, Any] = {
        "type": kind, "tenant": "t", "wallet": "acme", "subscriber": subscriber, "reason": "balance",
        "holds": ("balance",), "status_version": 1, "balance_nanos": 0, "currency": "EUR", "epoch": 1, "n": 5,
        "cause": "feed/1", "occurred_ms": NOW_MS,
    }  # fmt: skip
    return LifecycleEvent(**made | fields)


def credit(n: int = 6, **fields: Any) -> WalletEntry:
    made: dict[str, Any] = {
        "tenant": "t", "wallet": "acme", "epoch": 1, "n": n, "kind": "credit", "source": "http", "id": f"order-{n}",
        "amount_nanos": 20_000_000_000, "balance_before_nanos": 0, "balance_after_nanos": 20_000_000_000,
        "currency": "EUR", "occurred_ms": NOW_MS,
    }  # fmt: skip
    return WalletEntry(**made | fields)
