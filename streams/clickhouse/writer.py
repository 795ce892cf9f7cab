"""Follows the topics with a cursor of its own and writes them to ClickHouse. Never on the path of a debit.

The cursor moves only after every insert of a batch is acknowledged; a crash in between writes a batch again, and the
tables collapse it. While ClickHouse is away the writer waits and keeps its place: rating and suspends go on.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import defaultdict
from collections.abc import Sequence

import msgspec
import orjson
from prometheus_client import Counter, Gauge

from schemas.fates import Reason
from schemas.faults import DeadLetter
from streams.clickhouse.server import STRUCTS, AwayError, ClickHouse
from streams.topics import DEAD_LETTERS, JOURNAL, LIFECYCLE, PARKED, RATED, REFUSED, Source, TopicRecord

log = logging.getLogger(__name__)

TABLES = {
    RATED: "rated_records",
    REFUSED: "rated_records",
    PARKED: "parked_events",
    DEAD_LETTERS: "dead_letters",
    LIFECYCLE: "lifecycle_events",
    JOURNAL: "wallet_entries",
}

#: Rows in one round: large enough for ClickHouse to like, small enough to hold in memory (about 40 MB).
ROWS_MAX = 20_000
WAIT_S = 0.5
FIRST_RETRY_S = 0.2
LONGEST_RETRY_S = 10.0

WRITTEN = Counter("rater_clickhouse_rows", "Rows written to ClickHouse", ["table"])
FAILURES = Counter("rater_clickhouse_failures", "Rounds that failed and are repeated")
LAST_WRITE = Gauge("rater_clickhouse_last_write_seconds", "Unix time of the last round that was written")


class Writer:
    """One per consumer group and process."""

    def __init__(self, source: Source, clickhouse: ClickHouse) -> None:
        self._source = source
        self._clickhouse = clickhouse
        #: Rounds in a row that found nothing.
        self._idle_rounds = 0

    async def run(self) -> None:
        """Write for ever; cancel to stop."""
        while True:
            self._idle_rounds = 0 if await self.write_once(WAIT_S) else self._idle_rounds + 1

    async def caught_up(self) -> None:
        """Return once `run`, beside us, has found nothing more to read."""
        self._idle_rounds = 0
        while self._idle_rounds < 2:
            await asyncio.sleep(WAIT_S / 10)

    async def write_once(self, wait_s: float) -> int:
        """One round: read, insert, then move the cursor. Answers how many records were read."""
        records = await self._source.read(ROWS_MAX, wait_s)
        if not records:
            return 0
        by_table: dict[str, list[TopicRecord]] = defaultdict(list)
        for record in records:
            by_table[TABLES[record.topic]].append(record)
        for table, chosen in by_table.items():
            await self._insert_patiently(table, chosen)
        await self._source.commit()
        # A gauge of the time of day is for alerts; nothing is decided by it.
        LAST_WRITE.set(time.time())
        return len(records)

    async def _insert_patiently(self, table: str, records: Sequence[TopicRecord]) -> None:
        wait_s, away = FIRST_RETRY_S, False
        while True:
            try:
                await self._insert(table, records)
            except AwayError as error:
                FAILURES.inc()
                if not away:
                    log.warning("ClickHouse is away, the writer keeps its place: %s", error)
                    away = True
                await asyncio.sleep(wait_s * random.uniform(0.5, 1))  # noqa: S311 - spreads retries
                wait_s = min(2 * wait_s, LONGEST_RETRY_S)
                continue
            if away:
                log.warning("ClickHouse is back, the writer catches up")
            return

    async def _insert(self, table: str, records: Sequence[TopicRecord]) -> None:
        good, bad = _sorted_out(table, records)
        if good:
            await self._clickhouse.insert(table, good)
            WRITTEN.labels(table).inc(len(good))
        if bad:
            await self._clickhouse.insert("dead_letters", bad)
            WRITTEN.labels("dead_letters").inc(len(bad))


def _sorted_out(table: str, records: Sequence[TopicRecord]) -> tuple[list[bytes], list[bytes]]:
    """Values that are what the table holds, and dead letters of those that are not."""
    decoder = msgspec.json.Decoder(STRUCTS[table])
    good, bad = [], []
    for record in records:
        try:
            decoder.decode(record.value)
            good.append(record.value)
        except msgspec.DecodeError as error:
            bad.append(orjson.dumps(msgspec.to_builtins(_letter(record, str(error)))))
    return good, bad


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
