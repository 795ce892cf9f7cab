"""Keeps the ClickHouse writer's process running beside an engine, which rates on whatever becomes of it."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from asyncio.subprocess import PIPE, Process

import msgspec

from streams.clickhouse.process import STOP_S, Order, encode_order
from streams.clickhouse.reports import Reports
from streams.metrics import CLICKHOUSE_WRITER_RESTARTS

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
#: A process that ran this long had begun well: the pauses begin anew.
STEADY_S = 60.0


class WriterProcess:
    """One writer at a time: started, listened to, started again when it ends, stopped with the engine."""

    def __init__(self, order: Order) -> None:
        self._order = msgspec.structs.replace(order, logs=bool(logging.getLogger().handlers))
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        """Its process, while there is one."""
        return self._process.pid if self._process is not None else None

    async def run(self) -> None:
        """Keep it running for ever; cancel to stop it."""
        pause_s = FIRST_PAUSE_S
        while True:
            started_s = time.monotonic()
            try:
                how = await self._live()
            except Exception as error:  # whatever it is: nothing that befalls the writer may stop rating
                how = f"was given up: {error!r}"
            if time.monotonic() - started_s > STEADY_S:
                pause_s = FIRST_PAUSE_S
            CLICKHOUSE_WRITER_RESTARTS.inc()
            log.error("the ClickHouse writer %s; it is started again in %.1f s, rating goes on", how, pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _live(self) -> str:
        """One process from its start to its end; answers how it ended."""
        # -P: a folder named `streams` where the command happens to run must not be taken for ours. The last argument
        # is for people who look at the list of processes. A session of its own: Ctrl-C is for the engine, which
        # stops it last. (uvloop knows no process groups.)
        argv = [sys.executable, "-P", "-m", "streams.clickhouse.process", str(self._order.settings.data)]
        process = await asyncio.create_subprocess_exec(*argv, stdin=PIPE, stdout=PIPE, start_new_session=True)
        self._process, reports = process, Reports()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(encode_order(self._order))
            async for line in process.stdout:
                reports.take(line)
            return f"ended with {await process.wait()}"
        finally:
            self._process = None
            reports.end()
            await _stop(process)


async def _stop(process: Process) -> None:
    """The end of its input asks it to stop; twice the time it gives itself, and it is ended by force."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), 2 * STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()
