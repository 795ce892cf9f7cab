"""What the stages ask of all events of a batch at once."""

from __future__ import annotations

from collections.abc import Sequence

from rater import compiled
from rater.pipeline.batch import Item, Rated


@compiled.twin("sift")
def open_of(items: Sequence[Item]) -> list[Rated]:
    """The rated events that still need a decision."""
    return [item for item in items if type(item) is Rated and item.is_open]


@compiled.twin("sift")
def moved_of(events: Sequence[Rated]) -> list[Rated]:
    """Those of SIMs that other wallets paid for before, or will."""
    return [event for event in events if event.payer.has_moved]


@compiled.twin("sift")
def before_of(events: Sequence[Rated], at_ms: int) -> list[Rated]:
    """Those that start before a time."""
    return [event for event in events if event.start_ms < at_ms]


@compiled.twin("sift")
def due_of(events: Sequence[Rated]) -> list[Rated]:
    """Those that wait for a step of a subscription, and are no repeats."""
    return [event for event in events if event.is_due and not event.is_repeat]


@compiled.twin("sift")
def split_repeats(events: Sequence[Rated]) -> tuple[list[Rated], list[Rated]]:
    """The events whose id did not come lately, and those whose id did."""
    return [event for event in events if not event.is_repeat], [event for event in events if event.is_repeat]


@compiled.twin("sift")
def let_go_charged(events: Sequence[Rated]) -> list[Rated]:
    """What was charged at once leaves the counters it waited upon; answers the others."""
    others = []
    for event in events:
        if event.head is None:
            others.append(event)
        elif event.counts:
            event.leave()
    return others


@compiled.twin("sift")
def redeliveries_of(items: Sequence[Item]) -> list[Rated]:
    """The events that were decided at this very delivery before."""
    return [item for item in items if type(item) is Rated and item.head is None and item.is_redelivery]
