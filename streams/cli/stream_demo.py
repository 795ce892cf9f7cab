"""The sample over a real Kafka: broker, topics, a Faust worker in a process of its own, and what came of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import msgspec

from rater.pipeline.tally import Tally
from rater.settings import Settings
from schemas.sample import RECORDS
from streams.cli.feed import Fed, progress_bar
from streams.cli.report import Summary, gather, show
from streams.cli.sample import load_sample_wallets, make_sample, next_commands
from streams.clickhouse.queries import charged_by_currency, uncovered_by_currency
from streams.embedded.kafka import KafkaServer
from streams.embedded.ports import free_ports
from streams.engine import open_engine
from streams.feeder import feed_topic
from streams.worker_process import offsets, running_worker, scraped


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
    show(summary, as_json=as_json, next_commands=next_commands("stream", settings, summary.first_suspends))


async def _through_kafka(settings: Settings, folder: Path) -> Summary:
    async with open_engine(settings, kafka=True) as engine:
        await load_sample_wallets(engine, folder)
        await engine.settle_down()
        charged_before = await charged_by_currency(engine.clickhouse)
        uncovered_before = await uncovered_by_currency(engine.clickhouse)
    before, _ = await offsets(settings)
    with running_worker(settings):
        fed = Fed()
        with progress_bar() as progress:
            task = progress.add_task("over Kafka", total=None, rate=0.0)
            started = time.perf_counter()
            sent = await feed_topic(settings.kafka, settings.kafka.usage_topic, [folder / name for name in RECORDS])
            progress.update(task, total=sent)
            acknowledged = before
            while acknowledged < before + sent:
                await asyncio.sleep(0.2)
                _, acknowledged = await offsets(settings)
                progress.update(task, completed=acknowledged - before)
            fed.seconds = time.perf_counter() - started
            progress.update(task, completed=sent, rate=sent / fed.seconds)
        fed.tally = await _counted(settings, sent)
    async with open_engine(settings, kafka=True) as engine:
        await engine.settle_down()
        # What this run came to: the ledger may hold earlier ones.
        fed.tally.charged_nanos = Counter(await charged_by_currency(engine.clickhouse)) - Counter(charged_before)
        fed.tally.uncovered_nanos = Counter(await uncovered_by_currency(engine.clickhouse)) - Counter(uncovered_before)
        return await gather(engine.clickhouse, settings, fed)


async def _counted(settings: Settings, sent: int) -> Tally:
    """The worker's count, which follows its acknowledgement by a moment."""
    for _ in range(50):
        tally = scraped(settings)
        if sum(tally.fates.values()) >= sent:
            break
        await asyncio.sleep(0.1)
    return tally
