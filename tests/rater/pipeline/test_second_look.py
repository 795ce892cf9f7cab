"""Workers that rated upon what was no longer true look again, and charge as one worker alone would have."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis.asyncio as redis_async
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rater.pipeline.table import SIMS, Table, content

workers = st.integers(0, 1)
ids = st.lists(st.integers(0, 20), min_size=1, max_size=6)
fails = st.sampled_from(["", "", "", "there", "back"])
steps = st.one_of(
    st.builds(lambda worker, ids: ("prepare", worker, *ids), workers, ids),
    st.builds(lambda worker, ids: ("prepare", worker, *ids), workers, ids),
    st.tuples(st.just("charge"), workers, fails, st.just(0)),
    st.tuples(st.just("charge"), workers, fails, st.integers(0, 2)),
    st.tuples(st.sampled_from(["hold", "release"]), st.sampled_from([*SIMS, ""])),
    st.tuples(st.just("top-up"), st.sampled_from(["0.05", "0.35", "5.00"])),
)


async def play_all(socket: Path, balance: str, script: list[tuple[Any, ...]]) -> None:
    redis = redis_async.Redis(unix_socket_path=str(socket))
    table = await Table.set(redis, balance)
    for step in script:
        await table.play(step)
    await table.end()
    await redis.aclose()


@settings(max_examples=150)
@given(st.sampled_from(["0.05", "0.70", "100.00"]), st.lists(steps, max_size=14))
def test_any_conversation_of_two_workers_charges_as_one_would(
    redis_socket: Path, balance: str, script: list[tuple[Any, ...]]
) -> None:
    """Batches charged in any order, SIMs named in two ways, repeats, holds, top-ups, calls that fail there or back."""
    asyncio.run(play_all(redis_socket, balance, script))


async def test_two_workers_take_turns_at_every_batch(redis: Any) -> None:
    table = await Table.set(redis, "100.00")
    for turn in range(8):
        await table.prepare(turn % 2, 2 * turn, 2 * turn + 1, max(0, 2 * turn - 3))
        await table.charge(turn % 2)
    await table.end()


async def test_three_batches_prepared_ahead_follow_each_other_though_another_worker_came_between(redis: Any) -> None:
    table = await Table.set(redis, "100.00")
    await table.prepare(0, 1)
    await table.charge(0)
    for batch in ([2, 4, 7], [8, 2, 10], [11, 13, 1]):
        await table.prepare(0, *batch)
    await table.prepare(1, 14, 16, 17)
    await table.charge(1)
    await table.end()
    assert len(table.records) == 11


async def test_batches_that_are_charged_in_another_order_than_prepared_are_charged_too(redis: Any) -> None:
    """Two doors of one worker, or one that was stopped."""
    table = await Table.set(redis, "100.00")
    for batch in ([2, 4], [7, 8], [10, 11]):
        await table.prepare(0, *batch)
    for place in (1, 1, 0):
        await table.charge(0, place=place)
    await table.end()


async def test_a_sim_may_be_named_in_two_ways_one_of_them_for_the_first_time(redis: Any) -> None:
    """What is looked up is rated after what is known, and charged before it."""
    table = await Table.set(redis, "100.00")
    await table.prepare(0, 1)
    await table.charge(0)
    await table.prepare(0, 2, 17, 4)
    await table.end()


@pytest.mark.parametrize("fails", ["there", "back"])
async def test_a_call_that_failed_and_is_repeated_charges_once(redis: Any, fails: str) -> None:
    table = await Table.set(redis, "100.00")
    await table.prepare(0, 1, 2, 4)
    await table.prepare(0, 7, 8, 2)
    await table.charge(0, fails)
    await table.end()


async def test_a_sim_that_is_suspended_and_resumed_between_batches_prepared_ahead(redis: Any) -> None:
    table = await Table.set(redis, "100.00")
    for batch in ([1, 2], [4, 7], [8, 10]):
        await table.prepare(0, *batch)
    await table.charge(0)
    await table.play(("hold", "sim-1"))
    await table.charge(0)
    await table.play(("release", "sim-1"))
    await table.end()
    refused = [record["id"] for record in table.records if record.get("fate") == "refused"]
    assert refused == ["4", "7"]


def test_the_events_are_what_the_tests_say_of_them() -> None:
    services = [msgspec.json.decode(content(number))["service"] for number in range(21)]
    assert {service: services.count(service) for service in set(services)} == {"data": 15, "voice": 3, "message": 3}
