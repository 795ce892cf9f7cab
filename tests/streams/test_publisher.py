"""What wallets have to say comes out in order, and again rather than never; who listens acts on it once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from rater.wallet.entry import Entry, Kind
from rater.wallet.outbox import Outbox
from rater.wallet.store import Told, WalletStore
from streams import publisher as publisher_module
from streams.crew import Crew
from streams.publisher import FAN_OUT_MEMBERS, Publisher
from streams.spool_sink import SpoolSink
from streams.topics import JOURNAL, LIFECYCLE, Messages
from tests.rater.wallet.building import NOW_MS, Wallets, create, entry, join, usage
from tests.streams.spooled import BreakingSink, SinkError, records

SHARDS = 4
Who = tuple[str, str]


@pytest.fixture
async def wallets(redis: Any) -> Wallets:
    return Wallets(redis, await WalletStore.open(redis, shards=SHARDS))


def publisher_of(wallets: Wallets, sink: SpoolSink, *, hears: bool = True) -> Publisher:
    """Another process: it has a lease token of its own. It hears of what usage wrote, but not of what commands did."""
    publisher = Publisher(Outbox(wallets.redis, wallets.store), SHARDS, sink, lambda: NOW_MS)
    if hears:
        wallets.listeners.append(publisher.wake)
    return publisher


class Consumer:
    """Keeps the highest `status_version` of each wallet and SIM, and acts on nothing older."""

    def __init__(self) -> None:
        self.acted: dict[Who, list[str]] = defaultdict(list)
        self._seen: dict[Who, int] = defaultdict(int)

    def hear(self, events: list[dict[str, Any]]) -> Consumer:
        for event in events:
            who, version = (event["wallet"], event["subscriber"]), event["status_version"]
            if version > self._seen[who]:
                assert version == self._seen[who] + 1, "no crossing is missing"
                self._seen[who] = version
                self.acted[who].append(event["type"])
        return self


class PagedSink(SpoolSink):
    """Remembers what came together."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.pages: list[list[str]] = []

    async def publish(self, messages: Messages) -> None:
        if crossings := messages.get(LIFECYCLE):
            self.pages.append([orjson.loads(value)["subscriber"] for _, value in crossings])
        await super().publish(messages)


async def test_a_wallet_with_a_thousand_sims_is_worked_off_in_pages_wallet_first(
    wallets: Wallets, tmp_path: Path
) -> None:
    sims = [f"sim-{number:04}" for number in range(1000)]
    await wallets.opened("1", *sims)
    await publisher_of(wallets, SpoolSink(tmp_path)).drain()
    assert records(tmp_path, LIFECYCLE) == []
    await wallets.decide(usage("1", subscriber=sims[500]))
    sink = PagedSink(tmp_path)
    await publisher_of(wallets, sink).drain()
    assert [sim for page in sink.pages for sim in page] == ["", *sims], "once each, wallet first"
    assert len(sink.pages[0]) < 100, "few with the charge itself"
    assert len(sink.pages) >= 3
    assert max(map(len, sink.pages)) <= FAN_OUT_MEMBERS
    assert await wallets.outbox.waiting() == {}


async def test_a_command_beside_an_engine_returns_once_its_news_is_out(wallets: Wallets, tmp_path: Path) -> None:
    """Else what is asked next, such as a wallet's history, would not know of it."""
    engine, command = (publisher_of(wallets, SpoolSink(tmp_path)) for _ in range(2))
    async with Crew(engine.run()):
        while len(engine.leased) < SHARDS:
            await asyncio.sleep(0.01)
        await wallets.opened("1", "sim")
        await wallets.decide(usage("1", subscriber="sim"))
        await command.drain_with_others(60)
        assert [event["subscriber"] for event in records(tmp_path, LIFECYCLE)][:1] == [""]
        assert await wallets.outbox.ends() == {}


async def test_a_command_takes_over_from_an_engine_that_was_killed(wallets: Wallets, tmp_path: Path) -> None:
    for shard in range(SHARDS):
        assert await Outbox(wallets.redis, wallets.store).lease(shard, 0.3)
    await wallets.opened("1", "sim")
    await wallets.decide(usage("1", subscriber="sim"))
    await publisher_of(wallets, SpoolSink(tmp_path)).drain_with_others(60)
    assert [event["subscriber"] for event in records(tmp_path, LIFECYCLE)] == ["", "sim"]


async def test_between_two_pages_of_one_wallet_another_wallets_news_goes_out(wallets: Wallets, tmp_path: Path) -> None:
    """The first of a thousand SIMs do not hold back the suspend of somebody else in the same shard."""
    shard = wallets.store.shard_of("t", "w")
    other = next(f"w{n}" for n in range(100) if wallets.store.shard_of("t", f"w{n}") == shard)
    await wallets.opened("1", *(f"sim-{number:04}" for number in range(1000)))
    await wallets.decide(create("1", wallet=other), join("single", wallet=other))
    publisher = publisher_of(wallets, PagedSink(tmp_path))
    while await publisher.publish_once():
        pass
    await wallets.decide(usage("1", subscriber="sim-0000"))
    await publisher.publish_once()
    await wallets.decide(usage("1", wallet=other, subscriber="single"))
    await publisher.publish_once()
    assert len(records(tmp_path, LIFECYCLE)) < 1000
    assert [event["subscriber"] for event in records(tmp_path, LIFECYCLE) if event["wallet"] == other] == ["", "single"]
    await publisher.drain()
    assert len(records(tmp_path, LIFECYCLE)) == 1003


async def history(wallets: Wallets, seed: int, names: list[str], steps: int) -> None:
    """Wallets run dry, are refilled, held and released, at random."""
    chance = Random(seed)
    for _ in range(steps):
        name = chance.choice(names)
        possible = [
            usage("1", wallet=name, subscriber=f"{name}-0"),
            entry(Kind.CREDIT, "1", wallet=name),
            entry(Kind.HOLD, wallet=name, hold="operator"),
            entry(Kind.RELEASE, wallet=name, hold="operator"),
            entry(Kind.HOLD, wallet=name, hold="fraud", subscriber=f"{name}-1"),
        ]
        await wallets.decide(chance.choice(possible))


async def opened(wallets: Wallets, names: list[str], sims: int) -> None:
    entries: list[Entry] = []
    for name in names:
        entries += [create("1", wallet=name), *(join(f"{name}-{number}", wallet=name) for number in range(sims))]
    await wallets.decide(*entries)


async def check_acted(wallets: Wallets, consumer: Consumer, names: list[str], sims: int) -> None:
    """Who heard everything has turned each wallet and SIM off and on by turns, and is where the wallets are."""
    for name in names:
        state = await wallets.state(name)
        members = [await wallets.store.member("t", name, f"{name}-{number}") for number in range(sims)]
        for who, held in [("", state.holds), *((member.subscriber, member.holds) for member in members if member)]:
            acted = consumer.acted[name, who]
            assert acted == ["suspended", "resumed"] * (len(acted) // 2) + ["suspended"] * (len(acted) % 2)
            assert (len(acted) % 2 == 1) == bool(held)


@pytest.mark.parametrize("seed", range(4))
async def test_a_publisher_that_dies_before_it_deletes_delivers_again_and_the_consumer_acts_once(
    wallets: Wallets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Each publisher dies in one of its first deliveries: before it, after a part of it, or after it."""
    monkeypatch.setattr(publisher_module, "PAGE_ENTRIES", 25)  # so that there are several
    names, chance = ["w0", "w1", "w2", "w3", "w4"], Random(seed)
    await opened(wallets, names, sims=40)
    for death in range(6):
        await history(wallets, 10 * seed + death, names, steps=20)
        lost = ("whole", "part", "told")[death % 3]
        with pytest.raises(SinkError):
            await publisher_of(wallets, BreakingSink(tmp_path, chance.randrange(3), lost)).drain()  # type: ignore[arg-type]
    await publisher_of(wallets, SpoolSink(tmp_path)).drain()
    events = records(tmp_path, LIFECYCLE)
    assert len({orjson.dumps(event) for event in events}) < len(events), "some were delivered again"
    await check_acted(wallets, Consumer().hear(events), names, sims=40)
    journal = {(line["wallet"], line["n"]): line for line in records(tmp_path, JOURNAL)}
    assert all(journal[line["wallet"], line["n"]] == line for line in records(tmp_path, JOURNAL))
    before = len(events)
    await publisher_of(wallets, SpoolSink(tmp_path)).drain()
    assert len(records(tmp_path, LIFECYCLE)) == before, "what was deleted does not come again"


async def test_the_shards_of_a_publisher_that_was_killed_are_taken_over(wallets: Wallets, tmp_path: Path) -> None:
    """It had no time to give its leases back; they run out."""
    await wallets.opened("1", "sim-1")
    await wallets.decide(usage("1"))
    killed = publisher_of(wallets, BreakingSink(tmp_path, 0, "told"))
    await killed.publish_once()  # it looks
    with pytest.raises(SinkError):
        await killed.publish_once()
    heir = publisher_of(wallets, SpoolSink(tmp_path))
    assert not await heir.publish_once(), "the lease still stands"
    while await wallets.outbox.waiting():
        await heir.publish_once()
        await asyncio.sleep(0.05)
    events = records(tmp_path, LIFECYCLE)
    assert events == events[:2] * 2
    assert Consumer().hear(events).acted == {("w", ""): ["suspended"], ("w", "sim-1"): ["suspended"]}


async def test_a_lease_is_one_publishers_until_it_is_given_back_or_runs_out(wallets: Wallets) -> None:
    first, second = Outbox(wallets.redis, wallets.store), Outbox(wallets.redis, wallets.store)
    assert await first.lease(0, 60)
    assert not await second.lease(0, 60)
    assert await second.lease(1, 60), "another shard"
    assert await first.lease(0, 60), "renewed"
    await second.release(0)
    assert not await second.lease(0, 60), "nobody gives back what another holds"
    await first.release(0)
    assert await second.lease(0, 0.05)
    while not await first.lease(0, 60):
        await asyncio.sleep(0.01)
    assert not await second.lease(0, 60)


async def wallet_of_each_shard(wallets: Wallets, sims: int) -> list[str]:
    """A wallet in each shard, with so many SIMs; they have enough for one message."""
    names: dict[int, str] = {}
    for number in range(100):
        names.setdefault(wallets.store.shard_of("t", f"w{number}"), f"w{number}")
    for name in names.values():
        await wallets.decide(create("1", wallet=name), *(join(f"{name}-{sim}", wallet=name) for sim in range(sims)))
    return [names[shard] for shard in range(SHARDS)]


async def keep_waking(publisher: Publisher) -> None:
    """The first shard has news all the time, of entries that are gone by now."""
    while True:
        publisher.wake({0: [[0, b""]]})
        await asyncio.sleep(0.005)


async def heard(folder: Path, wallet: str, events: int) -> None:
    """Return once so many events of a wallet came out."""
    async with asyncio.timeout(60):
        while sum(event["wallet"] == wallet for event in records(folder, LIFECYCLE)) < events:
            await asyncio.sleep(0.01)


async def test_news_that_nobody_wakes_for_comes_out_while_other_news_never_ends(
    wallets: Wallets, tmp_path: Path
) -> None:
    """A timer's, another worker's."""
    names = await wallet_of_each_shard(wallets, sims=1)
    publisher = publisher_of(wallets, SpoolSink(tmp_path), hears=False)
    async with Crew(publisher.run(), keep_waking(publisher)) as crew:
        await crew.wait(asyncio.sleep(0.3))
        await wallets.decide(usage("1", wallet=names[2], subscriber=f"{names[2]}-0"))
        await crew.wait(heard(tmp_path, names[2], events=2))


#: An entry that nobody has heard of: its shard has to be read.
UNHEARD = b"9999999999999-0"


class FailingOutbox(Outbox):
    """Redis is away once when members of a shard are to follow."""

    failures = 0

    async def fan_out(self, shard: int, members: int, *, now_ms: int) -> Told:
        if shard == 1 and self.failures:
            self.failures -= 1
            raise RedisConnectionError("it is away")
        return await super().fan_out(shard, members, now_ms=now_ms)


async def test_a_failure_in_one_shard_forgets_no_news_of_any(
    wallets: Wallets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "ALONE_S", 60.0)
    names = await wallet_of_each_shard(wallets, sims=100)
    outbox = FailingOutbox(wallets.redis, wallets.store)
    publisher = Publisher(outbox, SHARDS, SpoolSink(tmp_path), lambda: NOW_MS)
    async with Crew(publisher.run(), keep_waking(publisher)) as crew:
        await crew.wait(publisher.drained())
        outbox.failures = 1
        for name in names[1:]:
            await wallets.decide(usage("1", wallet=name, subscriber=f"{name}-0"))
        publisher.wake({shard: [[0, UNHEARD]] for shard in (1, 2, 3)})
        for name in names[1:]:
            await crew.wait(heard(tmp_path, name, events=101))


class WatchingSink(SpoolSink):
    """Sees to it that nobody else delivers news of a shard at the same time."""

    def __init__(self, folder: Path, store: WalletStore, busy: set[int]) -> None:
        super().__init__(folder)
        self._store = store
        self._busy = busy
        self.shards: set[int] = set()

    async def publish(self, messages: Messages) -> None:
        keys = {key.decode() for pairs in messages.values() for key, _ in pairs}
        shards = {self._store.shard_of(*key.split("/")) for key in keys}
        assert not shards & self._busy, "two publishers at once"
        self._busy |= shards
        await super().publish(messages)
        await asyncio.sleep(0.001)
        self._busy -= shards
        self.shards |= shards


async def test_two_publishers_share_the_shards_and_never_both_hold_one(wallets: Wallets, tmp_path: Path) -> None:
    names, busy = [f"w{number}" for number in range(12)], set[int]()
    await opened(wallets, names, sims=40)
    sinks = [WatchingSink(tmp_path, wallets.store, busy) for _ in range(2)]
    publishers = [publisher_of(wallets, sink) for sink in sinks]
    async with Crew(publishers[1].run()) as crew:
        async with Crew(publishers[0].run(), beside=crew) as both:
            await both.wait(history(wallets, 1, names, steps=150))
            await both.wait(publishers[0].drained())
        # The first has stopped and given back what it held; the other does all of it.
        sinks[1].shards.clear()
        await crew.wait(history(wallets, 2, names, steps=100))
        await crew.wait(publishers[1].drained())
        assert sinks[1].shards == {wallets.store.shard_of("t", name) for name in names}
    events = records(tmp_path, LIFECYCLE)
    assert len({orjson.dumps(event) for event in events}) == len(events), "nothing came twice"
    await check_acted(wallets, Consumer().hear(events), names, sims=40)


@pytest.mark.parametrize("seed", range(3))
async def test_a_wallets_crossing_comes_before_those_of_its_sims(wallets: Wallets, tmp_path: Path, seed: int) -> None:
    names = ["w0", "w1", "w2"]
    await opened(wallets, names, sims=40)
    publisher = publisher_of(wallets, SpoolSink(tmp_path))
    for part in range(5):
        await history(wallets, 10 * seed + part, names, steps=20)
        await publisher.publish_once()
    await publisher.drain()
    held: dict[str, str] = defaultdict(lambda: "resumed")
    suspended = 0
    for event in records(tmp_path, LIFECYCLE):
        if not event["subscriber"]:
            held[event["wallet"]] = event["type"]
        elif event["holds"] == ["parent"]:
            suspended += 1
            assert held[event["wallet"]] == "suspended", "the wallet's event comes first"
    assert suspended > 40
