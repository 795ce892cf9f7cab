"""First stage: decode, check, find who pays, rate. Everything that costs the wallet nothing.

Only looking up SIMs that are not known yet does I/O, in a step of its own (`resolve`). An event in plain JSON of a
known shape and a known SIM goes straight through (`_quick`); it fulfils the rules because its shape and its SIM's name
did before, and the rest is checked here. So does a Data Streamer record, which its decoder checks (`_quick_record`).
Any other goes the long way, to the same result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from rater.pipeline.batch import Batch, Fault, Faulted, Rated, RawEvent, Unresolved, Work
from rater.pipeline.rater import Rater
from rater.pipeline.sims import Sims
from rater.subscriber import lookup_key
from rater.tariff.numbers import NumberClasses
from schemas.adapters.usage_json import UsageEvent, quick
from schemas.checks import EARLIEST_MS, SPAN_MAX_MS, is_e164
from schemas.decode import RAW_MAX_BYTES, Decoder, UsageError, decode_kafka, decoder
from schemas.fates import Reason
from schemas.shape import Shapes, shape_key
from schemas.usage import Usage

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_decoder = lru_cache(maxsize=64)(decoder)


@dataclass(frozen=True)
class Limits:
    """How far from intake's clock an event's own time may be."""

    too_old_ms: int = 90 * DAY_MS
    future_ms: int = DAY_MS


class Preparer:
    """Turns raw events into wallet entries, or into the reason why there is none."""

    def __init__(self, sims: Sims, rater: Rater, numbers: NumberClasses, limits: Limits) -> None:
        self.sims = sims
        self.limits = limits
        self._rater = rater
        self._numbers = numbers
        self._shapes = Shapes()

    def begin(self, batch: Batch) -> Work:
        """Decode a batch, and rate the events of SIMs that are known."""
        now_ms = batch.now_ms
        oldest_ms, newest_ms = now_ms - self.limits.too_old_ms, now_ms + self.limits.future_ms
        decode = _decoder(batch.format, batch.tenant, batch.source)
        work = Work(batch, [], [])
        items, quick = work.items, self._quick if batch.format in ("usage", "auto") else self._quick_record
        for raw in batch.events:
            item = None if raw.headers else quick(raw, decode, oldest_ms, newest_ms, now_ms)
            if item is None:
                self._slowly(raw, decode, work, oldest_ms, newest_ms)
                if batch.format == "auto":  # a feed keeps to one format
                    quick = self._quick if b'"start_time"' in raw.value else self._quick_record
            else:
                items.append(item)
        return work

    async def resolve(self, work: Work) -> None:
        """Look up the SIMs that are not known and rate their events. May be repeated after a failure."""
        places = work.unresolved
        if not places:
            return
        events = [work.items[place] for place in places]
        sims = await self.sims.fetch([event.usage for event in events if type(event) is Unresolved])
        for place, event, sim in zip(places, events, sims, strict=True):
            assert type(event) is Unresolved, "it is resolved once"
            usage = event.usage
            if sim is None:
                work.items[place] = _unknown(event.raw, usage)
            else:
                work.items[place] = self._rater.rate(
                    event.raw, usage, usage.start_ms, usage.end_ms, event.shape, sim, work.batch.now_ms
                )
        work.unresolved = []

    def _quick(
        self, raw: RawEvent, _: Decoder, oldest_ms: int, newest_ms: int, now_ms: int
    ) -> Rated | Faulted | None:  # fmt: skip
        """A plain event of a shape and of a SIM that are known, rated; None for any other."""
        value = raw.value
        try:
            body = quick(value)
        except (ValueError, RecursionError):
            return None
        sim = self.sims.get((body.tenant, "iccid", body.iccid))  # type: ignore[arg-type]  # None finds nothing
        number = body.called_number
        if number is not None and number[:1] == "+":
            if not is_e164(number):
                return None  # it may read like a class of numbers, "+49x"
            number = self._numbers.of(number)
        shape = self._shapes.get(shape_key(body, number))
        if sim is None or shape is None or b"\\u0000" in value:
            return None
        if body.imsi is not None or body.msisdn is not None or body.subscriber is not None:
            return None
        start, end = body.start_time - _EPOCH, body.end_time - _EPOCH
        start_ms = start.days * DAY_MS + start.seconds * 1000 + start.microseconds // 1000
        end_ms = end.days * DAY_MS + end.seconds * 1000 + end.microseconds // 1000
        if not (EARLIEST_MS <= start_ms <= end_ms <= start_ms + SPAN_MAX_MS and oldest_ms <= end_ms):
            return None
        if start_ms > newest_ms or not _has_its_quantity(body) or len(value) > RAW_MAX_BYTES:
            return None
        return self._rater.rate(raw, body, start_ms, end_ms, shape, sim, now_ms)

    def _quick_record(
        self, raw: RawEvent, decode: Decoder, oldest_ms: int, newest_ms: int, now_ms: int
    ) -> Rated | Faulted | None:  # fmt: skip
        """A record of the Data Streamer of a shape and of a SIM that are known, rated; None for any other."""
        usage = decode.record(raw.value)
        if usage is None or usage.end_ms < oldest_ms or usage.start_ms > newest_ms:
            return None
        sim = self.sims.get((usage.tenant, "iccid", usage.iccid))  # type: ignore[arg-type]  # None finds nothing
        shape = self._shapes.get(shape_key(usage, None))
        if sim is None or shape is None:
            return None
        return self._rater.rate(raw, usage, usage.start_ms, usage.end_ms, shape, sim, now_ms)

    def _slowly(self, record: RawEvent, decode: Decoder, work: Work, oldest_ms: int, newest_ms: int) -> None:
        """Any record, the long way."""
        batch, items = work.batch, work.items
        for raw in _elements(record, decode):
            for usage in decode_kafka(raw.value, raw.headers, decode) if raw.headers else decode(raw.value):
                if isinstance(usage, UsageError):
                    items.append(Faulted(raw, None, Fault(usage.reason, usage.detail, usage.field, usage.identity)))
                    continue
                fault = _time_fault(usage, oldest_ms, newest_ms)
                if fault is not None:
                    items.append(Faulted(raw, usage, fault))
                    continue
                number = self._numbers.of(usage.called_number) if usage.called_number else None
                sim, shape = self.sims.get(lookup_key(usage)), self._shapes.of(usage, number)
                if sim is None:
                    work.unresolved.append(len(items))
                    items.append(Unresolved(raw, usage, shape))
                else:
                    items.append(self._rater.rate(raw, usage, usage.start_ms, usage.end_ms, shape, sim, batch.now_ms))


def _time_fault(usage: Usage, oldest_ms: int, newest_ms: int) -> Fault | None:
    if usage.end_ms < oldest_ms:
        return Fault.of_usage(usage, Reason.TOO_OLD, "ended longer ago than the engine accepts", "end_time")
    if usage.start_ms > newest_ms:
        return Fault.of_usage(usage, Reason.FUTURE, "starts further ahead than clocks may differ", "start_time")
    return None


def _has_its_quantity(body: UsageEvent) -> bool:
    """Whether it has the one quantity of its service; the decoder has checked its size."""
    if body.service == "data":
        return body.volume_bytes is not None and body.duration_ms is None and body.message_count is None
    if body.service == "voice":
        return body.duration_ms is not None and body.volume_bytes is None and body.message_count is None
    return body.message_count is not None and body.volume_bytes is None and body.duration_ms is None


def _elements(raw: RawEvent, decode: Decoder) -> Sequence[RawEvent]:
    """Each event by itself: an element of an array keeps its own bytes, so that a bad one is dead-lettered alone."""
    values = decode.elements(raw.value)
    if len(values) == 1:
        return [raw]
    return [RawEvent(value, raw.door, raw.position, raw.headers, number) for number, value in enumerate(values)]


def _unknown(raw: RawEvent, usage: Usage) -> Faulted:
    detail = f"no SIM is known as {_name(usage)}"
    return Faulted(raw, usage, Fault.of_usage(usage, Reason.UNKNOWN_SUBSCRIBER, detail))


def _name(usage: Usage) -> str:
    """The identifier a person would search for."""
    for kind in ("subscriber", "iccid", "imsi", "msisdn"):
        if value := getattr(usage, kind):
            return f"{kind} {value}"
    return "nobody"
