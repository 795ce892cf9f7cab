"""Usage from files: all of it is accounted for, whatever it is, and however often the run is cut short."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any, Literal

import orjson
import pytest

from rater.errors import UsageFileError
from rater.money import parse_nanos
from rater.pipeline.tally import Tally
from rater.settings import IntakeSettings
from rater.wallet.load import SimForm, WalletForm, load_wallets
from rater.wallet.store import WalletStore
from schemas.fates import Fate, Reason
from schemas.sample import CLOCK, TENANT, damaged
from schemas.sample.fleet import make_wallets
from schemas.sample.forms import CSV_HEADER, Drawn, emnify_csv, emnify_json
from streams.file_door import FileDoor
from streams.spool_sink import SpoolSink
from streams.topics import DEAD_LETTERS, PARKED, RATED, REFUSED
from streams.usage_file import UsageFile
from tests.rater.pipeline.conftest import NOW_MS, Bench, message, usage
from tests.streams.spooled import BreakingSink, SinkError, delivered, lines, records

BATCH = 20
HOUR_MS = 3_600_000


@pytest.fixture
async def bench(redis: Any) -> Bench:
    return await empty(redis)


async def empty(redis: Any) -> Bench:
    """An engine that has seen nothing yet."""
    await redis.flushall()
    return Bench(redis, await WalletStore.open(redis, shards=4))


def write(path: Path, events: Iterable[bytes]) -> Path:
    path.write_bytes(b"".join(event + b"\n" for event in events))
    return path


def door_of(path: Path, folder: Path, **settings: Any) -> FileDoor:
    """A door that keeps its progress in a data folder."""
    return FileDoor(path, folder / "progress", IntakeSettings(**({"batch_events": BATCH} | settings)))


async def feed(bench: Bench, path: Path, folder: Path, **settings: Any) -> Tally:
    """The whole file to topics in a data folder, by a worker that has just started."""
    return await door_of(path, folder, **settings).run(await bench.pipeline(), SpoolSink(folder), lambda: NOW_MS)


def month(seed: int) -> list[bytes]:
    """Usage of three SIMs on two wallets, one of which runs dry; repeats, small sessions, and some of each damage."""
    chance = Random(seed)
    events = []
    for number in range(200):
        sim = f"sim-{chance.randrange(3)}"
        events.append(usage(str(number), sim, 30_000) if chance.random() < 0.7 else message(str(number), sim))
    events[50:50] = [usage("blocked", "sim-0", country="KP"), usage("nobody", "sim-9"), b'{"tenant": "t"', b"\0"]
    events[120:120] = [usage("conflict", "sim-0"), usage("conflict", "sim-0", 7)]
    for at in chance.sample(range(len(events)), 30):
        events.insert(chance.randint(at, len(events)), events[at])
    return events


async def set_up_month(redis: Any) -> Bench:
    bench = await empty(redis)
    await bench.wallet("full", "1000.00", "sim-0", "sim-1")
    await bench.wallet("dry", "2.05", "sim-2")
    return bench


async def left(bench: Bench) -> list[int]:
    return [await bench.balance_nanos(name) for name in ("full", "dry")]


async def test_a_file_of_a_thousand_damaged_records_is_fully_accounted_for(bench: Bench, tmp_path: Path) -> None:
    expected = damaged(seed=7, count=1000)
    assert max(len(record.raw) for record in expected) > 10_000_000
    assert int(CLOCK.timestamp()) * 1000 == NOW_MS
    path = write(tmp_path / "damaged.jsonl", [record.raw for record in expected])
    assert UsageFile(path).count() == 1000
    tally = await feed(bench, path, tmp_path, tenant=TENANT, batch_events=100)
    assert tally.events == 1000
    assert tally.adds_up
    assert tally.fates == Counter((record.fate, record.reason) for record in expected)
    letters, parked = records(tmp_path, DEAD_LETTERS), records(tmp_path, PARKED)
    assert sorted(record["position"] for record in letters + parked) == list(range(1000)), "one fate each"
    assert {topic for topic, _ in delivered(tmp_path)} == {DEAD_LETTERS, PARKED}
    for letter in letters:
        promised = expected[letter["position"]]
        assert (Fate.DEAD_LETTERED, promised.reason.label) == (promised.fate, letter["reason"])
        assert letter["field"] == promised.field
        assert letter["detail"]
        assert base64.b64decode(letter["raw"]) == promised.raw, "kept whole"
    for record in parked:
        promised = expected[record["position"]]
        assert (Fate.PARKED, promised.reason.label) == (promised.fate, record["reason"])


async def test_damage_costs_the_good_records_around_it_nothing(bench: Bench, tmp_path: Path) -> None:
    await bench.wallet("w", "100.00", "sim-1")
    events = [record.raw for record in damaged(seed=8, count=200)]
    for number in range(50):
        events.insert(5 * number, message(str(number)))
    tally = await feed(bench, write(tmp_path / "mixed.jsonl", events), tmp_path, tenant=TENANT)
    assert tally.events == 250
    assert tally.adds_up
    assert [record["id"] for record in records(tmp_path, RATED)] == [str(number) for number in range(50)]
    assert await bench.balance_nanos("w") == parse_nanos("95.00")


async def whole(redis: Any, path: Path, folder: Path) -> tuple[set[tuple[str, bytes]], list[int]]:
    """What a run that nothing disturbs brings, and what it leaves in the wallets."""
    bench = await set_up_month(redis)
    tally = await feed(bench, path, folder)
    assert tally.events == UsageFile(path).count()
    assert min(tally.of(fate) for fate in Fate) > 0, "the month has every fate"
    found = list(delivered(folder))
    assert len(set(found)) == len(found)
    return set(found), await left(bench)


def check_resumed(path: Path, folder: Path, cut: FileDoor, rest: FileDoor, expected: set[tuple[str, bytes]]) -> None:
    assert rest.progress.run == cut.progress.run == 0
    assert cut.tally.events + rest.tally.events == UsageFile(path).count(), "it goes on where it was acknowledged"
    assert set(delivered(folder)) == expected, "the same records to the byte, no other, and none is missing"
    again = door_of(path, folder)
    assert (again.progress.run, again.progress.position) == (1, 0), "given again it is another run"


@pytest.mark.parametrize("lost", ["whole", "part", "told"])
@pytest.mark.parametrize("deliveries", [0, 1, 5])
async def test_a_run_cut_short_by_its_sink_goes_on_and_ends_as_if_it_had_not_been(
    redis: Any, tmp_path: Path, deliveries: int, lost: Literal["whole", "part", "told"]
) -> None:
    path = write(tmp_path / "month.jsonl", month(seed=deliveries))
    expected, balances = await whole(redis, path, tmp_path / "whole")
    bench, folder = await set_up_month(redis), tmp_path / "cut"
    cut = door_of(path, folder)
    with pytest.raises(SinkError):
        await cut.run(await bench.pipeline(), BreakingSink(folder, deliveries, lost), lambda: NOW_MS)
    rest = door_of(path, folder)
    assert rest.progress.position <= deliveries * BATCH, "what was not delivered is not acknowledged"
    await rest.run(await bench.pipeline(), SpoolSink(folder), lambda: NOW_MS)
    assert rest.tally.redelivered > 0
    check_resumed(path, folder, cut, rest, expected)
    assert await left(bench) == balances


@pytest.mark.parametrize("acknowledged", [1, 4])
async def test_a_run_that_is_cancelled_goes_on_and_ends_as_if_it_had_not_been(
    redis: Any, tmp_path: Path, acknowledged: int
) -> None:
    path = write(tmp_path / "month.jsonl", month(seed=10 + acknowledged))
    expected, balances = await whole(redis, path, tmp_path / "whole")
    bench, folder = await set_up_month(redis), tmp_path / "cut"
    cut = door_of(path, folder)

    def stop() -> None:
        if cut.read >= acknowledged * BATCH:
            running.cancel()

    pipeline = await bench.pipeline()
    running = asyncio.create_task(cut.run(pipeline, SpoolSink(folder), lambda: NOW_MS, on_progress=stop))
    with pytest.raises(asyncio.CancelledError):
        await running
    rest = door_of(path, folder)
    assert acknowledged * BATCH <= rest.progress.position < UsageFile(path).count()
    await rest.run(await bench.pipeline(), SpoolSink(folder), lambda: NOW_MS)
    check_resumed(path, folder, cut, rest, expected)
    assert await left(bench) == balances


async def test_what_was_decided_but_not_delivered_is_rebuilt_to_the_same_bytes_an_hour_later(
    redis: Any, tmp_path: Path
) -> None:
    path = write(tmp_path / "month.jsonl", month(seed=3))
    bench = await set_up_month(redis)
    sink = BreakingSink(tmp_path, deliveries=3)
    with pytest.raises(SinkError):
        await door_of(path, tmp_path).run(await bench.pipeline(), sink, lambda: NOW_MS)
    assert sink.tried[RATED]
    await door_of(path, tmp_path).run(await bench.pipeline(), SpoolSink(tmp_path), lambda: NOW_MS + HOUR_MS)
    for topic in (RATED, REFUSED):
        assert {value for _, value in sink.tried.get(topic, [])} <= set(lines(tmp_path, topic))
    late = [record for record in records(tmp_path, RATED) if record["rated_ms"] > NOW_MS]
    assert late, "what was not decided before has the time of the second run"


async def test_a_run_that_is_cut_short_again_and_again_ends_too(redis: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "month.jsonl", month(seed=4))
    expected, balances = await whole(redis, path, tmp_path / "whole")
    bench, folder, done = await set_up_month(redis), tmp_path / "cut", 0
    while not door_of(path, folder).progress.run:
        with contextlib.suppress(SinkError):
            await door_of(path, folder).run(await bench.pipeline(), BreakingSink(folder, 2, "part"), lambda: NOW_MS)
        progress = door_of(path, folder).progress
        assert progress.run or progress.position > done, "each run gets further"
        done = progress.position
    assert set(delivered(folder)) == expected
    assert await left(bench) == balances


async def test_a_file_read_twice_is_all_duplicates_and_charges_nothing(redis: Any, tmp_path: Path) -> None:
    bench = await set_up_month(redis)
    events = [usage(str(number), f"sim-{number % 3}", 70_000) for number in range(100)]
    path = write(tmp_path / "usage.jsonl", events)
    first = await feed(bench, path, tmp_path)
    assert first.of(Fate.RATED) + first.of(Fate.REFUSED) == 100
    before, balances = list(delivered(tmp_path)), await left(bench)
    copy = write(tmp_path / "copy.jsonl", events)
    for again in (path, path, copy):
        tally = await feed(bench, again, tmp_path)
        assert tally.fates == {(Fate.DUPLICATE, Reason.NONE): 100}
        assert not tally.charged_nanos
    assert list(delivered(tmp_path)) == before
    assert await left(bench) == balances


def forms_of(drawn: list[Drawn], folder: Path) -> dict[str, Path]:
    """The same records as plain lines, as CSV (the session in a column of its own), and each in gzip."""
    rows = [f'{CSV_HEADER},"ipcan_session_id"', *(f'{emnify_csv(record)},"{record.session}"' for record in drawn)]
    texts = {".jsonl": [emnify_json(record) for record in drawn], ".csv": rows}
    paths = {}
    for suffix, text in texts.items():
        paths[suffix] = write(folder / f"usage{suffix}", [line.encode() for line in text])
        paths[f"{suffix}.gz"] = folder / f"usage{suffix}.gz"
        paths[f"{suffix}.gz"].write_bytes(gzip.compress(paths[suffix].read_bytes()))
    return paths


def drawn_usage() -> tuple[list[Drawn], list[SimForm]]:
    """Data and messages of five SIMs, some of it where the tariff has no price."""
    sims = [wallet.sims[0] for wallet in make_wallets(Random(1)) if wallet.currency == "EUR" and wallet.sims][:5]
    drawn = []
    for number in range(90):
        sim = sims[number % 5]
        sms: Any = ("", "sent", "", "received")[number % 4]
        sizes = (0, 0) if sms else (1_000 * number, 20_000 + number)
        network = sim.networks[number % len(sim.networks)]
        drawn.append(Drawn(number + 1, sim, network, 60 * number, 60 * number + 30, *sizes, f"s-{number % 9}", sms))
    return drawn, [SimForm(iccid=sim.iccid) for sim in sims]


def without_door(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    found = [(topic, orjson.loads(value)) for topic, value in delivered(folder)]
    for _, record in found:
        del record["door"]
    return found


async def test_gzip_and_csv_give_the_same_events_as_plain_lines(redis: Any, tmp_path: Path) -> None:
    drawn, sims = drawn_usage()
    paths = forms_of(drawn, tmp_path)
    settings = {"tenant": "t", "source": "emnify"}
    form = WalletForm(tenant="t", wallet="w", currency="EUR", plan="payg", balance="1000", sims=sims)
    expected: list[tuple[str, dict[str, Any]]] = []
    for suffix, path in paths.items():
        assert UsageFile(path).count() == len(list(UsageFile(path).records())) == len(drawn)
        bench, folder = await empty(redis), tmp_path / suffix
        await load_wallets([form], bench.store, bench.directory, now_ms=NOW_MS)
        first = await feed(bench, path, folder, **settings)
        assert first.of(Fate.RATED) > 50
        expected = expected or without_door(folder)
        assert without_door(folder) == expected
        for copy in set(paths.values()) - {path}:
            tally = await feed(bench, copy, folder, **settings)
            assert tally.of(Fate.DUPLICATE) == first.of(Fate.RATED), "and are known in every other form"
            assert not tally.charged_nanos
            assert tally.adds_up


async def test_progress_keeps_its_length_while_a_run_goes_on(bench: Bench, tmp_path: Path) -> None:
    """So that no power cut leaves a gap at its end."""
    await bench.wallet("w", "1000.00", "sim-1")
    path = write(tmp_path / "usage.jsonl", [usage(str(number), "sim-1", 1) for number in range(130)])
    door, found = door_of(path, tmp_path, batch_events=1), list[bytes]()

    def look() -> None:
        found.extend(one.read_bytes() for one in (tmp_path / "progress").glob("*.json"))

    await door.run(await bench.pipeline(), SpoolSink(tmp_path), lambda: NOW_MS, on_progress=look)
    assert len({len(one) for one in found}) == 1
    positions = [orjson.loads(one)["position"] for one in found]
    assert positions == sorted(positions)
    assert positions[-1] == 130


@pytest.mark.parametrize("kept", [20, 2_000, 7_000])
async def test_what_can_be_read_of_a_damaged_file_is_rated_and_the_whole_file_adds_the_rest(
    bench: Bench, tmp_path: Path, kept: int
) -> None:
    await bench.wallet("w", "1000.00", "sim-1")
    chance = Random(5)
    events = [usage(f"{chance.getrandbits(200)}", "sim-1", 1) for _ in range(500)]
    path = tmp_path / "usage.jsonl.gz"
    whole = gzip.compress(b"".join(event + b"\n" for event in events))
    path.write_bytes(whole[:kept])
    door = door_of(path, tmp_path)
    with pytest.raises(UsageFileError, match=r"usage.jsonl.gz: damaged behind record \d+: .*"):
        await door.run(await bench.pipeline(), SpoolSink(tmp_path), lambda: NOW_MS)
    rated = door.tally.of(Fate.RATED)
    assert rated == door.tally.events == UsageFile(path).count() == len(records(tmp_path, RATED)) < len(events)
    path.write_bytes(whole)
    tally = await feed(bench, path, tmp_path)
    assert tally.of(Fate.DUPLICATE) == rated
    assert tally.of(Fate.RATED) == len(events) - rated
    assert [record["id"] for record in records(tmp_path, RATED)] == [orjson.loads(event)["id"] for event in events]
