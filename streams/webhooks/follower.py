"""Follows the topics with a cursor of its own and makes a delivery for each event and endpoint.

The protocol of one round, and what a crash after each step leaves:

1. read: nothing happened.
2. put the deliveries in Redis, where any process attempts them: some or all are there; the next start reads the same
   records, and finds by their ids those that are there.
3. commit the cursor: the round is done.

So no event is lost, and none is put in twice while it stands in an endpoint's log. A record that nobody can read is
passed over with a line in the log: its topic is written by the engine alone, and the others must not wait for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial

import msgspec

from streams.patience import patiently
from streams.topics import Page, Source, records_of
from streams.webhooks.events import Event, event_of
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
        pages = await patiently("kafka", partial(self._source.read, ROWS_MAX, wait_s))
        if not pages:
            return 0
        if await patiently("redis", self._endpoints.tenants):  # else nobody listens: nothing to decode
            events = list(_events(pages))
            new = await patiently("redis", lambda: self._fanout.offer(events))
            if new:
                self._wake()
        await patiently("kafka", self._source.commit)
        return sum(len(page.values) for page in pages)


def _events(pages: Iterable[Page]) -> Iterable[Event]:
    for record in records_of(pages):
        try:
            event = event_of(record)
        except (msgspec.DecodeError, ValueError) as error:
            log.error("%s %d:%d cannot be told: %s", record.topic, record.partition, record.offset, error)
            continue
        if event is not None:
            yield event
