"""A counter used once keeps the range stated for it; used again, its exact value is what the charge depends on."""

from __future__ import annotations

from rater.rating.charge import CounterUse
from rater.rating.tracker import Tracker


def test_a_counter_used_once_keeps_its_range() -> None:
    tracker = Tracker({"tier": 5})
    tracker.use("tier", 3, 0, 10)

    assert tracker.uses() == (CounterUse("tier", 3, 0, 10),)


def test_a_counter_used_again_is_taken_at_its_value_before_the_event() -> None:
    tracker = Tracker({"carry": 250, "tier": 5})
    tracker.use_residue("carry", 30, 100, (1, 70))
    tracker.use_residue("carry", 20, 100, (51, 99))
    tracker.use("tier", 3, 0, 10)
    tracker.use("tier", 4, 0, 10)

    assert tracker.uses() == (CounterUse("carry", 50, 250, 250), CounterUse("tier", 7, 5, 5))


def test_a_later_piece_sees_what_an_earlier_one_added() -> None:
    tracker = Tracker({"tier": 5})
    tracker.use("tier", 3, 0, 10)

    assert (tracker.before("tier"), tracker.value("tier"), tracker.value("other")) == (5, 8, 0)
