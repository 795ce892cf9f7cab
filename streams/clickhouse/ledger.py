"""ClickHouse as the engine uses it: reached when there is need, its tables brought up to date first."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from streams.clickhouse.blocks import Block
from streams.clickhouse.migrate import migrate
from streams.clickhouse.server import AwayError, ChdbClickHouse, ClickHouse, DriverClickHouse, Row, Version

log = logging.getLogger(__name__)


class Ledger:
    """A ClickHouse whose tables are brought up to date before the first call that reaches it.

    So a worker may start while the server is away: rating goes on, and what needs the server finds it complete.
    """

    def __init__(self, engine: ClickHouse) -> None:
        self._engine = engine
        self._is_ready = False
        self._lock = asyncio.Lock()

    async def ready(self) -> ClickHouse:
        """The engine behind, migrated."""
        if not self._is_ready:
            async with self._lock:
                if not self._is_ready:
                    applied = await migrate(self._engine)
                    self._is_ready = True
                    if applied:
                        log.info("ClickHouse: applied %s", ", ".join(applied))
        return self._engine

    async def version(self) -> Version:
        """See ClickHouse."""
        return await (await self.ready()).version()

    async def execute(self, sql: str) -> None:
        """See ClickHouse."""
        await (await self.ready()).execute(sql)

    def block(self, table: str) -> Block:
        """See ClickHouse."""
        return self._engine.block(table)

    async def insert(self, block: Block) -> None:
        """See ClickHouse."""
        await (await self.ready()).insert(block)

    async def query(self, sql: str, *, readonly: bool = False) -> list[Row]:
        """See ClickHouse."""
        return await (await self.ready()).query(sql, readonly=readonly)

    async def close(self) -> None:
        """See ClickHouse."""
        await self._engine.close()


async def open_clickhouse(url: str, socket: Path | None) -> ClickHouse:
    """Reach ClickHouse (the embedded one if there is a socket) and bring its tables up to date.

    A server that is away is no error here: it is asked again at each call.
    """
    ledger = Ledger(ChdbClickHouse(socket) if socket is not None else DriverClickHouse(url))
    try:
        await ledger.ready()
    except AwayError as error:
        log.warning("starting without ClickHouse: %s", error)
    except BaseException:
        await ledger.close()
        raise
    return ledger
