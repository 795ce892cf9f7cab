"""Kafka as it is met in the wild: behind TLS and a password, and with usage that its producer compressed."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from aiokafka import AIOKafkaProducer

from rater.errors import SettingError
from rater.settings import EngineSettings, IntakeSettings, KafkaSettings, MetricsSettings, Settings
from rater.wallet.load import SimForm, WalletForm, load_wallets
from streams.brokers import client_options, credentials
from streams.embedded.kafka import KafkaServer
from streams.kafka import KafkaSink, KafkaSource, create_topics
from streams.opening import create_topics_of
from streams.parts import open_parts
from streams.topics import RATED, records_of
from tests.streams.secured_kafka import PASSWORD, USER, SecuredKafka
from tests.streams.test_crash import start

CODECS = ("gzip", "lz4", "snappy", "zstd")


@pytest.mark.parametrize("codec", CODECS)
async def test_what_is_compressed_is_read_and_what_is_written_may_be(kafka: KafkaServer, codec: Any) -> None:
    prefix = f"{uuid.uuid4().hex}."
    settings = KafkaSettings(bootstrap=kafka.bootstrap, prefix=prefix, compression=codec)
    await create_topics(settings, [prefix + RATED], 1)
    sink = KafkaSink(settings, prefix)
    await sink.start()
    value = b"x" * 10_000
    await sink.publish({RATED: [(b"key", value)] * 100})
    await sink.close()
    source = KafkaSource(settings, prefix, prefix, [RATED])
    await source.start()
    found: list[bytes] = []
    while len(found) < 100:
        found += [record.value for record in records_of(await source.read(1000, 1))]
    await source.close()
    assert found == [value] * 100


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, kafka: KafkaServer) -> Iterator[SecuredKafka]:
    with SecuredKafka(tmp_path_factory.mktemp("secured")) as server:
        yield server


@pytest.fixture
def settings(secured: SecuredKafka, tmp_path: Path) -> Settings:
    return Settings(
        engine=EngineSettings(data=str(tmp_path / "data")),
        kafka=KafkaSettings(
            bootstrap=secured.bootstrap, security_protocol="SASL_SSL", sasl_username=USER, sasl_password=PASSWORD,
            ssl_ca_file=str(secured.certificate), partitions=1,
        ),
        metrics=MetricsSettings(port=0),
        intake=IntakeSettings(clock=datetime(2026, 11, 1, tzinfo=UTC)),
    )  # fmt: skip


USAGE = {
    "tenant": "t", "source": "feed", "id": "1", "service": "data", "subscriber": "sim", "country": "DE",
    "volume_bytes": 30_000, "start_time": "2026-10-20T00:00:00Z", "end_time": "2026-10-20T00:01:00Z",
}  # fmt: skip


async def test_a_worker_behind_tls_and_a_password_rates(settings: Settings, tmp_path: Path) -> None:
    """All of its clients have to say who they are: intake, outputs, its own topics, and the commands' in Faust."""
    await create_topics_of(settings)
    async with open_parts(settings) as parts:
        sims = [SimForm(subscriber="sim")]
        form = WalletForm(tenant="t", wallet="w", currency="EUR", plan="payg-eur", balance="1.00", sims=sims)
        await load_wallets([form], parts.store, parts.directory, now_ms=parts.clock_ms())
    producer = AIOKafkaProducer(**client_options(settings.kafka))
    await producer.start()
    await producer.send_and_wait(settings.kafka.usage_topic, orjson.dumps(USAGE))
    top_up = {"tenant": "t", "source": "shop", "id": "1", "wallet": "w", "kind": "top-up", "amount": "5.00"}
    await producer.send_and_wait(settings.kafka.commands_topic, orjson.dumps(top_up))
    await producer.stop()
    log = tmp_path / "log"
    process = start(settings, log)
    source = KafkaSource(settings.kafka, settings.kafka.prefix, "check", [RATED])
    await source.start()
    try:
        found: list[Any] = []
        while not found and process.poll() is None:
            found = [orjson.loads(record.value) for record in records_of(await source.read(10, 1))]
        assert [record["id"] for record in found] == ["1"], log.read_text()
        async with open_parts(settings) as parts:
            while (state := await parts.store.wallet("t", "w")) is None or state.balance_nanos < 5 * 10**9:
                await asyncio.sleep(0.1)
    finally:
        process.terminate()
        process.wait(60)
        await source.close()


async def test_a_wrong_password_ends_the_worker_with_a_word_about_it(settings: Settings, tmp_path: Path) -> None:
    wrong = msgspec.structs.replace(settings.kafka, sasl_password="guessed")
    log = tmp_path / "log"
    process = start(msgspec.structs.replace(settings, kafka=wrong), log)
    assert await asyncio.to_thread(process.wait, 60) != 0
    assert "Authentication failed" in log.read_text()
    assert PASSWORD not in log.read_text()
    assert "guessed" not in log.read_text()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"security_protocol": "SASL_SSL"}, "kafka.sasl_username"),
        ({"security_protocol": "SSL", "ssl_ca_file": "/nowhere.pem"}, "kafka.ssl_ca_file: /nowhere.pem"),
        ({"security_protocol": "SSL", "ssl_cert_file": "/nowhere.pem"}, "kafka.ssl_cert_file: /nowhere.pem"),
    ],
)
def test_what_is_missing_is_named(given: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingError, match=named):
        credentials(KafkaSettings(**given))


def test_brokers_that_ask_nobody_are_told_nothing() -> None:
    assert credentials(KafkaSettings()) is None
