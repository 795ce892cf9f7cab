"""Gives invoices their lines once the ledger has caught up. Apart from their making, which waits for no ledger.

The lines are read and the invoice is replaced if it has none. A crash between leaves it among those without lines, and
two at once write the same.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from msgspec.structs import replace

from rater.invoices.lines import lines_of
from rater.invoices.model import BEGINNING, Invoice, Line
from streams.clickhouse.accrued import moved_between, used_between
from streams.clickhouse.server import ClickHouse
from streams.invoices.shelf import Shelf
from streams.patience import patiently

log = logging.getLogger(__name__)

IDLE_S = 0.5
#: An invoice whose ledger has not caught up is looked at again after twice as long as before, within these.
WAIT_MIN_S, WAIT_MAX_S = 0.5, 60.0


class Itemiser:
    """One per process; any number share the work."""

    def __init__(self, shelf: Shelf, clickhouse: ClickHouse) -> None:
        self._shelf = shelf
        self._clickhouse = clickhouse
        #: When to look at an invoice again (loop time), and how long it waited.
        self._waits: dict[tuple[str, str], tuple[float, float]] = {}

    async def run(self) -> None:
        """Itemise for ever; cancel to stop."""
        while True:
            await self.itemise_once()
            await asyncio.sleep(IDLE_S)

    async def itemise_once(self) -> int:
        """One round over the invoices without lines; answers how many were given theirs."""
        done, now_s = 0, asyncio.get_running_loop().time()
        bare = await patiently("redis", self._shelf.bare)
        self._waits = {name: wait for name, wait in self._waits.items() if name in bare}
        for name in bare:
            at_s, wait_s = self._waits.get(name, (0.0, WAIT_MIN_S / 2))
            if at_s > now_s:
                continue
            if await self._itemise(*name):
                done += 1
            else:
                wait_s = min(2 * wait_s, WAIT_MAX_S)
                self._waits[name] = now_s + wait_s, wait_s
        return done

    async def _itemise(self, tenant: str, invoice_id: str) -> bool:
        invoice = await patiently("redis", partial(self._shelf.get, tenant, invoice_id))
        if invoice is None:
            return False  # it is about to be written
        if not invoice.is_itemised:
            lines = await self._lines(invoice)
            if lines is None:
                return False
            clothed = partial(_clothed, lines=lines)
            await patiently("redis", partial(self._shelf.change, tenant, invoice_id, clothed))
        await patiently("redis", partial(self._shelf.clothed, tenant, invoice_id))
        return True

    async def _lines(self, invoice: Invoice) -> tuple[Line, ...] | None:
        before = None
        if invoice.before:
            before = await patiently("redis", partial(self._shelf.get, invoice.tenant, invoice.before))
        since = before.place if before is not None else BEGINNING
        asked = (self._clickhouse, invoice.tenant, invoice.wallet, since, invoice.place)
        used = await patiently("clickhouse", partial(used_between, *asked))
        moved = await patiently("clickhouse", partial(moved_between, *asked))
        return lines_of(invoice, before, used, moved)


def _clothed(invoice: Invoice, lines: tuple[Line, ...]) -> Invoice:
    return invoice if invoice.is_itemised else replace(invoice, lines=lines, is_itemised=True)
