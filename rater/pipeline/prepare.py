"""First stage: decode, check, find who pays, rate. Everything that costs the wallet nothing.

Only looking up SIMs that are not known yet does I/O, in a step of its own (`resolve`). An event in plain JSON of a
known shape and a known SIM goes straight through (rater/pipeline/quick.py). So does a Data Streamer record, which its
decoder checks. Any other goes the long way, to the same result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from rater.pipeline.batch import Batch, Fault, Faulted, RawEvent, Unresolved, Work
from rater.pipeline.quick import QuickLane
from rater.pipeline.rater import Rater
from rater.pipeline.sims import Sims, sim_key
from rater.subscriber import lookup_key
from rater.tariff.numbers import NumberClasses
from schemas.decode import Decoder, UsageError, decode_kafka, decoder
from schemas.fates import Reason
from schemas.shape import Shapes
from schemas.usage import Usage

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

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
        self._numbers = numbers
        self._shapes = Shapes()
        self._lane = QuickLane(sims, self._shapes, numbers, rater)

    def begin(self, batch: Batch) -> Work:
        """Decode a batch, and rate the events of SIMs that are known."""
        now_ms = batch.now_ms
        oldest_ms, newest_ms = now_ms - self.limits.too_old_ms, now_ms + self.limits.future_ms
        decode = _decoder(batch.format, batch.tenant, batch.source)
        work = Work(batch, [], [])
        events, place = list(batch.events), 0
        lane, is_plain = self._lane, batch.format in ("usage", "auto")
        while True:
            if is_plain:
                place = lane.rate_all(events, place, work.items, oldest_ms, newest_ms, now_ms)
            else:
                place = lane.rate_records(events, place, work.items, decode, oldest_ms, newest_ms, now_ms)
            if place == len(events):
                return work
            raw = events[place]
            self._slowly(raw, decode, work, oldest_ms, newest_ms)
            if batch.format == "auto":  # a feed keeps to one format
                is_plain = b'"start_time"' in raw.value
            place += 1

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
                work.items[place] = self._lane.rate_body(
                    event.raw, usage, usage.start_ms, usage.end_ms, event.shape, sim, work.batch.now_ms
                )
        work.unresolved = []

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
                sim, shape = self.sims.by_key.get(sim_key(*lookup_key(usage))), self._shapes.of(usage, number)
                if sim is None:
                    work.unresolved.append(len(items))
                    items.append(Unresolved(raw, usage, shape))
                else:
                    start_ms, end_ms = usage.start_ms, usage.end_ms
                    items.append(self._lane.rate_body(raw, usage, start_ms, end_ms, shape, sim, batch.now_ms))


def _time_fault(usage: Usage, oldest_ms: int, newest_ms: int) -> Fault | None:
    if usage.end_ms < oldest_ms:
        return Fault.of_usage(usage, Reason.TOO_OLD, "ended longer ago than the engine accepts", "end_time")
    if usage.start_ms > newest_ms:
        return Fault.of_usage(usage, Reason.FUTURE, "starts further ahead than clocks may differ", "start_time")
    return None


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
