"""Follows the topics with a cursor of its own and writes them to ClickHouse. Never on the path of a debit.

The protocol of one round, and what a crash after each step leaves:

1. read: nothing happened.
2. check each value against its table; what does not fit becomes a dead letter: nothing happened.
3. insert, table by table: some or all rows are there; the next start writes them again, and the tables collapse them.
4. commit the cursor: the round is done.

While ClickHouse is away, or refuses (disk full, read-only), step 3 is repeated for as long as it takes: the writer
keeps its place, drops nothing, and the topics hold what comes meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from functools import partial

import msgspec

from schemas.fates import Reason
from schemas.faults import DeadLetter
from streams.clickhouse.blocks import Block
from streams.clickhouse.server import ClickHouse
from streams.clickhouse.tables import TABLE_OF_TOPIC
from streams.metrics import CLICKHOUSE_FAILURES, CLICKHOUSE_LAG, CLICKHOUSE_LAST_WRITE, CLICKHOUSE_ROWS
from streams.patience import patiently
from streams.topics import Page, Source, TopicRecord

#: Rows in one round: a block of a thousand costs ClickHouse three times as much a row, and this many are held in about
#: 100 MB.
ROWS_MAX = 50_000
#: A round that was not full is followed by the next one this long after it began, for the same reason: an insert costs
#: ClickHouse some 40 ms, however small it is.
ROUND_S = 1.0

_encode = msgspec.json.Encoder().encode


class Writer:
    """One per consumer group and process."""

    def __init__(self, source: Source, clickhouse: ClickHouse) -> None:
        self._source = source
        self._clickhouse = clickhouse
        self._caught_up_s = time.monotonic()

    async def run(self) -> None:
        """Write for ever; cancel to stop."""
        CLICKHOUSE_LAG.set_function(lambda: time.monotonic() - self._caught_up_s)
        while True:
            next_s = time.monotonic() + ROUND_S
            if await self.write_once(ROUND_S) < ROWS_MAX:
                await asyncio.sleep(next_s - time.monotonic())

    async def write_once(self, wait_s: float) -> int:
        """One round. Answers how many records were read."""
        asked_s = time.monotonic()
        pages = await self._source.read(ROWS_MAX, wait_s)
        if pages:
            for block in self._blocks(pages):
                await patiently("clickhouse", partial(self._insert, block))
                CLICKHOUSE_ROWS.labels(block.table.name).inc(len(block))
            await patiently("kafka", self._source.commit)
            CLICKHOUSE_LAST_WRITE.set_to_current_time()
        records = sum(len(page.values) for page in pages)
        if records < ROWS_MAX:
            self._caught_up_s = asked_s
        return records

    async def _insert(self, block: Block) -> None:
        try:
            await self._clickhouse.insert(block)
        except Exception:
            CLICKHOUSE_FAILURES.inc()
            raise

    def _blocks(self, pages: Iterable[Page]) -> list[Block]:
        """The records by table, checked; those that are no row of their table among the dead letters."""
        by_table: dict[str, Block] = {}

        def block(table: str) -> Block:
            if table not in by_table:
                by_table[table] = self._clickhouse.block(table)
            return by_table[table]

        for page in pages:
            misfits = block(TABLE_OF_TOPIC[page.topic]).add(page.values)
            if misfits:
                letters = [_encode(_letter(page.record(index), detail)) for index, detail in misfits]
                wrong = block("dead_letters").add(letters)
                assert not wrong, "a dead letter of ours is a row"
        return [block for block in by_table.values() if len(block)]


def _letter(record: TopicRecord, detail: str) -> DeadLetter:
    return DeadLetter(
        reason=Reason.MALFORMED.label,
        field="",
        detail=f"no record of this topic: {detail}",
        door=f"topic:{record.topic}/{record.partition}",
        position=record.offset,
        dead_ms=time.time_ns() // 1_000_000,
        raw=record.value,
        format=record.topic,
    )
