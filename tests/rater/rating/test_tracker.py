"""What a charge adds to a counter is one sum, whatever the number of its pieces."""

from __future__ import annotations

from rater.rating.charge import CounterUse
from rater.rating.tracker import Tracker


def test_a_counter_used_again_advances_by_the_sum() -> None:
    tracker = Tracker({"carry": 250})
    tracker.use("carry", 30)
    tracker.use("tier", 3)
    tracker.use("carry", 20)

    assert tracker.uses() == (CounterUse("carry", 50), CounterUse("tier", 3))


def test_a_counter_that_stays_where_it_is_was_used_all_the_same() -> None:
    tracker = Tracker({})
    tracker.use("tier", 0)

    assert tracker.uses() == (CounterUse("tier", 0),)


def test_a_later_piece_sees_what_an_earlier_one_added() -> None:
    tracker = Tracker({"tier": 5})
    tracker.use("tier", 3)

    assert (tracker.before("tier"), tracker.value("tier"), tracker.value("other")) == (5, 8, 0)
