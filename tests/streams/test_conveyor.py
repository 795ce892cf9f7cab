"""Batches under way: how many, and when the door may bring the next."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from rater.wallet.store import WalletStore
from streams.conveyor import AT_REST_MAX, UNDER_WAY_MAX, Conveyor
from tests.rater.pipeline.conftest import Bench, message


class Held:
    """A sink that delivers nothing until it is told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def publish(self, messages: dict[str, list[tuple[bytes, bytes]]]) -> None:
        await self.go.wait()


async def has_room(conveyor: Conveyor, under_way_max: int = UNDER_WAY_MAX) -> bool:
    waiting = asyncio.create_task(conveyor.room(under_way_max))
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    waiting.cancel()
    return bool(done)


async def test_a_door_that_is_at_its_end_waits_sooner_and_nobody_waits_for_an_acknowledgement(redis: Any) -> None:
    bench = Bench(redis, await WalletStore.open(redis, shards=4))
    await bench.wallet("w", "100.00", "sim-1")
    sink, acknowledging, acknowledged = Held(), asyncio.Event(), list[int]()

    async def acknowledge(delivered: Sequence[object]) -> None:
        await acknowledging.wait()
        acknowledged.append(len(delivered))

    async with Conveyor(await bench.pipeline(), sink, acknowledge) as conveyor:
        for number in range(UNDER_WAY_MAX):
            assert await has_room(conveyor)
            assert await has_room(conveyor, AT_REST_MAX) == (number < AT_REST_MAX)
            await conveyor.put(bench.batch(message(str(number))))
        assert not await has_room(conveyor)
        sink.go.set()
        assert await has_room(conveyor, 1), "all are delivered"
        assert not conveyor.is_idle, "and none is acknowledged"
        acknowledging.set()
        await conveyor.drain()
    assert sum(acknowledged) == UNDER_WAY_MAX
