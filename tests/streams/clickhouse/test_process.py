"""The writer's process: it is started again when it dies, gone when its engine is, and says what it does."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import msgspec
import pytest
from prometheus_client import REGISTRY

from rater.settings import ClickHouseSettings, EngineSettings, KafkaSettings, MetricsSettings, Settings
from streams.clickhouse import supervisor
from streams.clickhouse.ledger import open_clickhouse
from streams.clickhouse.process import Order, decode_order, encode_order
from streams.clickhouse.server import ChdbClickHouse, ClickHouse
from streams.clickhouse.supervisor import WriterProcess
from streams.clickhouse.written import Written
from streams.crew import Crew
from streams.embedded.kafka import KafkaServer
from streams.embedded.ports import free_ports
from streams.kafka import KafkaCursor, KafkaSink
from streams.opening import WRITER_GROUP, create_topics_of, topics_folder
from streams.spool import SpoolCursor
from streams.spool_sink import SpoolSink
from streams.topics import LIFECYCLE, RATED
from streams.worker_process import environment
from tests.clickhouse_server import ClickHouseServer
from tests.streams.clickhouse.rows import rated, suspended
from tests.streams.clickhouse.servers import EmbeddedServer
from tests.streams.embedded.test_leash import lives, wait_until_gone

pytestmark = pytest.mark.timeout(120)

PARENT = """
import asyncio, sys
from streams.clickhouse.process import decode_order
from streams.clickhouse.supervisor import WriterProcess

async def main():
    writer = WriterProcess(decode_order(sys.stdin.buffer.readline()))
    running = asyncio.create_task(writer.run())
    while writer.pid is None:
        await asyncio.sleep(0.01)
    print(writer.pid, flush=True)
    await running

asyncio.run(main())
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(engine=EngineSettings(data=str(tmp_path / "data")), metrics=MetricsSettings(port=0))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    started = EmbeddedServer(tmp_path)
    started.start()
    yield started
    started.stop()


@pytest.fixture
async def ledger(server: EmbeddedServer) -> AsyncIterator[ClickHouse]:
    opened = await open_clickhouse("", server.socket)
    yield opened
    await opened.close()


@pytest.fixture
def order(settings: Settings, server: EmbeddedServer) -> Order:
    return Order(settings, kafka=False, socket=server.socket)


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.02)


async def publish(settings: Settings, first: int, last: int) -> None:
    values = [(b"", msgspec.json.encode(rated(f"e{number}", n=number))) for number in range(first, last)]
    messages = {RATED: values, LIFECYCLE: [(b"", msgspec.json.encode(suspended()))]}
    await SpoolSink(topics_folder(settings)).publish(messages)


async def caught_up(settings: Settings) -> None:
    await Written(SpoolCursor(topics_folder(settings), WRITER_GROUP), lambda: 0).caught_up()


async def count(ledger: ClickHouse) -> int:
    return int((await ledger.query("SELECT count() AS n FROM rated_records FINAL"))[0]["n"])


async def test_it_writes_beside_the_engine_and_its_metrics_are_shown(order: Order, ledger: ClickHouse) -> None:
    before = metric("rater_clickhouse_rows_total", table="rated_records")
    await publish(order.settings, 0, 100)
    async with Crew(WriterProcess(order).run()) as crew:
        await crew.wait(caught_up(order.settings))
        assert await count(ledger) == 100
        await until(lambda: metric("rater_clickhouse_rows_total", table="rated_records") == before + 100)
        assert metric("rater_clickhouse_rows_total", table="lifecycle_events") > 0
        assert time.time() - metric("rater_clickhouse_last_write_seconds") < 60
        await until(lambda: metric("rater_clickhouse_lag_seconds") < 3)


async def test_killed_it_is_started_again_and_goes_on_where_its_cursor_stands(
    order: Order, ledger: ClickHouse, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_S", 0.05)
    restarts = metric("rater_clickhouse_writer_restarts_total")
    writer = WriterProcess(order)
    async with Crew(writer.run()) as crew:
        for number in range(3):
            await publish(order.settings, 100 * number, 100 * number + 100)
            await until(lambda: writer.pid)
            if number == 1:
                await crew.wait(caught_up(order.settings))
            assert writer.pid
            os.kill(writer.pid, signal.SIGKILL)
            await until(lambda: writer.pid is None)
        await publish(order.settings, 300, 400)
        await crew.wait(caught_up(order.settings))
        crew.check()
    assert await count(ledger) == 400
    assert metric("rater_clickhouse_writer_restarts_total") == restarts + 3
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(said) == 3
    assert "ended with -9; it is started again in 0.1 s, rating goes on" in said[1], "the pauses grow"


async def test_it_ends_with_its_engine(order: Order) -> None:
    writer = WriterProcess(order)
    async with Crew(writer.run()):
        await until(lambda: writer.pid)
        pid = writer.pid
    assert pid
    assert not lives(pid)


def test_it_ends_when_its_engine_is_killed(order: Order) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.write(encode_order(order))
    parent.stdin.flush()
    pid = int(parent.stdout.readline())
    time.sleep(1)  # it has begun, or is about to: either way
    assert lives(pid)
    parent.kill()
    parent.communicate()
    wait_until_gone(pid)


async def test_one_that_hangs_is_gone_all_the_same(settings: Settings) -> None:
    """Its ClickHouse takes the connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"clickhouse://default@127.0.0.1:{silent.getsockname()[1]}/rater"
        silent.settimeout(30)
        settings = msgspec.structs.replace(settings, clickhouse=ClickHouseSettings(url=url))
        writer = WriterProcess(Order(settings, kafka=False, socket=None))
        async with Crew(writer.run()):
            connection, _ = await asyncio.to_thread(silent.accept)
            pid = writer.pid
        assert pid
        assert not lives(pid)
        connection.close()


async def test_while_clickhouse_is_away_the_engine_says_so(order: Order, server: EmbeddedServer) -> None:
    failures = metric("rater_clickhouse_failures_total")
    async with Crew(WriterProcess(order).run()) as crew:
        await publish(order.settings, 0, 10)
        await crew.wait(caught_up(order.settings))
        server.stop()
        await publish(order.settings, 10, 20)
        await until(lambda: metric("rater_waiting", part="clickhouse") == 1)
        await until(lambda: metric("rater_clickhouse_failures_total") > failures)
        server.start()
        await crew.wait(caught_up(order.settings))
        await until(lambda: metric("rater_waiting", part="clickhouse") == 0)
    ledger = ChdbClickHouse(server.socket)
    assert await count(ledger) == 20
    await ledger.close()


async def test_a_wait_that_was_cut_off_is_over(order: Order, server: EmbeddedServer) -> None:
    server.stop()
    writer = WriterProcess(order)
    async with Crew(writer.run()):
        await publish(order.settings, 0, 10)
        await until(lambda: metric("rater_waiting", part="clickhouse") == 1)
    assert metric("rater_waiting", part="clickhouse") == 0
    server.start()


def test_an_order_is_one_line_with_every_setting() -> None:
    settings = Settings(kafka=KafkaSettings(prefix="line\nend"), engine=EngineSettings(data="ü"))
    for socket_path in (None, Path("/tmp/it's here")):
        order = Order(settings, kafka=True, socket=socket_path, logs=True)
        line = encode_order(order)
        assert line.count(b"\n") == 1
        assert decode_order(line) == order


def start_alone(settings: Settings, *options: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "rater.cli", "writer", *options]
    return subprocess.Popen(argv, env=os.environ | environment(settings), stdin=subprocess.DEVNULL)


async def test_alone_it_follows_the_files_until_it_is_stopped(settings: Settings) -> None:
    (port,) = free_ports(1)
    settings = msgspec.structs.replace(settings, metrics=MetricsSettings(port=port))
    await publish(settings, 0, 50)
    process = start_alone(settings, "--files")
    try:
        await caught_up(settings)
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            assert b'rater_clickhouse_rows_total{table="rated_records"} 50.0' in answer.read()
    finally:
        process.terminate()
    assert await asyncio.to_thread(process.wait, 60) == 0


async def test_alone_it_follows_kafka_and_any_worker_sees_how_far_it_is(
    settings: Settings, kafka: KafkaServer, clickhouse_server: ClickHouseServer
) -> None:
    url = f"{clickhouse_server.url.rpartition('/')[0]}/writer_alone"
    settings = msgspec.structs.replace(
        settings,
        engine=EngineSettings(mode="distributed"),
        clickhouse=ClickHouseSettings(url=url, writer=False),
        kafka=KafkaSettings(
            bootstrap=kafka.bootstrap,
            usage_topic="alone",
            commands_topic="alone-commands",
            group="alone",
            prefix="alone.",
            partitions=3,
        ),
    )
    await create_topics_of(settings)
    sink = KafkaSink(settings.kafka, "alone.")
    await sink.start()
    group = f"alone-{WRITER_GROUP}"
    cursor = KafkaCursor(settings.kafka, "alone.", group)
    await cursor.start()
    now_ms = 1
    written = Written(cursor, lambda: now_ms)
    await written.caught_up()
    assert written.caught_up_ms == 1, "nothing is there to be written"
    values = [(b"%d" % number, msgspec.json.encode(rated(f"e{number}"))) for number in range(1000)]
    await sink.publish({RATED: values})
    now_ms = 2
    await written.look()
    await written.look()
    assert written.caught_up_ms == 1, "nobody writes yet"
    writers = [start_alone(settings) for _ in range(2)]
    try:
        await written.caught_up()
        ledger = await open_clickhouse(url, None)
        assert await count(ledger) == 1000
        await ledger.close()
    finally:
        for process in writers:
            process.terminate()
    assert [await asyncio.to_thread(process.wait, 60) for process in writers] == [0, 0]
    assert written.caught_up_ms == 2
    for opened in (sink, cursor):
        await opened.close()


async def test_a_process_that_cannot_be_started_or_talks_nonsense_stops_nothing(
    order: Order, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_S", 0.01)
    program = tmp_path / "python"
    restarts = metric("rater_clickhouse_writer_restarts_total")
    monkeypatch.setattr(sys, "executable", str(program))
    async with Crew(WriterProcess(order).run()) as crew:
        await until(lambda: metric("rater_clickhouse_writer_restarts_total") == restarts + 2)
        program.write_text("#!/bin/sh\necho nonsense\n")
        program.chmod(0o755)
        await until(lambda: metric("rater_clickhouse_writer_restarts_total") == restarts + 4)
        crew.check()
