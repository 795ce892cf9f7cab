"""Auto-refill never pays twice: one in flight, caps, cool-down, back-off after a decline, off after too many."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rater.money import NANOS
from rater.plans.auto_refill import AutoRefill, RefillState, asked, decide, declined, paid, switched_on
from rater.plans.calendar import local
from tests.rater.plans.test_calendar import at

ZONE = "Europe/Berlin"
NOON = at("2026-11-15 12:00")
MINUTE, HOUR = 60_000, 3_600_000
TERMS = AutoRefill(
    threshold_nanos=5 * NANOS,
    price_nanos=10 * NANOS,
    cool_down_ms=MINUTE,
    day_max_nanos=20 * NANOS,
    month_max_nanos=50 * NANOS,
    declines_max=3,
    back_off_ms=5 * MINUTE,
)


def reason(state: RefillState, at_ms: int = NOON, available: int = 0) -> str:
    """What is decided with so many units available."""
    return decide(TERMS, state, available * NANOS, at_ms, ZONE).reason


def refilled(state: RefillState, at_ms: int) -> RefillState:
    """After a refill that was asked for and paid at once."""
    assert reason(state, at_ms) == "ask"
    state = asked(TERMS, state, at_ms, ZONE)
    return paid(state, state.requests)


@pytest.mark.parametrize(("available", "answer"), [(6, "above_threshold"), (5, "ask"), (0, "ask"), (-1, "ask")])
def test_it_asks_when_the_threshold_is_reached(available, answer):
    assert reason(RefillState(), available=available) == answer


def test_while_a_request_is_in_flight_no_other_is_made_however_long_it_takes():
    state = asked(TERMS, RefillState(), NOON, ZONE)
    assert reason(state, NOON + 30 * 24 * HOUR) == "in_flight"


def test_after_a_refill_it_cools_down():
    state = refilled(RefillState(), NOON)
    found = decide(TERMS, state, 0, NOON + MINUTE - 1, ZONE)
    assert (found.reason, found.retry_ms, found.asks) == ("cooling_down", NOON + MINUTE, False)
    assert reason(state, NOON + MINUTE) == "ask"


def test_an_answer_that_comes_twice_counts_once():
    first = asked(TERMS, RefillState(), NOON, ZONE)
    done = paid(first, 1)
    assert paid(done, 1) == done
    assert declined(TERMS, done, 1, NOON) == done
    second = asked(TERMS, done, NOON + MINUTE, ZONE)
    assert paid(second, 1) == second, "the answer to the first says nothing of the second"


def test_after_each_decline_it_waits_twice_as_long():
    state = declined(TERMS, asked(TERMS, RefillState(), NOON, ZONE), 1, NOON)
    assert reason(state, NOON + 5 * MINUTE - 1) == "backing_off"
    assert reason(state, NOON + 5 * MINUTE) == "ask"
    later = NOON + 5 * MINUTE
    state = declined(TERMS, asked(TERMS, state, later, ZONE), 2, later)
    assert decide(TERMS, state, 0, later, ZONE).retry_ms == later + 10 * MINUTE


def test_after_too_many_declines_it_is_off_until_a_person_switches_it_on():
    state, now = RefillState(), NOON
    for request in (1, 2, 3):
        assert reason(state, now) == "ask"
        state = declined(TERMS, asked(TERMS, state, now, ZONE), request, now)
        assert state.is_off == (request == 3)
        now += HOUR
    assert reason(state, now) == "off"
    assert reason(switched_on(state), now) == "ask"


def test_a_payment_forgets_the_declines_before_it():
    state = declined(TERMS, asked(TERMS, RefillState(), NOON, ZONE), 1, NOON)
    state = paid(asked(TERMS, state, NOON + HOUR, ZONE), 2)
    assert state.declines == 0


def test_the_cap_of_a_day_holds_until_local_midnight():
    state = refilled(refilled(RefillState(), NOON), NOON + HOUR)
    found = decide(TERMS, state, 0, NOON + 2 * HOUR, ZONE)
    assert (found.reason, found.retry_ms) == ("cap_of_day", at("2026-11-16 00:00"))
    assert reason(state, at("2026-11-16 00:00")) == "ask"


def test_the_cap_of_a_month_holds_until_the_1st():
    state = RefillState()
    for day in (1, 2, 3, 4, 5):
        state = refilled(state, at(f"2026-11-0{day} 12:00"))
    found = decide(TERMS, state, 0, at("2026-11-06 12:00"), ZONE)
    assert (found.reason, found.retry_ms) == ("cap_of_month", at("2026-12-01 00:00"))
    assert reason(state, at("2026-12-01 00:00")) == "ask"


def test_what_was_declined_does_not_count_towards_a_cap():
    state = asked(TERMS, refilled(RefillState(), NOON), NOON + HOUR, ZONE)
    assert (state.day_nanos, state.month_nanos) == (20 * NANOS, 20 * NANOS)
    state = declined(TERMS, state, 2, NOON + HOUR)
    assert (state.day_nanos, state.month_nanos) == (10 * NANOS, 10 * NANOS)


def test_an_event_from_yesterday_does_not_find_another_cap():
    state = refilled(refilled(RefillState(), NOON), NOON + HOUR)
    assert reason(state, NOON - 24 * HOUR) == "cooling_down"
    impatient = msgspec.structs.replace(TERMS, cool_down_ms=-48 * HOUR)
    assert decide(impatient, state, 0, NOON - 24 * HOUR, ZONE).reason == "cap_of_day"


steps = st.lists(
    st.tuples(st.sampled_from(["event", "event", "paid", "declined"]), st.integers(0, 12 * HOUR)), max_size=60
)


@given(steps)
def test_over_any_history_it_stays_within_its_caps_and_asks_one_at_a_time(history):
    """Counted apart from the state: by local day and month, what was asked for and not declined."""
    state, now = RefillState(), NOON
    open_request = None
    spent: list[tuple[int, int]] = []
    declines = 0
    for what, later in history:
        now += later
        if what == "event" and decide(TERMS, state, 0, now, ZONE).asks:
            assert open_request is None
            assert declines < TERMS.declines_max
            state = asked(TERMS, state, now, ZONE)
            open_request = state.requests
            spent.append((open_request, now))
        elif what == "paid" and open_request is not None:
            state, open_request, declines = paid(state, open_request), None, 0
        elif what == "declined" and open_request is not None:
            state = declined(TERMS, state, open_request, now)
            spent = [entry for entry in spent if entry[0] != open_request]
            open_request, declines = None, declines + 1
        days = [period_name(moment, 10) for _, moment in spent]
        months = [period_name(moment, 7) for _, moment in spent]
        assert all(days.count(day) <= 2 for day in days)
        assert all(months.count(month) <= 5 for month in months)


def period_name(moment: int, length: int) -> str:
    """The local day (10) or month (7)."""
    return local(ZONE, moment).date().isoformat()[:length]
