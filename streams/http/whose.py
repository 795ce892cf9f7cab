"""Usage under a key of one account or for a person: only of SIMs of accounts within reach at the event's time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rater.pipeline.batch import RawEvent
from schemas.decode import decode_kafka, decoder
from schemas.usage import Usage
from streams.http.endpoint import Call
from streams.http.problems import Problem


async def check_usage(call: Call[Any], format: str, events: Sequence[RawEvent]) -> None:
    """Refuse the request if one of its events is of another account's SIM. What cannot be read is no usage of anybody.

    Raises:
        Problem: the key does not reach a SIM, or the person may not send its usage; nothing was taken.
    """
    decode = decoder(format, call.tenant)
    found: list[tuple[int, Usage]] = []
    for index, raw in enumerate(events):
        (usage,) = decode_kafka(raw.value, raw.headers, decode) if raw.headers else decode(raw.value)
        if isinstance(usage, Usage):
            found.append((index, usage))
    subscribers = await call.desk.engine.parts.directory.resolve([usage for _, usage in found])
    within: set[tuple[str, str]] = set()
    for (index, usage), subscriber in zip(found, subscribers, strict=True):
        field = f"/{index}" if len(events) > 1 else ""
        assignment = subscriber.assignment_at(usage.start_ms) if subscriber else None
        if assignment is None:
            raise Problem("not-found", f"{call.tenant} has no such SIM at that time", field)
        if (assignment.account, assignment.wallet) not in within:
            await call.check_sim(assignment, "such SIM at that time", field)
            within.add((assignment.account, assignment.wallet))
