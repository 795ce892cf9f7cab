"""What a publisher has heard of the outboxes: of which shards it knows all that is new, and which it has to read.

A wallet's call tells what it wrote to the outbox, so that a suspend goes out without being read back first. That is
enough where everything that stood there before is known too; where it is not (a timer, a command or another worker
wrote there, or a delivery failed), the outbox is read, oldest first. So the order is the outbox' own either way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from rater.wallet.outbox import START, OutboxItem, OutboxPage, Place, place_of, told_page
from rater.wallet.store import News, Told

#: Calls of a shard that wait to be published; with more, the outbox is read, in pages.
CALLS_MAX = 100


class Heard:
    """News by shard; of shards that another publisher has, none is kept."""

    def __init__(self) -> None:
        self._told: defaultdict[int, list[Told]] = defaultdict(list)
        self._unread: set[int] = set()
        #: The newest entry of each shard that is known, and all before it.
        self._seen: dict[int, Place] = {}

    def __bool__(self) -> bool:
        """Whether there is anything to publish, or to read."""
        return bool(self._told or self._unread)

    def hear(self, news: News) -> None:
        """Note what calls told, and of more than may wait, that it was more."""
        for shard, told in news.items():
            self._told[shard] = [*self._told[shard], *told][: CALLS_MAX + 1]

    def must_read(self, shards: Iterable[int]) -> None:
        """Note that there may be more in these shards than was told."""
        self._unread.update(shards)

    def keep(self, leased: AbstractSet[int]) -> None:
        """Forget what is known of all other shards: their news is somebody else's."""
        self._seen = {shard: place for shard, place in self._seen.items() if shard in leased}

    def take(self, leased: AbstractSet[int]) -> tuple[list[int], dict[int, OutboxPage]]:
        """The shards that have to be read, and of the others what is new."""
        told, self._told = self._told, defaultdict(list)
        unread, self._unread = self._unread & leased, set()
        pages = {}
        for shard in (told.keys() & leased) - unread:
            page = self._new(shard, told[shard])
            if page is None:
                unread.add(shard)
            else:
                pages[shard] = page
        return sorted(unread), pages

    def saw(self, shard: int, page: OutboxPage) -> None:
        """Note a page that was read, from the beginning of the shard's outbox."""
        if page.entries:
            self._seen[shard] = place_of(page.entries[-1].id)

    def _new(self, shard: int, told: Sequence[Told]) -> OutboxPage | None:
        """What calls told; None where it does not follow upon what is known.

        Something stood before it that nobody told of, or it was read already, or another server took over whose clock
        is behind.
        """
        if len(told) > CALLS_MAX:
            return None
        seen, has_followers = self._seen.get(shard, START), False
        entries: list[OutboxItem] = []
        for before, page in map(told_page, told):
            if before > seen or (page.entries and place_of(page.entries[0].id) <= seen):
                return None
            entries += page.entries
            seen = place_of(entries[-1].id) if entries else seen
            has_followers |= page.has_followers
        self._seen[shard] = seen
        return OutboxPage(entries, has_followers)
