"""The records of what was charged at once, as nearly all usage is."""

from __future__ import annotations

from collections.abc import Sequence

from rater import compiled
from rater.pipeline.batch import Item, Rated
from rater.pipeline.records import covered_record, plain_record


@compiled.twin("charged")
def settle_charged(
    items: Sequence[Item], place: int, messages: list[tuple[bytes, bytes]], charged: dict[str, int]
) -> int:
    """Write the records of events from a place on, and add up what they cost by currency.

    Stops at an event that was not charged at once, under plain terms or paid by one allowance; answers its place.
    """
    for at in range(place, len(items)):
        item = items[at]
        if type(item) is not Rated or item.head is None or item.charge is not None:
            return at
        given, head = item.given, item.head
        if given is None:
            value = plain_record(item, head)
        elif head.decided_ms < item.offer.billed_until_ms:
            value = covered_record(item, given, head)
        else:
            return at
        messages.append((item.payer.key, value))
        charged[item.currency] = charged.get(item.currency, 0) + item.amount_nanos
    return len(items)
