"""Invoices assembled: what the API asks and changes, and what runs beside the publisher."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rater.settings import Settings
from streams.clickhouse.server import ClickHouse
from streams.invoices.desk import InvoiceDesk
from streams.invoices.follower import GROUP, InvoiceFollower
from streams.invoices.itemiser import Itemiser
from streams.invoices.shelf import Shelf
from streams.opening import open_source
from streams.topics import NOTICES

if TYPE_CHECKING:
    from streams.parts import Parts


@dataclass
class Invoices:
    """One per process. `wake` tells the publisher that there is something in the outbox."""

    settings: Settings
    kafka: bool
    shelf: Shelf
    desk: InvoiceDesk
    clickhouse: ClickHouse
    wake: Callable[[], None]

    @classmethod
    def of(cls, parts: Parts, clickhouse: ClickHouse, wake: Callable[[], None], *, kafka: bool) -> Invoices:
        """On the parts of an engine."""
        shelf = Shelf(parts.redis, parts.store)
        desk = InvoiceDesk(shelf, parts.store, parts.account_wallets.account_of, parts.clock_ms)
        return cls(parts.settings, kafka, shelf, desk, clickhouse, wake)

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """What runs for ever."""
        return [self._follow(), Itemiser(self.shelf, self.clickhouse).run()]

    async def _follow(self) -> None:
        async with open_source(self.settings, GROUP, kafka=self.kafka, topics=(NOTICES,)) as source:
            await InvoiceFollower(source, self.desk, self.wake).run()
