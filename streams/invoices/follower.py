"""Follows the topic `notices` with a cursor of its own and makes an invoice of each period that was closed.

1. read    nothing happened.
2. close   each closing in its order (streams/invoices/desk.py). A crash: read again, and found made.
3. commit  the cursor. What is behind it is done.

A notice that nobody can read is passed over with a line in the log. A closing that is lost so loses no money: what was
owed is on the next invoice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial

import msgspec

from rater.invoices.model import Closing, closing_of
from schemas.notice import Notice
from streams.invoices.desk import InvoiceDesk
from streams.patience import patiently
from streams.topics import Page, Source, records_of

log = logging.getLogger(__name__)

#: Of the invoices' own place in the topics.
GROUP = "invoices"
ROWS_MAX = 1_000
WAIT_S = 0.5
_decode = msgspec.json.Decoder(Notice).decode


class InvoiceFollower:
    """One per process; in Kafka they share the partitions."""

    def __init__(self, source: Source, desk: InvoiceDesk, wake: Callable[[], None]) -> None:
        self._source = source
        self._desk = desk
        self._wake = wake

    async def run(self) -> None:
        """Follow for ever; cancel to stop."""
        while True:
            await self.follow_once(WAIT_S)

    async def follow_once(self, wait_s: float) -> int:
        """One round. Answers how many notices were read."""
        pages = await patiently("kafka", partial(self._source.read, ROWS_MAX, wait_s))
        if not pages:
            return 0
        closings = list(closings_of(pages))
        for closing in closings:
            await patiently("redis", partial(self._desk.close, closing))
        if closings:
            self._wake()
        await patiently("kafka", self._source.commit)
        return sum(len(page.values) for page in pages)


def closings_of(pages: Iterable[Page]) -> Iterable[Closing]:
    """What pages of notices say of periods that were closed, in their order."""
    for record in records_of(pages):
        if b"invoice.period_closed" not in record.value:
            continue
        try:
            closing = closing_of(_decode(record.value))
        except (msgspec.DecodeError, ValueError) as error:
            log.error("%s %d:%d cannot be read: %s", record.topic, record.partition, record.offset, error)
            continue
        if closing is not None:
            yield closing
