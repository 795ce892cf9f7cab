"""What is due is claimed by one, comes again if that one dies, and is let go of only by who touched it last."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streams.payments.due import LEASE_MS, Due, each


@pytest.fixture
def due(redis: Any) -> Due:
    return Due(redis, "test")


async def test_what_is_due_is_claimed_by_one(due: Due) -> None:
    for number in range(30):
        await due.put(f"n{number}", number)
    claims = await asyncio.gather(*(due.claim(28, 10) for _ in range(5)))
    names = [name for claimed in claims for name, _ in claimed]
    assert sorted(names) == sorted(f"n{number}" for number in range(29))


async def test_what_was_claimed_and_not_let_go_of_comes_due_again(due: Due) -> None:
    await due.put("a", 0)
    assert [name for name, _ in await due.claim(5, 9)] == ["a"]
    assert await due.claim(5 + LEASE_MS - 1, 9) == []
    ((_, token),) = await due.claim(5 + LEASE_MS, 9)
    await due.again("a", token, None)
    assert await due.count() == 0


async def test_what_was_put_anew_meanwhile_stays_at_the_very_same_time_too(due: Due) -> None:
    first = await due.put("a", 7)
    second = await due.put("a", 7)
    await due.again("a", first, None)
    assert await due.count() == 1
    await due.again("a", second, None)
    third = await due.put("a", 7)
    await due.again("a", first, None)
    await due.again("a", second, 9)
    assert await due.claim(7, 9) != []
    await due.again("a", third, None)
    assert await due.count() == 1, "claimed by another since"


async def test_one_that_fails_does_not_keep_the_others(due: Due) -> None:
    seen = []

    async def look(name: str, token: int) -> None:
        if name == "bad":
            raise ValueError
        seen.append(name)

    await each([("a", 1), ("bad", 2), ("b", 3)], look, "test")
    assert seen == ["a", "b"]
