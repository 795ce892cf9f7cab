"""The member of the crew: what is due by time and what the notices tell, over files, Kafka, and on a Redis Cluster."""

from __future__ import annotations

import asyncio
import uuid
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


async def until(till: Shop, balance: str) -> None:
    """Return when the wallet stands at this; meanwhile time passes, so that what was lost on its way is looked at."""
    for _ in range(400):
        if await till.balance() == balance:
            return
        till.now_ms += 1_000
        await asyncio.sleep(0.05)
    raise AssertionError(f"it stands at {await till.balance()}, not at {balance}")


async def spend(till: Shop, sink: Sink, money: str) -> None:
    """Money goes, and what the wallet says of it is published."""
    await till.apply(Kind.DEBIT, "w", money)
    await till.news()
    told = [(b"t/w", msgspec.json.encode(notice)) for notice in till.notices]
    await sink.publish({NOTICES: [(b"t/w", b"no notice"), *told]})
    till.notices.clear()


async def is_refilled(till: Shop, settings: Settings, *, kafka: bool) -> None:
    process = till.process(settings=settings, kafka=kafka)
    await till.apply(Kind.CREDIT, "w", "20")
    await till.saved()
    await till.auto_refill()
    await till.settle()
    async with open_sink(settings, kafka=kafka) as sink, Crew(process.run()) as crew:
        await spend(till, sink, "16")
        await crew.wait(until(till, "15.00"))
        till.stripe.faults.append("lost after")
        await spend(till, sink, "14")
        await asyncio.sleep(1.5)
        assert await till.balance() == "1.00", "it cools down"
        till.now_ms += MINUTE_MS
        for _ in range(200):
            if len(till.stripe.paid) == 2:
                break
            till.now_ms += 1_000
            await asyncio.sleep(0.05)
        till.now_ms += 2 * MINUTE_MS
        await crew.wait(until(till, "12.00"))
    assert len(till.stripe.paid) == 2


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
