"""Keeps the inventory of phone numbers to what the subscriptions say.

The follower hears of each number that is given up, by its owner, after its time on hold or with its plan, and frees it.
It has a cursor of its own in the notices; a crash before it is committed reads them again, and frees nothing twice.

The walk looks at all numbers over and over. It finds what no notice told of: a claim whose order was never made, a SIM
that has another wallet now, and lists that a crash left behind the documents.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from rater.errors import WalletError
from rater.numbers.book import NumberBook
from rater.numbers.model import PhoneNumber
from rater.numbers.orders import NumberOrders
from rater.settings import Settings
from schemas.notice import Notice
from streams.opening import open_source
from streams.patience import patiently
from streams.topics import NOTICES, Source, records_of

log = logging.getLogger(__name__)

#: Its own place in the notices.
GROUP = "numbers"
ROWS_MAX = 1_000
WAIT_S = 0.5
#: Between looks at `LOOK` numbers each, and between tenants: 100 numbers a second, a million in three hours.
WALK_S = 5.0

_GIVEN_UP = b'"addon.released"'
_notice = msgspec.json.Decoder(Notice).decode


@dataclass
class Numbers:
    """One per process."""

    settings: Settings
    kafka: bool
    clock_ms: Callable[[], int]
    book: NumberBook
    orders: NumberOrders
    #: The shards whose due work is this process's; the first one's has the walk.
    shards: Callable[[], Iterable[int]]

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """What runs for ever."""
        return [self._follow(), self.walk()]

    async def _follow(self) -> None:
        async with open_source(self.settings, GROUP, kafka=self.kafka, topics=(NOTICES,)) as source:
            while True:
                await self.follow_once(source, WAIT_S)

    async def follow_once(self, source: Source, wait_s: float) -> int:
        """Free what the next notices say was given up. Answers how many were read."""
        pages = await patiently("kafka", partial(source.read, ROWS_MAX, wait_s))
        if not pages:
            return 0
        records = records_of(pages)
        for record in records:
            if _GIVEN_UP not in record.value:
                continue
            try:
                notice = _notice(record.value)
            except msgspec.DecodeError as error:
                log.error("%s %d:%d cannot be read: %s", record.topic, record.partition, record.offset, error)
                continue
            number, order = notice.data.get("number"), notice.data.get("order", "")
            if notice.type == "addon.released" and number:
                await self._settle(notice.tenant, number, notice.occurred_ms, order)
        await patiently("kafka", source.commit)
        return len(records)

    async def walk(self) -> None:
        """Look at all numbers, for ever; cancel to stop."""
        while True:
            if 0 in self.shards():
                for tenant in await patiently("redis", self.book.tenants):
                    await self.walk_once(tenant, WALK_S)
            await asyncio.sleep(WALK_S)

    async def walk_once(self, tenant: str, pause_s: float = 0.0) -> None:
        """Look at all numbers of a tenant."""
        after = ""
        while numbers := await patiently("redis", partial(self.book.after, tenant, after)):
            for one in numbers:
                if one.holder is not None:
                    await self._settle(tenant, one.number, self.clock_ms())
            await patiently("redis", partial(self._relist, tenant, numbers))
            after = numbers[-1].number
            await asyncio.sleep(pause_s)

    async def _relist(self, tenant: str, numbers: list[PhoneNumber]) -> None:
        present = await self.book.many(tenant, [one.number for one in numbers])
        await self.book.relist([one for one in present if one is not None])

    async def _settle(self, tenant: str, number: str, at_ms: int, order: str = "") -> None:
        try:
            await patiently("redis", lambda: self.orders.settle(tenant, number, at_ms, order=order))
        except WalletError as error:  # an epoch that is being raised: the walk comes again
            log.warning("%s of %s is looked at again later: %s", number, tenant, error)
