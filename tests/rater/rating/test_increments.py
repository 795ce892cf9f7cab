"""Each step started is paid, whatever it is laid over."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rater.rating.increments import billed_steps, paid_until, residue_range

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


@given(st.integers(0, 100), st.integers(0, 100), sizes)
def test_a_residue_range_is_true_and_as_wide_as_true(used: int, quantity: int, step: int) -> None:
    """Exactly the residues within it start as many steps, of those next to it none does."""

    def started(before: int) -> int:
        return billed_steps(paid_until(before, step, step), before + quantity, step, step)

    low, high = residue_range(used, quantity, step)
    same = [residue for residue in range(step) if started(residue) == started(used)]

    assert low <= used % step <= high
    assert all(residue in same for residue in range(low, high + 1))
    assert low - 1 not in same or low == 1
    assert high + 1 not in same or high == 0
