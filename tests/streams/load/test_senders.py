"""Where traffic goes: a file, a real broker, a real HTTP server."""

from __future__ import annotations

import gzip
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiokafka import AIOKafkaConsumer, TopicPartition

from rater.errors import PartsError, SettingError
from rater.settings import KafkaSettings
from streams.embedded.kafka import KafkaServer
from streams.load import Fleet, Recipe, Traffic
from streams.load.file_sender import FileSender
from streams.load.http_sender import HttpSender
from streams.load.kafka_sender import KafkaSender
from streams.load.offer import offer
from streams.load.pace import Pace
from streams.usage_file import UsageFile

RECIPE = Recipe(Fleet(wallets=50), day=date(2026, 10, 20), damaged_ppm=100_000)
EVENTS = 3000
PAGE = Traffic(RECIPE).page(EVENTS, 0)


@pytest.mark.parametrize("name", ["load.jsonl", "load.jsonl.gz"])
async def test_a_file_reads_back_through_the_file_door(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    report = await offer(Traffic(RECIPE), FileSender(path), Pace(0, EVENTS))
    assert list(UsageFile(path).records()) == PAGE.values
    assert report.sorts == PAGE.sorts
    assert not report.failed


async def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.jsonl.gz", "two.jsonl.gz"):
        await offer(Traffic(RECIPE), FileSender(tmp_path / name), Pace(0, EVENTS))
    assert (tmp_path / "one.jsonl.gz").read_bytes() == (tmp_path / "two.jsonl.gz").read_bytes()
    assert gzip.decompress((tmp_path / "one.jsonl.gz").read_bytes()).count(b"\n") == EVENTS


@pytest.mark.parametrize("name", ["load.csv", "nowhere/load.jsonl"])
def test_a_file_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingError, match=name):
        FileSender(tmp_path / name)


async def test_each_sim_s_events_are_in_one_partition_in_order(kafka: KafkaServer) -> None:
    """Nothing lost, nothing twice, and a repeat behind what it repeats."""
    topic = f"load-{uuid.uuid4().hex}"
    sender = await KafkaSender(KafkaSettings(kafka.bootstrap), topic).start(3)
    report = await offer(Traffic(RECIPE), sender, Pace(50_000, EVENTS))
    assert (report.offered, report.failed) == (EVENTS, Counter())
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap)
    await consumer.start()
    partitions = [TopicPartition(topic, number) for number in range(3)]
    consumer.assign(partitions)
    await consumer.seek_to_beginning(*partitions)
    found: dict[bytes, list[bytes]] = {}
    where: dict[bytes, set[int]] = {}
    while sum(map(len, found.values())) < EVENTS:
        for partition, records in (await consumer.getmany(timeout_ms=1000)).items():
            for record in records:
                found.setdefault(record.key, []).append(record.value)
                where.setdefault(record.key, set()).add(partition.partition)
    await consumer.stop()
    sent: dict[bytes, list[bytes]] = {}
    for key, value in zip(PAGE.keys, PAGE.values, strict=True):
        sent.setdefault(key, []).append(value)
    assert found == sent
    assert all(len(used) == 1 for used in where.values())
    assert len(set.union(*where.values())) == 3


async def test_a_broker_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(PartsError, match=r"Kafka does not answer at 127\.0\.0\.1:1:"):
        await KafkaSender(KafkaSettings("127.0.0.1:1"), "usage").start(1)


class Api:
    """Takes batches as the engine's API does; answers as it is told."""

    def __init__(self) -> None:
        self.batches: list[list[dict[str, object]]] = []
        self.answers = iter([200] * 100)

    async def take(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer secret":
            return web.Response(status=401)
        assert request.content_type == "application/json"
        self.batches.append(msgspec.json.decode(await request.read()))
        return web.Response(status=next(self.answers))


@pytest.fixture
async def api() -> AsyncIterator[tuple[Api, str]]:
    taking, app = Api(), web.Application(client_max_size=2**24)
    app.router.add_post("/v1/usage", taking.take)
    async with TestServer(app) as server:
        yield taking, str(server.make_url("/"))


WHOLE = replace(RECIPE, damage_is_json=True)


async def test_batches_are_posted_with_the_key(api: tuple[Api, str]) -> None:
    taking, url = api
    sender = await HttpSender(url, "secret", 1000).start()
    report = await offer(Traffic(WHOLE), sender, Pace(0, 2500))
    assert sorted(map(len, taking.batches)) == [500, 1000, 1000]
    assert (report.offered, report.failed) == (2500, Counter())
    ids = {event["id"] for batch in taking.batches for event in batch}
    assert len(ids) == 2500 - report.sorts["repeat"]


async def test_what_is_not_taken_is_counted_by_status(api: tuple[Api, str]) -> None:
    taking, url = api
    taking.answers = iter([200, 503, 429, 200])
    sender = await HttpSender(url, "secret", 100).start()
    report = await offer(Traffic(WHOLE), sender, Pace(0, 400))
    assert report.failed == {"HTTP 503": 100, "HTTP 429": 100}


async def test_a_wrong_key_is_reported(api: tuple[Api, str]) -> None:
    sender = await HttpSender(api[1], "wrong", 100).start()
    report = await offer(Traffic(WHOLE), sender, Pace(0, 100))
    assert report.failed == {"HTTP 401": 100}


async def test_a_server_that_is_not_there_is_reported() -> None:
    sender = await HttpSender("http://127.0.0.1:1", "", 100).start()
    report = await offer(Traffic(WHOLE), sender, Pace(0, 200))
    assert report.failed == {"ClientConnectorError": 200}
