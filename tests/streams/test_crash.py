"""The worker on a real Kafka is killed again and again: nothing is lost, nothing is doubled."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from rater.money import parse_nanos
from rater.settings import EngineSettings, IntakeSettings, KafkaSettings, MetricsSettings, Settings
from rater.wallet.load import SimForm, WalletForm, load_wallets
from streams.embedded.kafka import KafkaServer
from streams.opening import create_topics_of
from streams.parts import Parts, open_parts
from streams.topics import ALL
from streams.worker_process import environment, offsets

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KILLS = 10
EVENTS = 40_000
WALLETS = 30
#: Each wallet pays for two SIMs and runs dry in the middle of the run; SIM 0 of each sends two events of three.
BALANCE = "0.25"


def settings_of(tmp_path: Path, kafka: KafkaServer, topic: str) -> Settings:
    return Settings(
        engine=EngineSettings(data=str(tmp_path / "data")),
        kafka=KafkaSettings(
            bootstrap=kafka.bootstrap,
            usage_topic=topic,
            group=topic,
            prefix=f"{topic}.",
            commands_topic=f"{topic}.commands",
        ),
        metrics=MetricsSettings(port=0),
        intake=IntakeSettings(clock=datetime(2026, 11, 1, tzinfo=UTC), batch_events=100),
    )


def usage(number: int) -> dict[str, Any]:
    wallet = number % WALLETS
    sim = f"sim-{wallet}-{1 if number % 3 == 0 else 0}"
    return {
        "tenant": "t", "source": "feed", "id": str(number), "service": "data", "subscriber": sim, "country": "DE",
        "volume_bytes": 30_000 + number, "start_time": "2026-10-20T00:00:00Z", "end_time": "2026-10-20T00:01:00Z",
    }  # fmt: skip


async def feed(settings: Settings, seed: int) -> int:
    """Every event once, one in ten a second time somewhere later; a SIM keeps its partition."""
    chance = random.Random(seed)
    numbers = list(range(EVENTS))
    for number in chance.sample(range(EVENTS), EVENTS // 10):
        numbers.insert(chance.randint(number, len(numbers)), number)
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap)
    await producer.start()
    for number in numbers:
        partition = (number % WALLETS) % settings.kafka.partitions
        await producer.send(settings.kafka.usage_topic, orjson.dumps(usage(number)), partition=partition)
    await producer.stop()
    return len(numbers)


def start(settings: Settings, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "rater.cli", "worker"],
            env=os.environ | environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )


async def run_with_kills(settings: Settings, sent: int, seed: int, log: Path) -> None:
    """Kill the worker at random moments while it works, then let it finish."""
    chance = random.Random(seed)
    for kill in range(KILLS):
        worker = start(settings, log)
        before = (await offsets(settings))[1]
        # Wait until it has begun to acknowledge, so that a kill meets batches in every stage.
        for _ in range(1200):
            if (await offsets(settings))[1] > before or worker.poll() is not None:
                break
            await asyncio.sleep(0.05)
        assert worker.poll() is None, log.read_text()[-2000:]
        await asyncio.sleep(chance.uniform(0, 0.2))
        worker.kill()
        worker.wait()
        if (await offsets(settings))[1] == sent:
            pytest.fail(f"all was done after {kill + 1} kills; the test needs more events")
    worker = start(settings, log)
    try:
        for _ in range(1200):
            if (await offsets(settings))[1] == sent:
                break
            await asyncio.sleep(0.1)
        assert (await offsets(settings))[1] == sent, log.read_text()[-2000:]
    finally:
        worker.terminate()
        worker.wait(60)


async def read_topics(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    """Everything on the engine's topics, in order within each partition."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka.bootstrap, group_id=f"{settings.kafka.group}-check")
    await consumer.start()
    partitions = [
        TopicPartition(settings.kafka.prefix + topic, number)
        for topic in ALL
        for number in range(settings.kafka.partitions)
    ]
    consumer.assign(partitions)
    ends = await consumer.end_offsets(partitions)
    for partition in partitions:
        consumer.seek(partition, 0)
    while [partition for partition in partitions if await consumer.position(partition) < ends[partition]]:
        for partition, records in (await consumer.getmany(timeout_ms=500)).items():
            topic = partition.topic.removeprefix(settings.kafka.prefix)
            found[topic] += [orjson.loads(record.value) for record in records]
    await consumer.stop()
    return found


async def set_up(settings: Settings, parts: Parts) -> None:
    await create_topics_of(settings)
    forms = [
        WalletForm(
            tenant="t", wallet=f"w{wallet}", currency="EUR", plan="payg-eur", balance=BALANCE,
            sims=[SimForm(subscriber=f"sim-{wallet}-{sim}") for sim in range(2)],
        )
        for wallet in range(WALLETS)
    ]  # fmt: skip
    await load_wallets(forms, parts.store, parts.directory, now_ms=parts.clock_ms())


def check_records(topics: dict[str, list[dict[str, Any]]]) -> dict[str, int]:
    """Each event has one fate and each of its records one content; answers nanos charged by wallet."""
    contents: dict[tuple[str, int], set[bytes]] = defaultdict(set)
    fates: dict[str, set[str]] = defaultdict(set)
    for topic in ("rated", "refused"):
        for record in topics[topic]:
            contents[record["id"], record.get("part", 0)].add(orjson.dumps(record))
            fates[record["id"]].add(record.get("fate", "rated"))
    assert set(fates) == {str(number) for number in range(EVENTS)}, "every event was decided"
    assert all(len(found) == 1 for found in fates.values()), "no event has two fates"
    assert all(len(found) == 1 for found in contents.values()), "a record delivered again is the same to the byte"
    assert not topics["parked"]
    assert not topics["dead-letters"]
    once = [orjson.loads(next(iter(found))) for found in contents.values()]
    numbers = Counter(
        (record["wallet"], record["epoch"], record["n"]) for record in once if record["n"] and not record.get("part", 0)
    )
    assert max(numbers.values()) == 1, "a wallet's number is used once"
    charged: dict[str, int] = defaultdict(int)
    for record in once:
        charged[record["wallet"]] += record["charged_nanos"]
    return charged


def check_lifecycle(events: list[dict[str, Any]]) -> None:
    """A consumer that keeps the highest status version acts once on each suspend, the wallet's before its SIMs'."""
    acted: dict[tuple[str, str], list[str]] = defaultdict(list)
    seen: dict[tuple[str, str], int] = {}
    for event in events:
        who = event["wallet"], event["subscriber"]
        if event["status_version"] > seen.get(who, 0):
            assert event["status_version"] == seen.get(who, 0) + 1, "no crossing is missing"
            seen[who] = event["status_version"]
            acted[who].append(event["type"])
            assert not event["subscriber"] or acted[event["wallet"], ""], "the wallet's event comes first"
    assert len(acted) == WALLETS * 3
    assert all(done == ["suspended"] for done in acted.values())


async def test_ten_kills_lose_nothing_and_double_nothing(tmp_path: Path, kafka: KafkaServer) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    settings = settings_of(tmp_path, kafka, "crash")
    async with open_parts(settings) as parts:
        await set_up(settings, parts)
        sent = await feed(settings, seed)
        await run_with_kills(settings, sent, seed, tmp_path / "worker.log")
        topics = await read_topics(settings)
        charged = check_records(topics)
        check_lifecycle(topics["lifecycle"])
        for wallet in range(WALLETS):
            state = await parts.store.wallet("t", f"w{wallet}")
            assert state is not None
            assert parse_nanos(BALANCE) - state.balance_nanos == charged[f"w{wallet}"], "what is gone was recorded"
            assert state.balance_nanos == 0
