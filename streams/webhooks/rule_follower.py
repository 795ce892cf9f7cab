"""Follows the rated records for the rules, and publishes what they trigger as notices.

The protocol of one round, and what a crash after each step leaves:

1. read: nothing happened.
2. count, one atomic call for a page of a tenant's records: marked as had, added up, and what triggered stands in a list
   beside. The next start reads the same records, which are known and change nothing.
3. commit the cursor.
4. publish the list, then take it off: it is published again, with the same ids.

Nothing is read before there is a rule: the first rule of an installation counts from about a second after it was made.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Final

import msgpack
import msgspec

from schemas.notice import Notice
from schemas.usage import BASE_UNIT
from streams.metrics import RULES_TRIGGERED
from streams.patience import patiently
from streams.topics import NOTICES, Page, Sink, Source
from streams.webhooks.queue import SHARES, Queue, share_of, tag
from streams.webhooks.rules import Check, Rated, Rule, Rules, checks_of

log = logging.getLogger(__name__)

#: Records in one round, and in one call: Redis answers nobody else meanwhile.
ROWS_MAX: Final = 4_000
CALL_MAX: Final = 300
WAIT_S: Final = 0.5
#: How often it is asked whether there is a rule, while there was none.
IDLE_S: Final = 1.0
#: Longer than usage may be late (`too_old_days`, 90 by default), so that a period is over before its sums are gone.
KEPT_S: Final = 120 * 24 * 3600
#: Triggers published at once.
PAGE: Final = 500

_decode = msgspec.json.Decoder(Rated).decode
_encode = msgspec.json.Encoder().encode

OpenSource = Callable[[], AbstractAsyncContextManager[Source]]


class RuleFollower:
    """One per process; in Kafka they share the partitions."""

    def __init__(self, open_rated: OpenSource, rules: Rules, queue: Queue, sink: Sink) -> None:
        self._open_rated = open_rated
        self._rules = rules
        self._queue = queue
        self._sink = sink

    async def run(self) -> None:
        """Follow for ever; cancel to stop."""
        while not await patiently("redis", self._rules.tenants):
            await asyncio.sleep(IDLE_S)
        async with self._open_rated() as source:
            while True:
                await self.follow_once(source, WAIT_S)
                await self.publish()

    async def follow_once(self, source: Source, wait_s: float) -> int:
        """One round. Answers how many records were read."""
        pages = await patiently("kafka", partial(source.read, ROWS_MAX, wait_s))
        if not pages:
            return 0
        tenants = await patiently("redis", self._rules.tenants)
        records = [record for record in _records(pages) if record.tenant in tenants and record.fate == "rated"]
        if records:
            await patiently("redis", partial(self._count, records))
        await patiently("kafka", source.commit)
        return sum(len(page.values) for page in pages)

    async def _count(self, records: Sequence[Rated]) -> None:
        owners = {(record.tenant, account) for record in records for account in ("", record.account)}
        books = await self._rules.books(owners)
        by_share: defaultdict[int, list[tuple[str, int, int, int, list[Check]]]] = defaultdict(list)
        for record in records:
            near: tuple[Rule, ...] = books[record.tenant, ""]
            if record.account:
                near += books[record.tenant, record.account]
            if checks := checks_of(record, near):
                row = f"{record.tenant}/{record.wallet}", record.epoch, record.n, record.part, checks
                by_share[share_of(record.tenant)].append(row)
        for share, rows in by_share.items():
            for start in range(0, len(rows), CALL_MAX):
                packed = msgspec.msgpack.encode(rows[start : start + CALL_MAX])
                await self._queue.call("count", share, KEPT_S, packed)

    async def publish(self) -> int:
        """Publish what was triggered, by whichever process; answers how much."""
        published = 0
        for share in range(SHARES):
            key = f"{tag(share)}:r:out"
            waiting = await patiently("redis", partial(self._queue.redis.lrange, key, 0, PAGE - 1))
            if not waiting:
                continue
            notices = [notice for raw in waiting if (notice := await self._notice(raw)) is not None]
            messages = [(f"{notice.tenant}/{notice.wallet}".encode(), _encode(notice)) for notice in notices]
            await patiently("kafka", partial(self._sink.publish, {NOTICES: messages}))
            for raw in waiting:
                await patiently("redis", partial(self._queue.redis.lrem, key, 1, raw))
            for notice in notices:
                RULES_TRIGGERED.labels(notice.type).inc()
            published += len(notices)
        return published

    async def _notice(self, raw: bytes) -> Notice | None:
        tenant, rule_id, account, sim, wallet, allowance, period, occurred_ms, value = msgpack.unpackb(raw)
        rule = await patiently("redis", partial(self._rules.get, tenant, rule_id))
        if rule is None:  # deleted meanwhile: nobody waits for it
            return None
        data: dict[str, Any] = {"rule": rule.id, "period": period, "unit": BASE_UNIT[rule.service]}
        if rule.limit is not None:
            data |= {"limit": rule.limit, "remaining": rule.limit - int(value), "used": int(value)}
        else:
            data["remaining" if rule.metric.endswith("remaining_usage") else "used"] = int(value)
        data |= {"threshold": rule.threshold} | ({"allowance": allowance} if allowance else {})
        subject = sim or account
        return Notice(
            id=f"{rule.type}/{rule.id}/{len(subject)}:{subject}/{allowance}/{period}",
            type=rule.type,
            tenant=tenant,
            occurred_ms=int(occurred_ms),
            account=account,
            wallet=wallet,
            subscriber=sim,
            data=data | ({"note": rule.note} if rule.note else {}),
        )


def _records(pages: Iterable[Page]) -> Iterator[Rated]:
    for page in pages:
        for place, value in enumerate(page.values):
            try:
                yield _decode(value)
            except msgspec.DecodeError as error:
                log.error("%s %d:%d is no rated record: %s", page.topic, page.partition, page.offsets[place], error)
