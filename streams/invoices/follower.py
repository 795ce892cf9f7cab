"""Makes invoices of periods that ended, and has them paid, as the topic `notices` tells (streams/following.py).

A closing that cannot be read loses no money: what was owed is on the next invoice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import msgspec

from rater.errors import WalletError
from rater.invoices.model import CLOSED, CONFIRMED, Closing, Received, closing_of, received_of
from schemas.notice import Notice
from streams.following import follow_once, readable
from streams.invoices.desk import InvoiceDesk
from streams.patience import patiently
from streams.topics import Page, Source, TopicRecord, records_of

log = logging.getLogger(__name__)

#: Of the invoices' own place in the topics.
GROUP = "invoices"
ROWS_MAX = 1_000
WAIT_S = 0.5
_SORTS = (CLOSED.encode(), CONFIRMED.encode())
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
        return await follow_once(self._source, self._act_on, wait_s)

    async def _act_on(self, pages: Sequence[Page]) -> None:
        news = list(news_of(pages))
        for one in news:
            await patiently("redis", partial(self._act, one))
        if news:
            self._wake()

    async def _act(self, one: Closing | Received) -> None:
        if isinstance(one, Closing):
            await self._desk.close(one)
            return
        try:
            await self._desk.receive(one)
        except WalletError as error:  # it has no room for so much: said once, and for a person to look at
            log.error("payment %s of invoice %s: %s", one.payment, one.invoice, error)


def news_of(pages: Iterable[Page]) -> Iterable[Closing | Received]:
    """What pages of notices say of periods that were closed and of money that arrived, in their order."""
    told = (record for record in records_of(pages) if any(sort in record.value for sort in _SORTS))
    return (one for one in readable(told, _read) if one is not None)


def _read(record: TopicRecord) -> Closing | Received | None:
    notice = _decode(record.value)
    return closing_of(notice) or received_of(notice)
