"""Webhooks assembled as the settings say: what the API changes, and what runs beside the publisher."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from rater.settings import Settings
from streams.opening import open_source
from streams.topics import RATED, Sink
from streams.webhooks.delivery import Attempt
from streams.webhooks.dispatcher import Dispatcher
from streams.webhooks.endpoints import WebhookEndpoint
from streams.webhooks.events import TOPICS
from streams.webhooks.fanout import Endpoints, Fanout
from streams.webhooks.follower import Follower
from streams.webhooks.queue import Queue
from streams.webhooks.rule_follower import RuleFollower
from streams.webhooks.rules import Rule, Rules
from streams.webhooks.sender import Sender
from streams.webhooks.shelf import Shelf

if TYPE_CHECKING:
    from streams.parts import Parts

#: Their own places in the topics.
GROUP, RULES_GROUP = "webhooks", "rules"


@dataclass
class Webhooks:
    """One per process."""

    settings: Settings
    kafka: bool
    clock_ms: Callable[[], int]
    endpoints: Endpoints
    rules: Rules
    queue: Queue
    fanout: Fanout
    sender: Sender
    dispatcher: Dispatcher
    sink: Sink

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """What runs for ever, where it is switched on."""
        if not self.settings.webhooks.enabled:
            return []
        open_rated = partial(open_source, self.settings, RULES_GROUP, kafka=self.kafka, topics=(RATED,), from_end=True)
        rules = RuleFollower(open_rated, self.rules, self.queue, self.sink)
        return [self._follow(), self.dispatcher.run(), self.dispatcher.measure(), rules.run()]

    async def _follow(self) -> None:
        async with open_source(self.settings, GROUP, kafka=self.kafka, topics=TOPICS) as source:
            await Follower(source, self.endpoints, self.fanout, self.dispatcher.wake).run()

    async def validate(self, endpoint: WebhookEndpoint, message_id: str, body: bytes) -> Attempt:
        """Send the validation message now, once."""
        return (await self.sender.send(endpoint, message_id, body, 1)).attempt


@asynccontextmanager
async def open_webhooks(parts: Parts, sink: Sink, *, kafka: bool) -> AsyncIterator[Webhooks]:
    """Load the functions and open what sends."""
    settings = parts.settings
    endpoints = Shelf(parts.redis, parts.store, "hooks", WebhookEndpoint)
    rules = Shelf(parts.redis, parts.store, "rules", Rule)
    replica = settings.engine.durability == "replica"
    queue = await Queue.open(parts.redis, settings.webhooks, wait_for_replica=replica)
    fanout = Fanout(parts.redis, endpoints, queue, parts.accounts, parts.account_wallets, parts.clock_ms)
    async with Sender(settings.webhooks, parts.clock_ms) as sender:
        dispatcher = Dispatcher(queue, endpoints, fanout, sender, settings.webhooks, parts.clock_ms)
        yield Webhooks(settings, kafka, parts.clock_ms, endpoints, rules, queue, fanout, sender, dispatcher, sink)
