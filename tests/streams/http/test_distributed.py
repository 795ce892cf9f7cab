"""The same server against Redis, Kafka and ClickHouse of their own: what was answered stands on Kafka."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from rater.settings import KafkaSettings
from streams.embedded.kafka import KafkaServer
from tests.clickhouse_server import ClickHouseServer
from tests.rater.wallet.server import running
from tests.streams.http.served import Served, event, verdict


@pytest.mark.slow
def test_what_was_answered_stands_on_kafka(
    tmp_path: Path, kafka: KafkaServer, clickhouse_server: ClickHouseServer
) -> None:
    """Two servers behind one balancer: a change through one is seen through the other."""
    first, second = Served(tmp_path / "one"), Served(tmp_path / "two")
    with running(tmp_path / "redis") as redis:
        for served in (first, second):
            settings = served.settings
            served.settings = msgspec.structs.replace(
                settings,
                engine=msgspec.structs.replace(settings.engine, mode="distributed"),
                redis=msgspec.structs.replace(settings.redis, url=f"unix://{redis.socket}"),
                kafka=KafkaSettings(bootstrap=kafka.bootstrap, prefix="http.", usage_topic="http-usage", group="http",
                                    commands_topic="http-commands", partitions=2),
                clickhouse=msgspec.structs.replace(settings.clickhouse, url=clickhouse_server.url),
            )  # fmt: skip
            served.start()
        try:
            api, beside = first.key("t"), second.key("t")
            api.wallet("w", "10.00", "sim-1")
            told = api.post("/v1/usage", [event("1"), event("2")]).ok()
            assert [verdict(told, index) for index in range(2)] == [("rated", "", "0.10")] * 2
            again = beside.post("/v1/usage", [event("1"), event("2")]).ok()
            assert again["events"] == [one | {"repeated": True} for one in told["events"]]
            assert beside.balance("w") == "9.80"
            found = asyncio.run(read(kafka.bootstrap, "http.rated", 2))
            assert {record["id"] for record in map(orjson.loads, found)} == {"1", "2"}
            assert len(set(found)) == 2, "a record that is published again is the same to the byte"
            for _ in range(200):
                if len(api.get("/v1/wallets/w/history").ok()["entries"]) == 4:
                    break
                time.sleep(0.1)
            assert len(api.get("/v1/wallets/w/history").ok()["entries"]) == 4
        finally:
            assert [first.stop(), second.stop()] == [0, 0]


async def read(bootstrap: str, topic: str, partitions: int) -> list[bytes]:
    """Every message of a topic."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        wanted = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(wanted)
        ends = await consumer.end_offsets(wanted)
        for partition in wanted:
            consumer.seek(partition, 0)
        found: list[bytes] = []
        while any([await consumer.position(partition) < ends[partition] for partition in wanted]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [record.value for record in records]
        return found
    finally:
        await consumer.stop()
