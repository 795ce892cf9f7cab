"""Which events this worker saw lately: a guess at what is a repeat, so that nothing is rated upon it.

A guess only: whether an id was decided before is for the wallet's shard to say. But exact for the last ones: of two
that come in one batch to two shards, as those of a SIM that moved may, neither shard could tell.
"""

from __future__ import annotations

from typing import Final

from rater import compiled

#: Ids remembered: one to two times as many, about 100 bytes each.
RECENT_IDS: Final = 200_000


@compiled.twin("recent")
class Recent:
    """The identities of the last events, in two generations."""

    def __init__(self, ids: int = RECENT_IDS) -> None:
        self._ids = ids
        self._now: set[bytes] = set()
        self._before: set[bytes] = set()

    def saw(self, identity: bytes) -> bool:
        """Whether it came lately; from now on it did."""
        if identity in self._now or identity in self._before:
            return True
        self._now.add(identity)
        if len(self._now) >= self._ids:
            self._before, self._now = self._now, set()
        return False
