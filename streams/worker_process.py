"""A worker in a process of its own, and how to see from outside what it has done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from rater.errors import PartsError
from rater.pipeline.tally import Tally
from rater.settings import Settings
from schemas.fates import Fate, Reason
from streams.brokers import client_options

_FATES = {fate.label: fate for fate in Fate}
_REASONS = {reason.label: reason for reason in Reason}

#: The worker has this long to close in order.
STOP_S = 60


@contextmanager
def running_worker(settings: Settings) -> Iterator[int]:
    """`rater worker` as a platform would run it: settings through the environment, stopped by SIGTERM.

    Answers its process id.
    """
    worker = subprocess.Popen(
        [sys.executable, "-m", "rater.cli", "worker"], env=os.environ | environment(settings), stdin=subprocess.DEVNULL
    )
    try:
        _wait_for_metrics(settings, worker)
        yield worker.pid
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


def metrics_text(settings: Settings) -> str:
    """What Prometheus would scrape."""
    url = f"http://{settings.metrics.host}:{settings.metrics.port}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        text: str = answer.read().decode()
        return text


def _wait_for_metrics(settings: Settings, worker: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        try:
            metrics_text(settings)
        except OSError:
            if worker.poll() is not None:
                raise PartsError(f"the worker ended at once with {worker.returncode}; see its log above") from None
            time.sleep(0.1)
        else:
            return
    raise PartsError("the worker does not answer on its metrics port after 60 s")


def scraped(settings: Settings) -> Tally:
    """The worker's own count of fates."""
    tally = Tally()
    for family in text_string_to_metric_families(metrics_text(settings)):
        for sample in family.samples:
            if sample.name == "rater_events_total":
                key = _FATES[sample.labels["fate"]], _REASONS[sample.labels["reason"]]
                tally.fates[key] += int(sample.value)
            elif sample.name == "rater_events_in_total":
                tally.events += int(sample.value)
            elif sample.name == "rater_redelivered_total":
                tally.redelivered += int(sample.value)
    return tally


async def offsets(settings: Settings) -> tuple[int, int]:
    """Records on the usage topic: how many there ever were, and how many of them are acknowledged."""
    topic = settings.kafka.usage_topic
    # In the workers' group to see its offsets, but not a member: partitions are named by hand.
    consumer = AIOKafkaConsumer(
        **client_options(settings.kafka), group_id=settings.kafka.group, enable_auto_commit=False
    )
    await consumer.start()
    try:
        await consumer._client.force_metadata_update()
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        acknowledged = [await consumer.committed(partition) or 0 for partition in partitions]
        return sum(ends.values()), sum(acknowledged)
    finally:
        await consumer.stop()
