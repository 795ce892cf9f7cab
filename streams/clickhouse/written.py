"""How much of the topics stands in ClickHouse.

Read from the writers' cursor, which moves only after an insert: it is right whoever writes (a child of this engine, of
another worker, `rater writer`), however often a writer died, and for all partitions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from streams.patience import patiently
from streams.topics import Cursor, Ends

LOOK_S = 0.05


class Written:
    """One per engine."""

    def __init__(self, cursor: Cursor, clock_ms: Callable[[], int]) -> None:
        self._cursor = cursor
        self._clock_ms = clock_ms
        #: By intake's clock: what was published before then is written.
        self.caught_up_ms = 0
        #: When the topics ended where, not written up to there when last looked.
        self._asked: tuple[int, Ends] | None = None

    async def look(self) -> None:
        """Bring `caught_up_ms` up to date: to the time of the last look whose topics are written to their end."""
        if self._asked is None:
            self._asked = await self._ask()
        asked_ms, ends = self._asked
        if await self._cursor.reached(ends):
            self.caught_up_ms = max(self.caught_up_ms, asked_ms)
            self._asked = await self._ask()

    async def caught_up(self) -> None:
        """Return once everything that is in the topics now is written."""
        asked_ms, ends = await self._ask()
        while not await self._cursor.reached(ends):
            await asyncio.sleep(LOOK_S)
        self.caught_up_ms = max(self.caught_up_ms, asked_ms)

    async def _ask(self) -> tuple[int, Ends]:
        asked_ms = self._clock_ms()  # before the ends are read: what was published by then is before them
        return asked_ms, await patiently("kafka", self._cursor.ends)
