"""A batch of usage in calls that are short enough, and in each wallet's order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rater.wallet.entry import Debit, Stale


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
