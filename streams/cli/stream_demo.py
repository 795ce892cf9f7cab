"""The sample over a real Kafka: broker, topics, a Faust worker in a process of its own, and what came of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from rater.errors import PartsError
from rater.pipeline.settle import Tally
from rater.settings import Settings
from schemas.fates import Fate, Reason
from schemas.sample import RECORDS
from streams.cli.demo import load_sample_wallets, make_sample, next_commands
from streams.cli.feed import Fed, progress_bar
from streams.cli.report import Summary, gather, show
from streams.clickhouse.queries import charged_by_currency, uncovered_by_currency
from streams.embedded.kafka import KafkaServer, free_ports
from streams.engine import open_engine
from streams.feeder import feed_topic

_FATES = {fate.label: fate for fate in Fate}
_REASONS = {reason.label: reason for reason in Reason}

#: The worker has this long to close in order.
STOP_S = 60


def stream_demo(settings: Settings, *, as_json: bool, events: int) -> None:
    """Run the demo in a data folder of its own, so that it does not meet the file demo's wallets."""
    (port,) = free_ports(1)
    engine = msgspec.structs.replace(settings.engine, data=str(settings.data / "stream"))
    metrics = msgspec.structs.replace(settings.metrics, port=port)
    settings = msgspec.structs.replace(settings, engine=engine, metrics=metrics)
    folder = make_sample(settings, events)
    with KafkaServer(settings.data / "kafka") as kafka:
        kafka_settings = msgspec.structs.replace(settings.kafka, bootstrap=kafka.bootstrap)
        settings = msgspec.structs.replace(settings, kafka=kafka_settings)
        summary = asyncio.run(_through_kafka(settings, folder))
    show(summary, as_json=as_json, next_commands=next_commands(summary.first_suspends))


async def _through_kafka(settings: Settings, folder: Path) -> Summary:
    async with open_engine(settings, kafka=True) as engine:
        await load_sample_wallets(engine, folder)
        await engine.settle_down()
    before = await _end_offsets(settings)
    with _worker(settings):
        fed = Fed()
        with progress_bar() as progress:
            task = progress.add_task("over Kafka", total=None, rate=0.0)
            started = time.perf_counter()
            sent = await feed_topic(
                settings.kafka.bootstrap, settings.kafka.usage_topic, [folder / name for name in RECORDS]
            )
            progress.update(task, total=sent)
            while (left := await _behind(settings)) > 0:
                progress.update(task, completed=sent - left)
                await asyncio.sleep(0.2)
            fed.seconds = time.perf_counter() - started
            progress.update(task, completed=sent, rate=sent / fed.seconds)
        fed.tally = _scraped(settings)
    assert sent == sum((await _end_offsets(settings)).values()) - sum(before.values())
    async with open_engine(settings, kafka=True) as engine:
        await engine.settle_down()
        fed.tally.charged_nanos.update(await charged_by_currency(engine.clickhouse))
        fed.tally.uncovered_nanos.update(await uncovered_by_currency(engine.clickhouse))
        return await gather(engine, fed)


@contextmanager
def _worker(settings: Settings) -> Iterator[None]:
    """`rater worker` as a platform would run it: settings through the environment, stopped by SIGTERM."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "rater.cli", "worker"], env=os.environ | environment(settings), stdin=subprocess.DEVNULL
    )
    try:
        _wait_for_metrics(settings, worker)
        yield
    finally:
        worker.send_signal(signal.SIGTERM)
        try:
            worker.wait(STOP_S)
        except subprocess.TimeoutExpired:
            Console(stderr=True).print(f"the worker did not stop within {STOP_S} s and is killed; nothing is lost")
            worker.kill()
            worker.wait()


def environment(settings: Settings) -> dict[str, str]:
    """The settings as environment variables of another process."""
    variables = {}
    for section, values in msgspec.to_builtins(settings).items():
        for key, value in values.items():
            if value is not None:
                variables[f"RATER_{section}_{key}".upper()] = str(value)
    return variables


def _metrics(settings: Settings) -> str:
    url = f"http://{settings.metrics.host}:{settings.metrics.port}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        text: str = answer.read().decode()
        return text


def _wait_for_metrics(settings: Settings, worker: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        try:
            _metrics(settings)
        except OSError:
            if worker.poll() is not None:
                raise PartsError(f"the worker ended at once with {worker.returncode}; see its log above") from None
            time.sleep(0.1)
        else:
            return
    raise PartsError("the worker does not answer on its metrics port after 60 s")


def _scraped(settings: Settings) -> Tally:
    """The worker's own count of fates."""
    tally = Tally()
    for family in text_string_to_metric_families(_metrics(settings)):
        for sample in family.samples:
            if sample.name == "rater_events_total":
                key = _FATES[sample.labels["fate"]], _REASONS[sample.labels["reason"]]
                tally.fates[key] += int(sample.value)
            elif sample.name == "rater_events_in_total":
                tally.events += int(sample.value)
            elif sample.name == "rater_redelivered_total":
                tally.redelivered += int(sample.value)
    return tally


async def _end_offsets(settings: Settings) -> dict[TopicPartition, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka.bootstrap)
    await consumer.start()
    try:
        topic = settings.kafka.usage_topic
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        offsets: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        return offsets
    finally:
        await consumer.stop()


async def _behind(settings: Settings) -> int:
    """Records on the usage topic that are not acknowledged yet."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap)
    await admin.start()
    try:
        committed = await admin.list_consumer_group_offsets(settings.kafka.group)
    finally:
        await admin.close()
    ends = await _end_offsets(settings)
    return sum(end - (committed[p].offset if p in committed else 0) for p, end in ends.items())
