"""Makes a delivery for each event and endpoint, of what the topics tell (streams/following.py).

Deliveries are put in Redis, where any process attempts them. What is read again after a crash is found there by its id,
so no event is lost, and none is put in twice while it stands in an endpoint's log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from streams.following import follow_once, readable
from streams.patience import patiently
from streams.topics import Page, Source, records_of
from streams.webhooks.events import event_of
from streams.webhooks.fanout import Endpoints, Fanout

log = logging.getLogger(__name__)

#: Records in one round.
ROWS_MAX = 1_000
WAIT_S = 0.5


class Follower:
    """One per process; in Kafka they share the partitions."""

    def __init__(self, source: Source, endpoints: Endpoints, fanout: Fanout, wake: Callable[[], None]) -> None:
        self._source = source
        self._endpoints = endpoints
        self._fanout = fanout
        self._wake = wake

    async def run(self) -> None:
        """Follow for ever; cancel to stop."""
        while True:
            await self.follow_once(WAIT_S)

    async def follow_once(self, wait_s: float) -> int:
        """One round. Answers how many records were read."""
        return await follow_once(self._source, self._act_on, wait_s)

    async def _act_on(self, pages: Sequence[Page]) -> None:
        if not await patiently("redis", self._endpoints.tenants):
            return  # nobody listens: nothing to decode
        events = [event for event in readable(records_of(pages), event_of) if event is not None]
        if await patiently("redis", lambda: self._fanout.offer(events)):
            self._wake()
