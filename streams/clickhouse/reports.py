"""What a writer's process tells the engine that started it: its metrics, a JSON line a second.

Each line has the counts since the process began, so that a line that is lost is no loss.
"""

from __future__ import annotations

import time

import msgspec
from prometheus_client import Counter, Gauge
from prometheus_client.samples import Sample

from streams.metrics import CLICKHOUSE_FAILURES, CLICKHOUSE_LAG, CLICKHOUSE_LAST_WRITE, CLICKHOUSE_ROWS, WAITING
from streams.patience import note_waiting

#: Between two lines. A line is shorter than what a pipe takes whole (4096 bytes).
REPORT_S = 1.0


class Report(msgspec.Struct):
    """State of a writer."""

    rows: dict[str, float] = {}
    failures: float = 0
    last_write_s: float = 0
    lag_s: float = 0
    #: The parts it waits for.
    waiting: set[str] = set()


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Report).decode


def report() -> bytes:
    """This process's metrics as a line."""
    rows = {
        sample.labels["table"]: sample.value for sample in _samples(CLICKHOUSE_ROWS) if sample.name.endswith("total")
    }
    failures, last_write_s, lag_s = (
        _samples(metric)[0].value for metric in (CLICKHOUSE_FAILURES, CLICKHOUSE_LAST_WRITE, CLICKHOUSE_LAG)
    )
    waiting = {sample.labels["part"] for sample in _samples(WAITING) if sample.value}
    return _encode(Report(rows, failures, last_write_s, lag_s, waiting)) + b"\n"


def _samples(metric: Counter | Gauge) -> list[Sample]:
    return [sample for family in metric.collect() for sample in family.samples]


class Reports:
    """One process's reports, shown as metrics of this one."""

    def __init__(self) -> None:
        self._last = Report()

    def take(self, line: bytes) -> None:
        """Show what a line says."""
        now, last, said_s = _decode(line), self._last, time.monotonic()
        for table, rows in now.rows.items():
            CLICKHOUSE_ROWS.labels(table).inc(rows - last.rows.get(table, 0))
        CLICKHOUSE_FAILURES.inc(now.failures - last.failures)
        if now.last_write_s:
            CLICKHOUSE_LAST_WRITE.set(now.last_write_s)
        # It grows while nothing is heard, be it that the process is gone.
        CLICKHOUSE_LAG.set_function(lambda: now.lag_s + time.monotonic() - said_s)
        self._waits_for(now.waiting)
        self._last = now

    def end(self) -> None:
        """The process is gone and waits for nothing."""
        self._waits_for(set())

    def _waits_for(self, parts: set[str]) -> None:
        for part in parts - self._last.waiting:
            note_waiting(part, 1)
        for part in self._last.waiting - parts:
            note_waiting(part, -1)
        self._last.waiting = parts
