"""Follows topics with a cursor of its own.

One round, and what a crash after each step leaves:

1. read    nothing happened.
2. act     on what was read, in its order; what it does can be repeated. A crash: it is read again, and found done.
3. commit  the cursor: the round is done.

A record that nobody can read is passed over with a line in the log: its topic is written by the engine alone, and the
others must not wait for it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final, TypeVar

import msgspec

from rater.settings import Settings
from schemas.notice import Notice
from streams.opening import open_source
from streams.patience import patiently
from streams.topics import NOTICES, Page, Source, TopicRecord, records_of

log = logging.getLogger(__name__)

#: Records in one round, and how long it waits for the first.
ROWS_MAX: Final = 1_000
WAIT_S: Final = 0.5

Act = Callable[[Sequence[Page]], Awaitable[None]]
T = TypeVar("T")

_decode = msgspec.json.Decoder(Notice).decode


async def follow_notices(
    settings: Settings, group: str, act: Callable[[Notice], Awaitable[None]], *, kafka: bool
) -> None:
    """Act on each notice, for ever; cancel to stop. One process of a group does, or they share the partitions."""

    async def each(pages: Sequence[Page]) -> None:
        for notice in notices_of(pages):
            await patiently("redis", partial(act, notice))

    async with open_source(settings, group, kafka=kafka, topics=(NOTICES,)) as source:
        while True:
            await follow_once(source, each)


async def follow_once(source: Source, act: Act, wait_s: float = WAIT_S) -> int:
    """One round; answers how many records were read."""
    pages = await patiently("kafka", partial(source.read, ROWS_MAX, wait_s))
    if not pages:
        return 0
    await act(pages)
    await patiently("kafka", source.commit)
    return sum(len(page.values) for page in pages)


def notices_of(pages: Iterable[Page]) -> Iterator[Notice]:
    """The notices of pages, in their order."""
    return readable(records_of(pages), lambda record: _decode(record.value))


def readable(records: Iterable[TopicRecord], read: Callable[[TopicRecord], T]) -> Iterator[T]:
    """What records say, in their order, without those that cannot be read."""
    for record in records:
        try:
            found = read(record)
        except (msgspec.DecodeError, ValueError) as error:
            log.error("%s %d:%d cannot be read: %s", record.topic, record.partition, record.offset, error)
            continue
        yield found
