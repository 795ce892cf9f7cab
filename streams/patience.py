"""Waiting for a part that is away: the worker keeps its place, says so once, and goes on when the part is back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError, RequestTimedOutError
from redis.exceptions import ClusterDownError, MasterDownError, OutOfMemoryError, ReadOnlyError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from rater.errors import PartsError, UnsafeRedisError
from streams.metrics import WAITING

log = logging.getLogger(__name__)

#: Errors that mean "away", not "wrong". Repeating is safe: verdicts are remembered, records carry their identity.
AWAY: dict[str, tuple[type[BaseException], ...]] = {
    # Full, in the middle of a failover, or without the replica it waits for: it answers, but takes nothing for now.
    "redis": (
        RedisConnectionError,
        RedisTimeoutError,
        ConnectionError,
        OutOfMemoryError,
        ReadOnlyError,
        MasterDownError,
        ClusterDownError,
        TryAgainError,
        UnsafeRedisError,
    ),
    "kafka": (KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError, RequestTimedOutError),
    # A refusal too: a disk that is full or a table that is read-only gets repaired, and nothing is dropped meanwhile.
    "clickhouse": (PartsError,),
}
FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 5.0

#: How many wait for a part at the moment.
_waits: Counter[str] = Counter()

T = TypeVar("T")


async def patiently(part: str, operation: Callable[[], Awaitable[T]]) -> T:
    """Run an operation that may be repeated, until the part answers; any other error is raised."""
    try:
        result = await operation()
        _end_if_cancelled()
        return result
    except AWAY[part] as error:
        _end_if_cancelled()
        log.warning("%s is away, waiting: %s", part, error)
    with _waiting(part):
        result = await _repeat(part, operation)
    log.warning("%s is back", part)
    return result


async def _repeat(part: str, operation: Callable[[], Awaitable[T]]) -> T:
    wait_s = FIRST_WAIT_S
    while True:
        await asyncio.sleep(wait_s * random.uniform(0.5, 1))  # noqa: S311 - spreads reconnects, guards nothing
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)
        with contextlib.suppress(*AWAY[part]):
            return await operation()
        _end_if_cancelled()


def _end_if_cancelled() -> None:
    """A client may end a cancelled call as if nothing were, or as a lost connection; its task ends all the same."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


@contextlib.contextmanager
def _waiting(part: str) -> Iterator[None]:
    """Say so in the metrics until nobody waits for the part any more, be it that it is back or was given up."""
    note_waiting(part, 1)
    try:
        yield
    finally:
        note_waiting(part, -1)


def note_waiting(part: str, more: int) -> None:
    """So many more (or fewer) wait for a part."""
    _waits[part] += more
    WAITING.labels(part).set(1 if _waits[part] else 0)
