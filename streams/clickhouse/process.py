"""The ClickHouse writer in a process of its own: as an engine's child, or alone (`rater writer`).

`python -m streams.clickhouse.process` is the child. Its first line of input is its order; the input's end is the sign
to stop, and comes also when the parent is killed. Whatever hangs then, the process is gone a few seconds later: cut off
at any point, a round is done again by the next writer. Its output is a line of metrics every second.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from rater.settings import Settings
from streams.clickhouse.ledger import open_clickhouse
from streams.clickhouse.reports import REPORT_S, report
from streams.clickhouse.writer import Writer
from streams.crew import Crew
from streams.logs import set_up_logs
from streams.opening import WRITER_GROUP, open_source

#: A writer that was asked to stop has this long to leave its consumer group, so that the next one need not wait for it.
STOP_S = 5.0
#: Where processors are few, rating comes first and records wait in the topics for a quieter moment.
NICE = 5


class Order(msgspec.Struct):
    """What to follow and where to write it; `socket` is that of the embedded ClickHouse."""

    settings: Settings
    kafka: bool
    socket: Path | None
    #: Log lines are JSON, as those of a worker.
    logs: bool = False


@asynccontextmanager
async def writing(order: Order) -> AsyncIterator[Crew]:
    """The topics are written while it is open; the crew says if that fails."""
    clickhouse = await open_clickhouse(order.settings.clickhouse.url, order.socket)
    try:
        async with (
            open_source(order.settings, WRITER_GROUP, kafka=order.kafka) as source,
            Crew(Writer(source, clickhouse).run()) as crew,
        ):
            # Rows are the only objects that are many, and none of them is part of a cycle.
            gc.collect()
            gc.freeze()
            gc.set_threshold(50_000, 20, 50)
            yield crew
    finally:
        await clickhouse.close()


def main() -> None:
    """Write until the input ends."""
    order = decode_order(sys.stdin.buffer.readline())
    os.nice(NICE)
    reports = os.dup(1)
    os.dup2(2, 1)  # whatever else is printed is no report
    if order.logs:
        set_up_logs()
    asyncio.run(_follow(order, reports))


async def _follow(order: Order, reports: int) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    threading.Thread(target=_wait_for_end, args=(lambda: loop.call_soon_threadsafe(stopped.set),), daemon=True).start()
    async with writing(order) as crew, Crew(_report(reports), beside=crew) as both:
        await both.wait(stopped.wait())


def _wait_for_end(stop: Callable[[], object]) -> None:
    while sys.stdin.buffer.read(65536):
        pass
    try:
        stop()
    except RuntimeError:  # the loop is closed: it is ending anyway
        logging.getLogger(__name__).debug("asked to stop while stopping")
    time.sleep(STOP_S)
    os._exit(1)


async def _report(descriptor: int) -> None:
    """A whole line or none: a parent that does not read must not hold up the writer, and the next line says it all."""
    os.set_blocking(descriptor, False)
    while True:
        with suppress(BlockingIOError, BrokenPipeError):
            os.write(descriptor, report())
        await asyncio.sleep(REPORT_S)


def encode_order(order: Order) -> bytes:
    """One line."""
    return msgspec.json.encode(order, enc_hook=str) + b"\n"


def decode_order(line: bytes) -> Order:
    """The order in a line."""
    return msgspec.json.decode(line, type=Order, dec_hook=lambda _, text: Path(text))


if __name__ == "__main__":
    main()
