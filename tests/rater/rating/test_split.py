"""Usage is split where it crosses a boundary: voice by time, data pro rata of time in whole bytes."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rater.rating.split import split
from rater.tariff.model import Tariff
from tests.rater.rating.building import example_tariff, unix_ms
from tests.rater.rating.strategies import ZONE, usage_of

BANDS = {"half": {"from": "00:00", "to": "12:00"}, "evening": {"from": "18:00", "to": "24:00"}}


def _tariff(service: str, per: str) -> Tariff:
    rate = {"service": service, "price": "1", "per": per, "bands": {"half": "2", "evening": "3"}}
    return example_tariff({"bands": BANDS, "rates": [rate]})


def test_a_call_is_split_by_time() -> None:
    call = usage_of("voice", 120_000, unix_ms("2026-10-20T09:59:10Z"))
    pieces = split(_tariff("voice", "min"), call, ZONE)

    assert [(piece.quantity, piece.band) for piece in pieces] == [(50_000, 0), (70_000, None)]
    assert pieces[0].end_ms == pieces[1].start_ms == unix_ms("2026-10-20T10:00:00Z")


def test_bytes_are_rounded_down_and_the_last_piece_takes_the_rest() -> None:
    """1,000 bytes over 3 h: 333 in the first hour, 667 in the two after it."""
    data = usage_of("data", 1_000, unix_ms("2026-10-20T09:00:00Z"), 3 * 3_600_000)

    assert [piece.quantity for piece in split(_tariff("data", "MB"), data, ZONE)] == [333, 667]


def test_messages_are_not_split() -> None:
    messages = usage_of("message", 2, unix_ms("2026-10-20T09:00:00Z"), 3 * 3_600_000)

    assert [piece.quantity for piece in split(_tariff("message", "message"), messages, ZONE)] == [2]


def test_a_piece_without_a_byte_is_left_out() -> None:
    data = usage_of("data", 1, unix_ms("2026-10-20T09:00:00Z"), 3 * 3_600_000)

    assert [(piece.quantity, piece.band) for piece in split(_tariff("data", "MB"), data, ZONE)] == [(1, None)]


def test_usage_that_ends_at_a_boundary_does_not_cross_it() -> None:
    call = usage_of("voice", 60_000, unix_ms("2026-10-20T09:59:00Z"))

    assert len(split(_tariff("voice", "min"), call, ZONE)) == 1


@given(st.integers(0, 10**9), st.integers(0, 20 * 86_400_000), st.sampled_from(["data", "voice"]))
def test_pieces_hold_all_of_the_usage_and_follow_each_other(quantity: int, length_ms: int, service: str) -> None:
    usage = usage_of(service, quantity, unix_ms("2026-10-20T09:00:00Z"), length_ms)
    pieces = split(_tariff(service, "MB" if service == "data" else "min"), usage, ZONE)

    assert sum(piece.quantity for piece in pieces) == quantity
    assert all(piece.quantity >= 0 for piece in pieces)
    assert all(earlier.end_ms <= later.start_ms for earlier, later in pairwise(pieces))
    assert pieces[-1].end_ms == usage.end_ms
