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
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from schemas.fates import Reason
from schemas.faults import DeadLetter
from streams.clickhouse.server import ClickHouse
from streams.clickhouse.tables import TABLE_OF_TOPIC, TABLES
from streams.metrics import CLICKHOUSE_FAILURES, CLICKHOUSE_LAG, CLICKHOUSE_LAST_WRITE, CLICKHOUSE_ROWS
from streams.patience import patiently
from streams.topics import Source, TopicRecord

#: Rows in one round: large enough for ClickHouse to like, small enough to hold in memory (about 40 MB).
ROWS_MAX = 20_000
#: Rows checked before other tasks of the loop get their turn: about a millisecond.
ROWS_PER_TURN = 500
WAIT_S = 0.5

_encode = msgspec.json.Encoder().encode


class Writer:
    """One per consumer group and process."""

    def __init__(self, source: Source, clickhouse: ClickHouse, clock_ms: Callable[[], int] = lambda: 0) -> None:
        self._source = source
        self._clickhouse = clickhouse
        self._clock_ms = clock_ms
        #: When it last found nothing left to write, by intake's clock.
        self.caught_up_ms = 0
        #: Rounds in a row that found nothing.
        self._idle_rounds = 0
        self._caught_up_s = time.monotonic()

    async def run(self) -> None:
        """Write for ever; cancel to stop."""
        CLICKHOUSE_LAG.set_function(lambda: time.monotonic() - self._caught_up_s)
        while True:
            self._idle_rounds = 0 if await self.write_once(WAIT_S) else self._idle_rounds + 1

    async def caught_up(self) -> None:
        """Return once `run`, beside us, has found nothing more to read."""
        self._idle_rounds = 0
        while self._idle_rounds < 2:
            await asyncio.sleep(WAIT_S / 10)

    async def write_once(self, wait_s: float) -> int:
        """One round. Answers how many records were read."""
        asked_s, asked_ms = time.monotonic(), self._clock_ms()
        records = await self._source.read(ROWS_MAX, wait_s)
        if records:
            for table, rows in (await _rows_by_table(records)).items():
                await patiently("clickhouse", partial(self._insert, table, rows))
                CLICKHOUSE_ROWS.labels(table).inc(len(rows))
            await patiently("kafka", self._source.commit)
            CLICKHOUSE_LAST_WRITE.set_to_current_time()
        if len(records) < ROWS_MAX:
            self._caught_up_s, self.caught_up_ms = asked_s, asked_ms
        return len(records)

    async def _insert(self, table: str, rows: Sequence[Any]) -> None:
        try:
            await self._clickhouse.insert(table, rows)
        except Exception:
            CLICKHOUSE_FAILURES.inc()
            raise


async def _rows_by_table(records: Sequence[TopicRecord]) -> dict[str, list[Any]]:
    """The records by table, checked; those that are no row of their table among the dead letters."""
    by_table: defaultdict[str, list[Any]] = defaultdict(list)
    for number, record in enumerate(records, 1):
        name = TABLE_OF_TOPIC[record.topic]
        try:
            row = TABLES[name].decode(record.value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            name = "dead_letters"
            row = TABLES[name].decode(_encode(_letter(record, str(error))))
        by_table[name].append(row)
        if number % ROWS_PER_TURN == 0:
            await asyncio.sleep(0)
    return by_table


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
