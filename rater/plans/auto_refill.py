"""Whether a wallet asks for a refill by itself: a pure function of what was asked, paid and declined before.

It never pays twice. A request stays in flight until its provider has answered, however long that takes: a time-out is
no answer, since the payment may have gone through. While one is in flight none is asked for, and an answer to another
request than that one changes nothing, so an answer that comes twice counts once.

A request counts towards the caps when it is made; one that is declined is given back.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from rater.plans.calendar import day_start_ms, local, month_end_ms

Reason = Literal[
    "ask", "off", "above_threshold", "in_flight", "backing_off", "cooling_down", "cap_of_day", "cap_of_month"
]

#: Back-off doubles with each decline up to this many times: 2^16 times five minutes is seven months.
_DOUBLINGS_MAX: Final = 16


class AutoRefill(msgspec.Struct, frozen=True):
    """What a company has set. Caps are on what is paid, in a day and a month of the account's zone; None: none."""

    #: Asked for when this much is available, or less.
    threshold_nanos: int
    price_nanos: int
    cool_down_ms: int = 60_000
    day_max_nanos: int | None = None
    month_max_nanos: int | None = None
    #: Off after so many declines in a row.
    declines_max: int = 3
    #: How long after the first decline; doubled with each one more.
    back_off_ms: int = 300_000


class RefillState(msgspec.Struct, frozen=True):
    """What has come of it so far. Changed only by `asked`, `paid`, `declined` and `switched_on`."""

    #: How many requests were made; the number of the last, and so part of its id.
    requests: int = 0
    in_flight: bool = False
    in_flight_nanos: int = 0
    asked_ms: int | None = None
    declines: int = 0
    declined_ms: int = 0
    is_off: bool = False
    #: The day and the month of the last request, and what was asked for in them.
    day: str = ""
    day_nanos: int = 0
    month: str = ""
    month_nanos: int = 0


class RefillDecision(msgspec.Struct, frozen=True):
    """Ask or not, and why not; `retry_ms` is when time alone would change that."""

    reason: Reason
    retry_ms: int | None = None

    @property
    def asks(self) -> bool:
        """Whether to ask for the refill."""
        return self.reason == "ask"


def decide(terms: AutoRefill, state: RefillState, available_nanos: int, at_ms: int, zone: str) -> RefillDecision:
    """Whether to ask for a refill at the time of an event, which may be earlier than one seen before."""
    if state.is_off:
        return RefillDecision("off")
    if available_nanos > terms.threshold_nanos:
        return RefillDecision("above_threshold")
    if state.in_flight:
        return RefillDecision("in_flight")
    if state.declines:
        retry_ms = state.declined_ms + (terms.back_off_ms << min(state.declines - 1, _DOUBLINGS_MAX))
        if at_ms < retry_ms:
            return RefillDecision("backing_off", retry_ms)
    if state.asked_ms is not None and at_ms < state.asked_ms + terms.cool_down_ms:
        return RefillDecision("cooling_down", state.asked_ms + terms.cool_down_ms)
    day_nanos, month_nanos = _spent(state, at_ms, zone)
    if terms.month_max_nanos is not None and month_nanos + terms.price_nanos > terms.month_max_nanos:
        return RefillDecision("cap_of_month", month_end_ms(zone, max(at_ms, state.asked_ms or at_ms)))
    if terms.day_max_nanos is not None and day_nanos + terms.price_nanos > terms.day_max_nanos:
        return RefillDecision("cap_of_day", day_start_ms(zone, max(at_ms, state.asked_ms or at_ms), 1))
    return RefillDecision("ask")


def asked(terms: AutoRefill, state: RefillState, at_ms: int, zone: str) -> RefillState:
    """After the request was made; its number is the new `requests`."""
    assert not state.in_flight, "one at a time"
    day, month = _names(at_ms, zone)
    day_nanos, month_nanos = _spent(state, at_ms, zone)
    return msgspec.structs.replace(
        state,
        requests=state.requests + 1,
        in_flight=True,
        in_flight_nanos=terms.price_nanos,
        asked_ms=at_ms if state.asked_ms is None else max(at_ms, state.asked_ms),
        day=max(day, state.day),
        day_nanos=day_nanos + terms.price_nanos,
        month=max(month, state.month),
        month_nanos=month_nanos + terms.price_nanos,
    )


def paid(state: RefillState, request: int) -> RefillState:
    """After the provider confirmed a request. One that is not in flight changes nothing."""
    if not state.in_flight or request != state.requests:
        return state
    return msgspec.structs.replace(state, in_flight=False, in_flight_nanos=0, declines=0)


def declined(terms: AutoRefill, state: RefillState, request: int, at_ms: int) -> RefillState:
    """After the provider refused a request; `is_off` if it was once too often, which is told to the company."""
    if not state.in_flight or request != state.requests:
        return state
    return msgspec.structs.replace(
        state,
        in_flight=False,
        in_flight_nanos=0,
        declines=state.declines + 1,
        declined_ms=at_ms,
        is_off=state.declines + 1 >= terms.declines_max,
        day_nanos=state.day_nanos - state.in_flight_nanos,
        month_nanos=state.month_nanos - state.in_flight_nanos,
    )


def switched_on(state: RefillState) -> RefillState:
    """After a person set a method that works; what is in flight stays so."""
    return msgspec.structs.replace(state, is_off=False, declines=0)


def _names(at_ms: int, zone: str) -> tuple[str, str]:
    day = local(zone, at_ms).date().isoformat()
    return day, day[:7]


def _spent(state: RefillState, at_ms: int, zone: str) -> tuple[int, int]:
    """What was asked for in the day and month of an instant; an earlier instant than the last counts as that one."""
    day, month = _names(at_ms, zone)
    return (
        state.day_nanos if state.day >= day else 0,
        state.month_nanos if state.month >= month else 0,
    )
