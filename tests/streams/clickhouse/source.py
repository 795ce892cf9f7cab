"""A topic source over batches at hand, with a cursor that can be looked at."""

from __future__ import annotations

from collections.abc import Sequence

from streams.topics import Page, TopicRecord


class ListSource:
    """Hands out one batch a read; a new source from `committed` is what a restarted process would have."""

    def __init__(self, batches: Sequence[list[TopicRecord]], committed: int = 0) -> None:
        self._batches = batches
        self._next = committed
        self.committed = committed

    async def read(self, rows_max: int, timeout_s: float) -> list[Page]:
        if self._next == len(self._batches):
            return []
        self._next += 1
        return [Page(topic, at, [offset], [value]) for topic, at, offset, value in self._batches[self._next - 1]]

    async def commit(self) -> None:
        self.committed = self._next

    async def close(self) -> None:
        pass
