"""A batch of usage in calls that are short enough, and in each wallet's order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from rater import compiled
from rater.wallet.debit import Debit, Head
from rater.wallet.entry import Stale


@compiled.twin("sift")
def by_wallet(events: Sequence[Debit]) -> dict[int, dict[bytes, list[Debit]]]:
    """By shard and the wallet's key, in their order."""
    shards: defaultdict[int, dict[bytes, list[Debit]]] = defaultdict(dict)
    for event in events:
        wallet = event.wallet
        groups = shards[wallet.shard]
        group = groups.get(wallet.key)
        if group is None:
            groups[wallet.key] = [event]
        else:
            group.append(event)
    return shards


@compiled.twin("sift")
def put_head(group: Sequence[Debit], head: Head) -> None:
    """A wallet's events were charged at once."""
    for event in group:
        event.head = head


def in_turn(page: Sequence[list[Debit]], behind: set[bytes]) -> list[list[Debit]]:
    """The wallets of a page that wait for nothing; the events of the others are answered."""
    sent = [group for group in page if group[0].wallet.key not in behind]
    if len(sent) < len(page):
        for group in page:
            if group[0].wallet.key in behind:
                for event in group:
                    event.answer = Stale("behind")
    return sent


def pages_of(groups: Sequence[list[Debit]], events_max: int) -> Iterator[list[list[Debit]]]:
    """Wallets' events in calls of at most so many; a wallet with more is cut."""
    page: list[list[Debit]] = []
    room = events_max
    for group in groups:
        start = 0
        while start < len(group):
            piece = group[start : start + room] if start or len(group) > room else group
            page.append(piece)
            start, room = start + len(piece), room - len(piece)
            if not room:
                yield page
                page, room = [], events_max
    if page:
        yield page
