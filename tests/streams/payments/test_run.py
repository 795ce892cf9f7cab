"""The member of the crew: what is due by time and what the notices tell, over files, Kafka, and on a Redis Cluster."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path

import msgspec
from redis.asyncio import RedisCluster

from rater.settings import EngineSettings, KafkaSettings, Settings
from rater.wallet.entry import Kind
from rater.wallet.store import WalletStore
from streams.crew import Crew
from streams.embedded.kafka import KafkaServer
from streams.opening import create_topics_of, open_sink
from streams.topics import NOTICES, Sink
from tests.rater.wallet.test_cluster import cluster as cluster
from tests.streams.payments.building import MINUTE_MS, Shop
from tests.streams.payments.stripe_server import stripe_server


async def until(is_so: Callable[[], bool], what: str) -> None:
    for _ in range(400):
        if is_so():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(what)


async def runs_low(till: Shop, sink: Sink) -> None:
    """A wallet with auto-refill is above its threshold, then below, and what it says is published."""
    await till.apply(Kind.CREDIT, "w", "20")
    await till.saved()
    await till.auto_refill()
    await till.settle()
    await till.apply(Kind.DEBIT, "w", "16")
    await till.news()
    told = [(b"t/w", msgspec.json.encode(notice)) for notice in till.notices]
    await sink.publish({NOTICES: [(b"t/w", b"no notice"), *told]})


async def is_refilled(till: Shop, settings: Settings, *, kafka: bool) -> None:
    process = till.process(settings=settings, kafka=kafka)
    async with open_sink(settings, kafka=kafka) as sink:
        await runs_low(till, sink)
    async with Crew(process.run()) as crew:
        await crew.wait(until(lambda: bool(till.stripe.paid), "the card is not charged"))
        till.stripe.faults.append("lost after")
        await till.apply(Kind.DEBIT, "w", "14")
        till.now_ms += MINUTE_MS
        await crew.wait(until(lambda: len(till.stripe.paid) == 2, "the cool-down's end is not seen"))
        till.now_ms += 2 * MINUTE_MS
        for _ in range(200):
            if await till.balance() == "12.00":
                break
            await asyncio.sleep(0.05)
    assert await till.balance() == "12.00"


async def test_it_follows_the_notices_and_the_time_over_files(till: Shop, tmp_path: Path) -> None:
    await is_refilled(till, Settings(engine=EngineSettings(data=str(tmp_path))), kafka=False)


async def test_it_follows_the_notices_and_the_time_over_kafka(till: Shop, kafka: KafkaServer) -> None:
    name = f"p-{uuid.uuid4().hex[:8]}"
    settings = Settings(kafka=KafkaSettings(bootstrap=kafka.bootstrap, prefix=f"{name}.", group=name))
    await create_topics_of(settings)
    await is_refilled(till, settings, kafka=True)


async def test_payments_work_in_a_cluster(cluster: RedisCluster) -> None:
    async with stripe_server() as server:
        till = Shop(cluster, await WalletStore.open(cluster, shards=8), server)
        for wallet in ("w", "v", "org"):
            await till.wallet(wallet, "100" if wallet == "org" else "0")
        await till.saved()
        await till.auto_refill()
        server.faults.append("lost after")
        await till.settle()
        await till.later(2 * MINUTE_MS)
        paid = await till.pay("", method="parent", parent="org", wallet="v")
        assert (paid.status, await till.balance("v"), await till.balance("org")) == ("confirmed", "120.00", "0.00")
        assert (len(server.paid), await till.balance()) == (1, "11.00")
        assert len((await till.payments.desk.page("t", "", "", 9))[0]) == 2
        await till.close()
