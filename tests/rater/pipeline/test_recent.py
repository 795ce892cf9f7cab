"""A guess at repeats: right about the last ones, bounded, and the oldest are forgotten first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rater.pipeline.recent import Recent

identities = st.integers(0, 12).map(lambda number: bytes([number]))


@given(st.integers(1, 5), st.lists(identities, max_size=60))
def test_the_last_that_came_for_the_first_time_are_known_and_at_most_twice_as_many(ids: int, came: list[bytes]) -> None:
    recent, first_times = Recent(ids), list[bytes]()
    for identity in came:
        knew = recent.saw(identity)
        if identity in first_times[-ids:]:
            assert knew
        elif identity not in first_times[-2 * ids :]:
            assert not knew
        if not knew:
            first_times.append(identity)


def test_what_comes_again_at_once_is_a_repeat_and_what_comes_after_very_many_is_not() -> None:
    recent = Recent(3)
    assert [recent.saw(identity) for identity in (b"a", b"a", b"b", b"a")] == [False, True, False, True]
    assert [recent.saw(bytes([number])) for number in range(6)] == [False] * 6
    assert not recent.saw(b"a")
