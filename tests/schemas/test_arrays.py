"""A record that is a JSON array: each event is judged on its own, and no record comes to nothing."""

import json

import pytest

from schemas.decode import ARRAY_MAX, FORMATS, UsageError, decoder
from schemas.fates import Reason
from schemas.usage import Usage

EVENT = {
    "tenant": "demo", "source": "feed", "id": "1", "service": "data", "iccid": "8988303000000000001",
    "start_time": "2026-10-01T00:00:00Z", "end_time": "2026-10-01T00:01:00Z", "volume_bytes": 5,
}  # fmt: skip


def array(*elements: object) -> bytes:
    return json.dumps(elements).encode()


def test_events_come_in_the_order_of_the_array() -> None:
    events = decoder("usage")(array(*({**EVENT, "id": str(number)} for number in range(20))))
    assert [event.id for event in events if isinstance(event, Usage)] == [str(number) for number in range(20)]


@pytest.mark.parametrize("bad", [1, None, [], {}, {**EVENT, "volume_bytes": -1}, [EVENT]])
def test_a_bad_element_costs_the_others_nothing(bad: object) -> None:
    first, wrong, last = decoder("usage")(array(EVENT, bad, {**EVENT, "id": "2"}))
    assert isinstance(first, Usage)
    assert isinstance(wrong, UsageError)
    assert isinstance(last, Usage)
    assert (first.id, last.id) == ("1", "2")


def test_white_space_around_an_array_changes_nothing() -> None:
    assert decoder("auto")(b" \r\n\t" + array(EVENT) + b"\n") == decoder("auto")(array(EVENT))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("raw", [b"[]", b" [ ] "])
def test_an_empty_array_is_a_dead_letter_so_that_no_record_is_without_a_fate(format: str, raw: bytes) -> None:
    (wrong,) = decoder(format, "demo")(raw)
    assert isinstance(wrong, UsageError)
    assert (wrong.reason, wrong.detail) == (Reason.MALFORMED, "an empty array holds no event")


def test_an_array_that_is_cut_off_is_one_dead_letter() -> None:
    (wrong,) = decoder("auto")(array(EVENT, EVENT)[:-20])
    assert isinstance(wrong, UsageError)
    assert wrong.reason is Reason.MALFORMED


def test_an_array_of_too_many_elements_is_one_dead_letter_not_one_for_each() -> None:
    decode = decoder("auto")
    assert len(decode(array(*[1] * ARRAY_MAX))) == ARRAY_MAX
    (wrong,) = decode(array(*[1] * (ARRAY_MAX + 1)))
    assert isinstance(wrong, UsageError)
    assert wrong.reason is Reason.TOO_LARGE
