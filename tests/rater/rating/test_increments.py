"""Each step started is paid, whatever it is laid over."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rater.rating.increments import billed_steps, paid_until

sizes = st.integers(1, 12)


def _laid_one_by_one(paid: int, end: int, first: int, following: int) -> int:
    total = 0
    while paid + total < end:
        total += first if paid + total == 0 else following
    return total


@given(st.integers(0, 60), st.integers(0, 60), sizes, sizes)
def test_steps_are_counted_as_if_laid_one_by_one(paid: int, end: int, first: int, following: int) -> None:
    assert billed_steps(paid, end, first, following) == _laid_one_by_one(paid, end, first, following)


@given(st.integers(1, 60), sizes, sizes)
def test_what_was_used_is_paid_to_the_end_of_its_last_step(used: int, first: int, following: int) -> None:
    assert paid_until(used, first, following) == _laid_one_by_one(0, used, first, following)


def test_nothing_used_has_nothing_paid() -> None:
    assert paid_until(0, 60, 1) == 0
