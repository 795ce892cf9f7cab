"""What a call told goes out at once, and never before what stood in the outbox before it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from rater.wallet.entry import Kind
from rater.wallet.outbox import Outbox, OutboxPage
from rater.wallet.store import News, WalletStore
from rater.wallet.transfer import Order, Transfers
from streams import publisher as publisher_module
from streams.crew import Crew
from streams.heard import CALLS_MAX
from streams.publisher import Publisher
from streams.spool_sink import SpoolSink
from streams.topics import LIFECYCLE, Messages
from tests.rater.wallet.building import NOW_MS, Wallets, create, entry, usage
from tests.streams.spooled import BreakingSink, SinkError, records
from tests.streams.test_publisher import SHARDS, UNHEARD, publisher_of, wallet_of_each_shard
from tests.streams.test_transfers import fill

#: A look that never comes by the clock.
NEVER_S = 1e12


@pytest.fixture
async def wallets(redis: Any) -> Wallets:
    return Wallets(redis, await WalletStore.open(redis, shards=SHARDS))


async def at_rest(publisher: Publisher) -> Publisher:
    """It has its leases, has published what there was, and looks no more by the clock."""
    while await publisher.publish_once():
        pass
    publisher._look_at = NEVER_S
    return publisher


async def cross(wallets: Wallets, name: str) -> None:
    await wallets.decide(usage("1", wallet=name, subscriber=f"{name}-0"))


async def refill(wallets: Wallets, name: str) -> None:
    """Nobody tells of what a command wrote."""
    await wallets.decide(entry(Kind.CREDIT, "1", wallet=name))


def crossings(folder: Path, name: str) -> list[str]:
    return [one["type"] for one in records(folder, LIFECYCLE) if one["wallet"] == name and not one["subscriber"]]


class UnreadOutbox(Outbox):
    """Is never read."""

    async def read(self, *_: Any) -> dict[int, OutboxPage]:
        raise AssertionError("it was told all there is")


async def test_a_crossing_goes_out_without_being_read_back(wallets: Wallets, tmp_path: Path) -> None:
    names = await wallet_of_each_shard(wallets, sims=2)
    await publisher_of(wallets, SpoolSink(tmp_path)).drain()
    publisher = Publisher(UnreadOutbox(wallets.redis, wallets.store), SHARDS, SpoolSink(tmp_path), lambda: NOW_MS)
    wallets.listeners = [(await at_rest(publisher)).wake]
    for name in names:
        await cross(wallets, name)
        await wallets.decide(usage("1", wallet=name, subscriber=f"{name}-1"))  # refused: nothing is told
    assert await publisher.publish_once()
    assert [event["subscriber"] for event in records(tmp_path, LIFECYCLE)] == [
        who for name in names for who in ("", f"{name}-0", f"{name}-1")
    ]
    assert sum((await wallets.outbox.waiting()).values()) == 12, "what is delivered goes with the next look"
    await publisher.publish_once()
    assert await wallets.outbox.waiting() == {}


async def test_sims_that_follow_their_wallet_go_out_without_being_read_back(
    wallets: Wallets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "FAN_OUT_MEMBERS", 30)
    (name, *_) = await wallet_of_each_shard(wallets, sims=200)
    await publisher_of(wallets, SpoolSink(tmp_path)).drain()
    publisher = Publisher(UnreadOutbox(wallets.redis, wallets.store), SHARDS, SpoolSink(tmp_path), lambda: NOW_MS)
    wallets.listeners = [(await at_rest(publisher)).wake]
    await cross(wallets, name)
    for _ in range(7):  # the 32 of the call itself, and six pages
        assert await publisher.publish_once()
    assert not publisher._heard, "nothing is left to be told"
    told = [event["subscriber"] for event in records(tmp_path, LIFECYCLE)]
    assert told == ["", *sorted(f"{name}-{number}" for number in range(200))]


async def test_what_a_command_writes_between_two_pages_of_sims_comes_between_them(
    wallets: Wallets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "FAN_OUT_MEMBERS", 30)
    (name, *_) = await wallet_of_each_shard(wallets, sims=200)
    publisher = await at_rest(publisher_of(wallets, SpoolSink(tmp_path)))
    await cross(wallets, name)
    await publisher.publish_once()
    await refill(wallets, name)
    await publisher.drain()
    expected = [entry["subscriber"] for entry in records(tmp_path, LIFECYCLE) if entry["type"] == "suspended"]
    assert len(expected) == 1 + 32 + 30
    assert crossings(tmp_path, name) == ["suspended", "resumed"]
    last = {event["subscriber"]: event["type"] for event in records(tmp_path, LIFECYCLE)}
    assert set(last.values()) == {"resumed"}


@pytest.mark.parametrize("entries", [2, 3, 4, 6, 7, 1000])
async def test_what_others_wrote_before_a_crossing_goes_out_before_it(
    wallets: Wallets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: int
) -> None:
    monkeypatch.setattr(publisher_module, "PAGE_ENTRIES", entries)
    name = (await wallet_of_each_shard(wallets, sims=1))[0]
    publisher = await at_rest(publisher_of(wallets, SpoolSink(tmp_path)))
    for number in range(6):
        await cross(wallets, name)
        if number % 2:
            await publisher.publish_once()
        await refill(wallets, name)
        if number % 3 == 0:
            await publisher.publish_once()
    await publisher.drain()
    assert crossings(tmp_path, name) == ["suspended", "resumed"] * 6
    assert await wallets.outbox.waiting() == {}


async def test_what_is_told_late_or_out_of_order_comes_in_order_and_once(wallets: Wallets, tmp_path: Path) -> None:
    name = (await wallet_of_each_shard(wallets, sims=1))[0]
    publisher = await at_rest(publisher_of(wallets, SpoolSink(tmp_path), hears=False))
    told: list[News] = []
    wallets.listeners.append(told.append)
    for _ in range(3):
        await cross(wallets, name)
        await refill(wallets, name)
    for number in (2, 0, 1):
        publisher.wake(told[number])
    await publisher.publish_once()
    for number in (1, 0):
        publisher.wake(told[number])
    await publisher.drain()
    assert crossings(tmp_path, name) == ["suspended", "resumed"] * 3


async def test_who_stood_still_for_longer_than_its_leases_reads_before_it_tells(
    wallets: Wallets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = (await wallet_of_each_shard(wallets, sims=1))[0]
    publisher = await at_rest(publisher_of(wallets, SpoolSink(tmp_path)))
    await cross(wallets, name)  # it is told of this, and before it tells anybody it stands still
    await wallets.redis.delete(*await wallets.redis.keys("*:lease"))
    publisher._lease_until -= 10
    await refill(wallets, name)
    await publisher_of(wallets, SpoolSink(tmp_path), hears=False).drain()
    assert crossings(tmp_path, name) == ["suspended", "resumed"]
    await publisher.drain()
    assert crossings(tmp_path, name) == ["suspended", "resumed"], "another told it meanwhile"


class UnreadableOutbox(Outbox):
    """Redis is away so many times."""

    failures = 0

    async def read(self, *arguments: Any) -> dict[int, OutboxPage]:
        if self.failures:
            self.failures -= 1
            raise RedisConnectionError("it is away")
        return await super().read(*arguments)


class ClosedSink(SpoolSink):
    """Takes nothing until it is opened."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.opened = asyncio.Event()
        self.opened.set()

    async def publish(self, messages: Messages) -> None:
        await self.opened.wait()
        await super().publish(messages)


@pytest.mark.parametrize("fails", ["delivery", "reading"])
async def test_a_crossing_that_was_not_delivered_comes_before_the_next_one(
    wallets: Wallets, tmp_path: Path, fails: str
) -> None:
    name = (await wallet_of_each_shard(wallets, sims=1))[0]
    sink, outbox = ClosedSink(tmp_path), UnreadableOutbox(wallets.redis, wallets.store)
    publisher = await at_rest(Publisher(outbox, SHARDS, sink, lambda: NOW_MS))
    wallets.listeners = [publisher.wake]
    await cross(wallets, name)
    if fails == "delivery":
        sink.opened.clear()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(publisher.publish_once(), 0.05)
        sink.opened.set()
    else:  # of another shard, in the same round
        publisher.wake({1: [[0, UNHEARD]]})
        outbox.failures = 1
        with pytest.raises(RedisConnectionError):
            await publisher.publish_once()
    assert crossings(tmp_path, name) == []
    await refill(wallets, name)
    await cross(wallets, name)
    await publisher.publish_once()
    assert crossings(tmp_path, name) == ["suspended", "resumed", "suspended"]


async def test_who_gave_its_leases_back_knows_nothing_of_what_is_in_the_outbox(
    wallets: Wallets, tmp_path: Path
) -> None:
    name = (await wallet_of_each_shard(wallets, sims=1))[0]
    sink = BreakingSink(tmp_path, deliveries=100)
    publisher = await at_rest(publisher_of(wallets, sink))
    await cross(wallets, name)
    sink._left = 0
    with pytest.raises(SinkError):
        await publisher.drain()
    sink._left = 100
    await publisher.publish_once()
    await refill(wallets, name)
    await cross(wallets, name)
    await publisher.drain()
    assert crossings(tmp_path, name) == ["suspended", "resumed", "suspended"]


async def test_what_is_told_while_nothing_can_be_delivered_is_bounded(wallets: Wallets, tmp_path: Path) -> None:
    name = (await wallet_of_each_shard(wallets, sims=1))[0]
    sink = ClosedSink(tmp_path)
    publisher = publisher_of(wallets, sink)
    async with Crew(publisher.run()) as crew:
        await crew.wait(publisher.drained())
        sink.opened.clear()
        for _ in range(2 * CALLS_MAX):
            await cross(wallets, name)
            await refill(wallets, name)
        assert len(publisher._heard._told[0]) <= CALLS_MAX + 1
        sink.opened.set()
        await crew.wait(publisher.drained())
    assert crossings(tmp_path, name) == ["suspended", "resumed"] * 2 * CALLS_MAX


async def stuck(wallets: Wallets, transfers: int) -> None:
    """Money on its way that neither wallet has room for."""
    await wallets.decide(create("10", wallet="a"), create("10", wallet="b"))
    for number in range(transfers):
        order = Order("t", str(number), from_wallet="a", to_wallet="b", amount="0.01")
        await Transfers(wallets.redis, wallets.store).make(order, now_ms=NOW_MS)
    await fill(wallets, "b")
    await fill(wallets, "a")


async def test_draining_ends_though_transfers_stay_and_a_round_takes_long(
    wallets: Wallets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "ALONE_S", 0.0)  # each round looks by the clock
    await stuck(wallets, transfers=3)
    await asyncio.wait_for(publisher_of(wallets, SpoolSink(tmp_path)).drain(), 10)
    assert sum((await wallets.outbox.waiting()).values()) == 3


async def test_a_page_full_of_transfers_that_stay_hides_nothing(
    wallets: Wallets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "PAGE_ENTRIES", 5)
    await stuck(wallets, transfers=10)
    await publisher_of(wallets, SpoolSink(tmp_path)).drain()
    await wallets.decide(entry(Kind.HOLD, wallet="a", hold="operator"))
    await publisher_of(wallets, SpoolSink(tmp_path)).drain()
    assert crossings(tmp_path, "a") == ["suspended"]
    assert sum((await wallets.outbox.waiting()).values()) == 10
