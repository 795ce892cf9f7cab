"""`rater writer`: the ClickHouse writer alone, for workers that leave it to others."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack

import click

from rater.settings import Settings
from streams.clickhouse.process import Order, writing
from streams.embedded.parts import EmbeddedParts
from streams.logs import set_up_logs
from streams.metrics import serve
from streams.opening import create_topics_of


@click.command()
@click.option("--files", is_flag=True, help="Follow the topics in the data folder instead of Kafka's.")
@click.pass_obj
def writer(settings: Settings, files: bool) -> None:
    """Write the topics to ClickHouse until stopped; any number of writers share the partitions.

    For workers with `[clickhouse] writer = false`. Serves its own metrics; beside a worker it needs another port.
    """
    set_up_logs()
    serve(settings.metrics)
    asyncio.run(_write(settings, kafka=not files))


async def _write(settings: Settings, *, kafka: bool) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as stack:
        if kafka:
            await create_topics_of(settings)
        socket = None
        if settings.engine.mode == "embedded":
            parts = await stack.enter_async_context(EmbeddedParts(settings.data))
            socket = await asyncio.to_thread(lambda: parts.clickhouse_socket)
        crew = await stack.enter_async_context(writing(Order(settings, kafka, socket)))
        await crew.wait(stopped.wait())
