"""Puts records of files on the usage topic, keyed by SIM, so that one worker sees a SIM's usage in order."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaProducer

from rater.settings import KafkaSettings
from streams.brokers import client_options
from streams.usage_file import UsageFile

#: Records whose delivery is awaited together.
PAGE = 5000


class _Sim(msgspec.Struct):
    iccid: object = None


class _Keyed(msgspec.Struct):
    """The fields by which formats name a SIM."""

    sim: _Sim | None = None
    iccid: object = None
    subscriber: object = None


_decode = msgspec.json.Decoder(_Keyed).decode


def sim_of(record: bytes) -> bytes | None:
    """What the record is keyed by; None where it cannot be read (any partition will do for a damaged one)."""
    try:
        keyed = _decode(record)
    except (ValueError, RecursionError):
        return None
    name = (keyed.sim and keyed.sim.iccid) or keyed.iccid or keyed.subscriber
    return str(name).encode() if name else None


async def feed_topic(kafka: KafkaSettings, topic: str, paths: Iterable[Path]) -> int:
    """Send every record of the files; answers how many were sent."""
    producer = AIOKafkaProducer(**client_options(kafka), enable_idempotence=True, acks="all")
    await producer.start()
    sent = 0
    try:
        partitions = sorted(await producer.partitions_for(topic))
        for page in _pages(record for path in paths for record in UsageFile(path).records()):
            waiting = []
            for number, record in enumerate(page):
                key = sim_of(record)
                chosen = partitions[(zlib.crc32(key) if key else sent + number) % len(partitions)]
                waiting.append(await producer.send(topic, record, key=key, partition=chosen))
            await asyncio.gather(*waiting)
            sent += len(page)
    finally:
        await producer.stop()
    return sent


def _pages(records: Iterable[bytes]) -> Iterator[list[bytes]]:
    page: list[bytes] = []
    for record in records:
        page.append(record)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page
