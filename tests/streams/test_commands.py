"""Commands from the commands topic: carried out once, or kept among the dead letters. None is lost."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from redis.asyncio import Redis

from rater.directory import Directory
from rater.money import parse_nanos
from rater.pipeline.batch import Door
from rater.settings import Settings
from rater.wallet.outbox import Outbox
from rater.wallet.store import WalletStore
from streams.commands import CommandDesk
from streams.engine import Engine
from streams.parts import Parts
from streams.publisher import Publisher
from streams.spool import SpoolSource
from streams.spool_sink import SpoolSink
from streams.topics import DEAD_LETTERS, records_of
from tests.rater.pipeline.conftest import NOW_MS, Bench

DOOR = Door("kafka:wallet-commands/0")
TOP_UP = b'{"tenant": "t", "source": "shop", "id": "1", "wallet": "w", "kind": "top-up", "amount": "5.00"}'


@pytest.fixture
async def bench(redis: Redis) -> Bench:
    made = Bench(redis, await WalletStore.open(redis, shards=4))
    await made.wallet("w", "1.00")
    return made


@pytest.fixture
def desk(bench: Bench, tmp_path: Path) -> CommandDesk:
    outbox, sink = Outbox(bench.redis, bench.store), SpoolSink(tmp_path)
    directory = Directory(bench.redis, bench.store)
    parts = Parts(Settings(), bench.redis, bench.store, directory, outbox, None, lambda: NOW_MS)
    publisher = Publisher(outbox, 4, sink, parts.clock_ms)
    not_asked = cast(Any, None)
    used = {"parts": parts, "sink": sink, "publisher": publisher, "writer": None}
    return CommandDesk(Engine(**{field.name: used.get(field.name, not_asked) for field in fields(Engine)}))


async def dead_letters(folder: Path) -> list[dict[str, Any]]:
    pages = await SpoolSource(folder, "test", [DEAD_LETTERS]).read(100, 0)
    return [orjson.loads(record.value) for record in records_of(pages)]


async def test_a_top_up_that_comes_twice_counts_once(desk: CommandDesk, bench: Bench, tmp_path: Path) -> None:
    for position in range(2):
        await desk.handle(TOP_UP, DOOR, position)
    assert await bench.balance_nanos("w") == parse_nanos("6.00")
    assert await dead_letters(tmp_path) == []


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        None,
        TOP_UP.replace(b"shop", b"\xff"),
        TOP_UP.replace(b'"w"', b'"nowhere"'),
        TOP_UP.replace(b"5.00", b"9223372036.854775807"),
        TOP_UP.replace(b"5.00", b"-5.00"),
        TOP_UP.replace(b'"w"', b'"' + b"w" * 100_000 + b'"'),
    ],
    ids=["cut off", "no value", "no UTF-8", "no wallet", "past the ledger", "negative", "a long name"],
)
async def test_a_bad_command_is_kept_with_its_reason(
    desk: CommandDesk, bench: Bench, tmp_path: Path, raw: bytes | None
) -> None:
    await desk.handle(raw, DOOR, 7)
    (letter,) = await dead_letters(tmp_path)
    assert base64.b64decode(letter["raw"]) == (raw or b"")
    assert letter["detail"]
    assert await bench.balance_nanos("w") == parse_nanos("1.00")


async def test_a_command_that_redis_refuses_to_run_is_kept_too(desk: CommandDesk, bench: Bench, tmp_path: Path) -> None:
    """Faust would acknowledge it, whatever is raised."""
    await bench.redis.function_flush()
    await desk.handle(TOP_UP, DOOR, 7)
    (letter,) = await dead_letters(tmp_path)
    assert "not found" in letter["detail"]


async def test_a_command_waits_while_redis_is_full(desk: CommandDesk, bench: Bench, tmp_path: Path) -> None:
    await bench.redis.config_set("maxmemory", 1)
    try:
        handling = asyncio.create_task(desk.handle(TOP_UP, DOOR, 7))
        await asyncio.sleep(0.3)
        assert not handling.done()
    finally:
        await bench.redis.config_set("maxmemory", 0)
    await handling
    assert await bench.balance_nanos("w") == parse_nanos("6.00")
    assert await dead_letters(tmp_path) == []
