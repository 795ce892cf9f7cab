"""The quick lane: an event in plain JSON of a known shape and a known SIM goes straight through.

It fulfils the rules because its shape and its SIM's name did before, and the rest is checked here. Any other event goes
the long way (rater/pipeline/prepare.py), to the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rater import compiled
from rater.pipeline.batch import Faulted, Item, Rated, RawEvent
from rater.pipeline.rater import Rater
from rater.pipeline.sims import Sim, Sims, sim_key
from rater.tariff.numbers import NumberClasses
from schemas.adapters.usage_json import UsageEvent, quick
from schemas.checks import EARLIEST_MS, SPAN_MAX_MS, is_e164, is_imsi, unix_ms
from schemas.decode import RAW_MAX_BYTES, Decoder
from schemas.shape import Shape, Shapes, shape_key
from schemas.usage import Usage


def rate_each(
    events: Sequence[RawEvent], place: int, items: list[Item], rate: Callable[[RawEvent], Item | None]
) -> int:
    """Rate events from a place on, up to one that has to go the long way; answers its place."""
    for at in range(place, len(events)):
        item = None if events[at].headers else rate(events[at])
        if item is None:
            return at
        items.append(item)
    return len(events)


class InterpretedLane:
    """See the module."""

    def __init__(self, sims: Sims, shapes: Shapes, numbers: NumberClasses, rater: Rater) -> None:
        self._sims = sims
        self._shapes = shapes
        self._numbers = numbers
        self._rater = rater

    def rate_all(
        self, events: list[RawEvent], place: int, items: list[Item], oldest_ms: int, newest_ms: int, now_ms: int
    ) -> int:
        """Rate events from a place on, up to one that has to go the long way; answers its place."""
        return rate_each(events, place, items, lambda raw: self._rate(raw, oldest_ms, newest_ms, now_ms))

    def rate_records(
        self, events: list[RawEvent], place: int, items: list[Item], decode: Decoder, oldest_ms: int, newest_ms: int,
        now_ms: int,
    ) -> int:  # fmt: skip
        """The same of records of the Data Streamer."""
        return rate_each(events, place, items, lambda raw: self._rate_record(raw, decode, oldest_ms, newest_ms, now_ms))

    def _rate_record(
        self, raw: RawEvent, decode: Decoder, oldest_ms: int, newest_ms: int, now_ms: int
    ) -> Rated | Faulted | None:
        usage = decode.record(raw.value)
        if usage is None or usage.end_ms < oldest_ms or usage.start_ms > newest_ms:
            return None
        sim = self._sims.by_key.get(sim_key(usage.tenant, "iccid", usage.iccid or ""))
        shape = self._shapes.get(shape_key(usage, None))
        if sim is None or shape is None:
            return None
        return self.rate_body(raw, usage, usage.start_ms, usage.end_ms, shape, sim, now_ms)

    def _rate(self, raw: RawEvent, oldest_ms: int, newest_ms: int, now_ms: int) -> Rated | Faulted | None:
        """The event rated, or why it cannot be; None for one that has to go the long way."""
        value = raw.value
        try:
            body = quick(value)
        except (ValueError, RecursionError):
            return None
        if body.iccid is None or body.subscriber is not None or not _has_its_names(body):
            return None
        sim = self._sims.by_key.get(sim_key(body.tenant, "iccid", body.iccid))
        number = body.called_number
        if number is not None and number[:1] == "+":
            if not is_e164(number):
                return None  # it may read like a class of numbers, "+49x"
            number = self._numbers.of(number)
        shape = self._shapes.get(shape_key(body, number))
        if sim is None or shape is None or b"\\u0000" in value:
            return None
        start_ms, end_ms = unix_ms(body.start_time), unix_ms(body.end_time)
        if not (EARLIEST_MS <= start_ms <= end_ms <= start_ms + SPAN_MAX_MS and oldest_ms <= end_ms):
            return None
        if start_ms > newest_ms or not _has_its_quantity(body) or len(value) > RAW_MAX_BYTES:
            return None
        return self.rate_body(raw, body, start_ms, end_ms, shape, sim, now_ms)

    def rate_body(
        self, raw: RawEvent, body: Usage | UsageEvent, start_ms: int, end_ms: int, shape: Shape, sim: Sim, now_ms: int
    ) -> Rated | Faulted:
        """A decoded event rated, or why it cannot be."""
        return self._rater.rate(raw, body, start_ms, end_ms, shape, sim, now_ms)


def _has_its_names(body: UsageEvent) -> bool:
    """Whether the SIM's other names are such."""
    return (body.imsi is None or is_imsi(body.imsi)) and (body.msisdn is None or is_e164(body.msisdn))


def _has_its_quantity(body: UsageEvent) -> bool:
    """Whether it has the one quantity of its service; the decoder has checked its size."""
    if body.service == "data":
        return body.volume_bytes is not None and body.duration_ms is None and body.message_count is None
    if body.service == "voice":
        return body.duration_ms is not None and body.volume_bytes is None and body.message_count is None
    return body.message_count is not None and body.volume_bytes is None and body.duration_ms is None


if TYPE_CHECKING or not compiled.IS_ON:
    QuickLane = InterpretedLane
else:
    from rater.compiled.lane import QuickLane as QuickLane
