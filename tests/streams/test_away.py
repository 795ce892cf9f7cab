"""A part goes away while usage comes in: the door waits and nothing is lost; a task that fails stops it loudly."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY

from rater.money import parse_nanos
from rater.pipeline.tally import Tally
from rater.settings import EngineSettings, IntakeSettings, RedisSettings, Settings
from schemas.fates import Fate
from schemas.sample import CLOCK
from streams.clickhouse.writer import Writer
from streams.crew import Crew
from streams.file_door import FileDoor
from streams.parts import Parts, open_parts
from streams.publisher import Publisher
from streams.spool import SpoolSource
from streams.spool_sink import SpoolSink
from streams.topics import DEAD_LETTERS, LIFECYCLE, PARKED, RATED, REFUSED
from tests.rater.pipeline.conftest import Bench, message, usage
from tests.rater.wallet.server import Server, running
from tests.streams.spooled import BreakingSink, SinkError, records

SHARDS = 4
BATCH = 50
EVENTS = 3000
REPEATS = 300
#: Each pays for two SIMs; the odd ones run dry on the way.
WALLETS = 6
BALANCES = ("500.00", "5.00")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path / "redis") as started:
        yield started


@pytest.fixture
async def parts(server: Server, tmp_path: Path) -> AsyncIterator[Parts]:
    """The engine's own way to Redis, with the retries of its client."""
    settings = Settings(
        engine=EngineSettings(mode="distributed", data=str(tmp_path), shards=SHARDS),
        redis=RedisSettings(url=f"unix://{server.socket}"),
        intake=IntakeSettings(clock=CLOCK, batch_events=BATCH),
    )
    async with open_parts(settings) as opened:
        yield opened


@pytest.fixture
async def bench(parts: Parts) -> Bench:
    made = Bench(parts.redis, parts.store)
    for wallet in range(WALLETS):
        await made.wallet(f"w{wallet}", BALANCES[wallet % 2], f"sim-{wallet}-0", f"sim-{wallet}-1")
    return made


def write_usage(path: Path, seed: int) -> Path:
    """Every event once, some a second time somewhere later."""
    chance = random.Random(seed)
    numbers = list(range(EVENTS))
    for number in chance.sample(range(EVENTS), REPEATS):
        numbers.insert(chance.randint(number, len(numbers)), number)
    path.write_bytes(b"".join(event(number) + b"\n" for number in numbers))
    return path


def event(number: int) -> bytes:
    sim = f"sim-{number % WALLETS}-{number % 5 % 2}"
    return message(str(number), sim) if number % 7 == 0 else usage(str(number), sim, 30_000)


def waiting() -> float | None:
    return REGISTRY.get_sample_value("rater_waiting", {"part": "redis"})


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


class Run:
    """A file on its way through the door, with a publisher beside it."""

    def __init__(self, parts: Parts, path: Path, folder: Path) -> None:
        self.door = FileDoor(path, folder / "progress", parts.settings.intake)
        self.sink = SpoolSink(folder)
        self.publisher = Publisher(parts.outbox, SHARDS, self.sink, parts.clock_ms)
        self._clock_ms = parts.clock_ms

    @asynccontextmanager
    async def started(self, bench: Bench, beside: Crew) -> AsyncIterator[asyncio.Task[Tally]]:
        pipeline = await bench.pipeline(on_news=self.publisher.wake)
        door = self.door.run(pipeline, self.sink, self._clock_ms, beside)
        task = asyncio.create_task(door)
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def kill_and_start(server: Server, run: Run, task: asyncio.Task[Tally], chance: random.Random) -> None:
    """Kill Redis while batches are in every stage; the door waits for it, and goes on when it is back."""
    before = run.door.read
    await until(lambda: run.door.read > before)
    await asyncio.sleep(chance.uniform(0, 0.02))
    assert not task.done(), "the test needs more events"
    server.kill()
    await until(lambda: waiting() == 1)
    await asyncio.sleep(0.3)
    assert waiting() == 1
    assert not task.done()
    stopped_at = run.door.read
    await asyncio.to_thread(server.start)
    await until(lambda: run.door.read > stopped_at or task.done())


@pytest.mark.timeout(120)
async def test_redis_is_killed_in_the_middle_of_a_file_and_nothing_is_lost_or_doubled(
    server: Server, parts: Parts, bench: Bench, tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    run = Run(parts, write_usage(tmp_path / "usage.jsonl", seed), tmp_path / "topics")
    async with Crew(run.publisher.run()) as crew, run.started(bench, crew) as task:
        for _ in range(3):
            await kill_and_start(server, run, task, chance)
        tally = await task
        await crew.wait(run.publisher.drained())
    assert waiting() == 0
    assert tally.events == EVENTS + REPEATS
    assert tally.adds_up
    assert tally.of(Fate.DUPLICATE) == REPEATS
    charged = check_fates(tmp_path / "topics", tally)
    for wallet in range(WALLETS):
        lost = parse_nanos(BALANCES[wallet % 2]) - await bench.balance_nanos(f"w{wallet}")
        assert lost == charged[f"w{wallet}"], "what is gone was recorded"
    check_suspends(records(tmp_path / "topics", LIFECYCLE))


def check_fates(topics: Path, tally: Tally) -> Counter[str]:
    """Every event is rated or refused, not both; answers nanos charged by wallet."""
    once: dict[tuple[str, int], dict[str, Any]] = {}
    for record in records(topics, RATED) + records(topics, REFUSED):
        found = once.setdefault((record["id"], record.get("part", 0)), record)
        assert found == record, "delivered again it is the same"
    assert {number for number, _ in once} == {str(number) for number in range(EVENTS)}
    assert records(topics, PARKED) == records(topics, DEAD_LETTERS) == []
    fates = Counter(record.get("fate", "rated") for record in once.values())
    assert fates == {fate.label: tally.of(fate) for fate in (Fate.RATED, Fate.REFUSED)}
    charged: Counter[str] = Counter()
    for record in once.values():
        charged[record["wallet"]] += record["charged_nanos"]
    assert charged.total() == tally.charged_nanos["EUR"]
    return charged


def check_suspends(events: list[dict[str, Any]]) -> None:
    """A consumer that keeps the highest status version acts once for each wallet that ran dry and each of its SIMs."""
    acted = Counter((found["wallet"], found["subscriber"]) for found in events if found["status_version"] == 1)
    dry = [number for number in range(WALLETS) if number % 2]
    assert set(acted) == {(f"w{n}", sim) for n in dry for sim in ("", f"sim-{n}-0", f"sim-{n}-1")}
    assert all((found["type"], found["status_version"]) == ("suspended", 1) for found in events)


def broken_publisher(parts: Parts, folder: Path) -> Publisher:
    """Its topics cannot be written; that the wallets were made waits in the outbox."""
    return Publisher(parts.outbox, SHARDS, BreakingSink(folder, deliveries=0), parts.clock_ms)


def writer_of(folder: Path) -> Writer:
    """Follows a topic nothing comes to, so ClickHouse is never asked."""
    return Writer(SpoolSource(folder, "writer", [PARKED]), cast(Any, None))


def spoil(topics: Path) -> None:
    """A file where a segment belongs whose name is no number: the writer cannot read on."""
    (topics / PARKED).mkdir(parents=True, exist_ok=True)
    (topics / PARKED / "copy-of-0.jsonl").write_bytes(b"{}\n")


async def test_a_publisher_that_fails_stops_the_door_with_its_error(parts: Parts, bench: Bench, tmp_path: Path) -> None:
    path, topics = write_usage(tmp_path / "usage.jsonl", seed=1), tmp_path / "topics"
    run = Run(parts, path, topics)
    async with Crew(broken_publisher(parts, tmp_path / "broken").run()) as crew, run.started(bench, crew) as task:
        with pytest.raises(SinkError):
            await task
    assert not run.door.progress.done
    rest = Run(parts, path, topics)
    async with Crew(rest.publisher.run()) as crew, rest.started(bench, crew) as task:
        await task
        await crew.wait(rest.publisher.drained())
    assert run.door.tally.events + rest.door.tally.events == EVENTS + REPEATS


@pytest.mark.timeout(60)
async def test_a_writer_that_fails_stops_the_door_even_while_it_waits_for_redis(
    server: Server, parts: Parts, bench: Bench, tmp_path: Path
) -> None:
    topics = tmp_path / "topics"
    run = Run(parts, write_usage(tmp_path / "usage.jsonl", seed=2), topics)
    async with Crew(writer_of(topics).run()) as crew, run.started(bench, crew) as task:
        await until(lambda: run.door.read)
        server.kill()
        await until(lambda: waiting() == 1)
        spoil(topics)
        with pytest.raises(ValueError, match="copy-of-0"):
            await task
    assert not run.door.progress.done
    assert waiting() == 0, "nobody waits any more"


@pytest.mark.timeout(60)
async def test_nobody_waits_for_news_from_a_task_that_failed(parts: Parts, bench: Bench, tmp_path: Path) -> None:
    publisher = broken_publisher(parts, tmp_path)
    async with Crew(publisher.run()) as crew:
        with pytest.raises(SinkError):
            await crew.wait(publisher.drained())
    spoil(tmp_path)
    writer = writer_of(tmp_path)
    async with Crew(writer.run()) as crew:
        with pytest.raises(ValueError, match="copy-of-0"):
            await crew.wait(asyncio.Event().wait())
        with pytest.raises(ValueError, match="copy-of-0"):
            crew.check()


async def test_the_end_of_a_crew_is_the_end_of_its_tasks(parts: Parts, bench: Bench, tmp_path: Path) -> None:
    run = Run(parts, write_usage(tmp_path / "usage.jsonl", seed=3), tmp_path / "topics")
    async with Crew(run.publisher.run(), writer_of(tmp_path).run()) as crew:
        await crew.wait(run.publisher.drained())
    assert all(task.cancelled() for task in crew.tasks)
    assert await parts.outbox.lease(0, 1), "the publisher gave its leases back"
