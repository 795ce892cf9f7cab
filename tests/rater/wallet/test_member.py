"""A member's packed state: what the shard keeps and what a worker counts upon it."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis_async
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.identity import identity
from rater.wallet.debit import Debit
from rater.wallet.entry import Kind
from rater.wallet.member import (
    COUNTER_DAYS,
    COUNTERS_MAX,
    HEAD_BYTES,
    Member,
    counters_of,
    head_of,
    oldest_period,
    splice_of,
)  # fmt: skip
from rater.wallet.store import WalletStore
from tests.rater.wallet.building import NOW_MS, Wallets, create, entry, join

DAY_MS = 86_400_000

heads = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 63), st.integers(0, 2**32 - 1), st.integers(0, 1))
#: Keys as rating writes them: of this period or the one before, with names in any script.
keys = st.builds(
    "{}:{}".format,
    st.sampled_from(["2026-10-01", "2026-11-01"]),
    st.text(st.characters(codec="utf-8", min_codepoint=1), max_size=6),
)
values = st.one_of(st.integers(0, 2**63 - 1), st.sampled_from([0, 2**53 - 1, 2**53 + 1, 2**63 - 1]))
counts = st.lists(st.dictionaries(keys, values, min_size=1, max_size=3), max_size=6)


def packed(head: tuple[int, int, int, int]) -> bytes:
    """A member that has counted nothing, as the function writes it."""
    return struct.pack("<IBIB", *head)


def count(member: Member[Any], counters: dict[str, int], now_ms: int = NOW_MS) -> bytes:
    return member.advance(list(counters), list(counters.values()), now_ms)


@given(heads, counts)
def test_what_one_worker_counted_another_learns(head: tuple[int, int, int, int], events: list[dict[str, int]]) -> None:
    """And counts on from there to the same bytes; what the function keeps in the head survives."""
    member = Member[Any](b"key", packed(head))
    expected: dict[str, int] = {}
    for counters in events:
        expected |= counters
        state = count(member, counters)
        other = Member[Any](b"key", state)
        assert (other.state, other.counters) == (state, member.counters) == (member.state, expected)
        assert head_of(state) == head
        assert (other.version, other.is_held) == (head[0], head[1] != 0)
        assert count(other, counters) == state, "the same again is the same bytes"
    assert counters_of(member.state) == expected


def spliced(before: bytes, splice: bytes) -> bytes:
    """As the function does it, without the head."""
    upon = before[HEAD_BYTES:]
    head, tail = struct.unpack_from("<II", splice)
    return upon[:head] + splice[8:] + upon[len(upon) - tail :]


@given(heads, counts, counts)
def test_what_an_event_changed_of_a_member_makes_it_what_it_is(
    head: tuple[int, int, int, int], earlier: list[dict[str, int]], later: list[dict[str, int]]
) -> None:
    member = Member[Any](b"key", packed(head))
    for counters in earlier:
        count(member, counters)
    for counters in later:
        before = member.state
        after = count(member, counters)
        assert spliced(before, splice_of(before, after)) == after[HEAD_BYTES:]
        assert len(splice_of(after, after)) == 8, "nothing changed, nothing is told"


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_state_can_be_told_as_a_change_of_any_other(before: bytes, after: bytes) -> None:
    assert spliced(before, splice_of(before, after)) == after[HEAD_BYTES:]


def test_of_one_counter_among_many_only_that_is_told() -> None:
    member = Member[Any](b"key")
    before = count(member, {f"2026-11-01:{number}": 1 for number in range(20)})
    assert len(splice_of(before, count(member, {"2026-11-01:7": 2}))) == 8 + 1


@given(heads, heads, counts)
def test_what_is_learnt_replaces_all_that_was_believed(
    before: tuple[int, int, int, int], after: tuple[int, int, int, int], events: list[dict[str, int]]
) -> None:
    member = Member[Any](b"key", packed(before))
    for counters in events:
        count(member, counters)
    member.learn(packed(after))
    assert (member.state, member.counters) == (packed(after), {})
    assert counters_of(count(member, {"2026-11-01:c": 7})) == {"2026-11-01:c": 7}
    assert head_of(member.state) == after


@pytest.mark.parametrize("state", [b"", packed((3, 0, 2, 1)), packed((3, 0, 2, 1)) + bytes(7)])
def test_a_member_without_counters_has_none_and_can_begin_one(state: bytes) -> None:
    member = Member[Any](b"key", state)
    assert counters_of(state) == member.counters == {}
    assert counters_of(count(member, {"2026-11-01:c": 5})) == {"2026-11-01:c": 5}
    assert member.state[:HEAD_BYTES] == (state or bytes(HEAD_BYTES))[:HEAD_BYTES]


def test_whoever_the_shard_does_not_know_is_no_member_and_not_held() -> None:
    member = Member[Any](b"key")
    assert (member.version, member.is_held, member.state) == (0, False, b"")


def test_counters_of_long_closed_periods_go_when_a_new_one_begins_and_not_before() -> None:
    member = Member[Any](b"key", packed((1, 0, 0, 1)))
    oldest = oldest_period(NOW_MS)
    assert oldest == "2026-06-29", f"{COUNTER_DAYS} days before the first of November"
    count(member, {"2026-06-28:old": 1, f"{oldest}:kept": 2, "2026-06-01:older": 3}, NOW_MS - 30 * DAY_MS)
    count(member, {f"{oldest}:kept": 4})
    assert set(member.counters) == {"2026-06-28:old", f"{oldest}:kept", "2026-06-01:older"}
    count(member, {"2026-11-01:new": 5})
    assert counters_of(member.state) == member.counters == {f"{oldest}:kept": 4, "2026-11-01:new": 5}


def test_a_counter_that_is_being_counted_is_kept_however_old_its_period() -> None:
    member = Member[Any](b"key", packed((1, 0, 0, 1)))
    count(member, {"2026-01-01:c": 1, "2026-11-01:d": 1})
    assert member.counters == {"2026-01-01:c": 1, "2026-11-01:d": 1}


@pytest.mark.parametrize("networks", [255, 256, COUNTERS_MAX])
def test_a_sim_may_be_counted_on_as_many_networks_as_there_are(networks: int) -> None:
    member = Member[Any](b"key", packed((1, 0, 0, 1)))
    expected = {f"2026-11-01:carry:{network}": network for network in range(networks)}
    for key, value in expected.items():
        assert member.has_room([key], NOW_MS)
        count(member, {key: value})
    assert counters_of(member.state) == Member[Any](b"key", member.state).counters == expected


def test_a_full_member_has_room_for_what_it_has_and_for_what_takes_the_place_of_closed_periods() -> None:
    member = Member[Any](b"key", packed((1, 0, 0, 1)))
    count(member, {f"2026-01-01:{number}": 1 for number in range(2)} | {"2026-11-01:0": 1}, NOW_MS)
    count(member, {f"2026-11-01:{number}": 1 for number in range(COUNTERS_MAX - 2)}, NOW_MS - 300 * DAY_MS)
    full = member.state
    assert len(counters_of(full)) == COUNTERS_MAX
    assert member.has_room(["2026-11-01:new", "2026-11-01:other"], NOW_MS), "two closed ones go"
    assert not member.has_room(["2026-11-01:new", "2026-11-01:other", "2026-11-01:third"], NOW_MS)
    assert member.state == full, "to ask changes nothing that was told"
    count(member, {"2026-11-01:new": 2, "2026-11-01:other": 3})
    assert len(counters_of(member.state)) == COUNTERS_MAX
    assert counters_of(member.state)["2026-11-01:other"] == 3
    assert member.has_room(["2026-11-01:new", "2026-11-01:0"], NOW_MS)
    assert not member.has_room(["2026-11-01:0", "2026-11-01:third"], NOW_MS)


def test_events_are_settled_in_any_order() -> None:
    member = Member[str](b"key")
    for event in "abcdef":
        member.queue(event)
    for event in ("a", "c", "never rated"):
        member.settle(event)
    assert list(member.pending) == ["b", "d", "e", "f"]
    for event in ("f", "b", "e", "d", "d"):
        member.settle(event)
    assert not member.pending


def test_sessions_are_no_part_of_the_state() -> None:
    member = Member[Any](b"key", packed((1, 0, 0, 1)))
    member.sessions["session:s:used"] = 5
    assert counters_of(count(member, {"2026-11-01:c": 1})) == {"2026-11-01:c": 1}


steps = st.lists(
    st.tuples(
        st.sampled_from(["hold", "release", "usage", "usage", "look"]),
        st.sampled_from(["operator", "fraud", "payment"]),
    ),
    max_size=12,
)


async def head_survives(socket: Path, steps: list[tuple[str, str]]) -> None:
    redis = redis_async.Redis(unix_socket_path=str(socket))
    await redis.flushall()
    wallets = Wallets(redis, await WalletStore.open(redis, shards=1))
    await wallets.decide(create("1000"), join())
    wallet = wallets.store.wallet_ref("t", "w")
    key = wallets.store.member_key(wallet, "sim-1")
    member = Member[Debit](key, (await wallets.store.member_states([key]))[0])
    for place, (what, hold) in enumerate(steps):
        if what in ("hold", "release"):
            kind = Kind.HOLD if what == "hold" else Kind.RELEASE
            await wallets.decide(entry(kind, subscriber="sim-1", hold=hold))
            continue
        (shard_has,) = await wallets.store.member_states([key])
        if what == "look":
            member.learn(shard_has)
            continue
        before = member.state
        after = count(member, {"2026-11-01:c": member.counters.get("2026-11-01:c", 0) + 1})
        event = Debit(wallet, member, identity("t", "s", str(place)), bytes(24), "", "EUR", 1, 1, before, after)
        await wallets.store.charge([event], now_ms=NOW_MS)
        assert head_of((await wallets.store.member_states([key]))[0]) == head_of(shard_has)
    await redis.aclose()


@settings(max_examples=40)
@given(steps)
def test_what_the_function_set_survives_usage_of_workers_that_have_not_heard_of_it(
    redis_socket: Path, steps: list[tuple[str, str]]
) -> None:
    """Holds, status and assignment version of a member are the function's own, whatever head a worker packs."""
    asyncio.run(head_survives(redis_socket, steps))
