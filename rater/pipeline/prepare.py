"""First stage: decode, check, find who pays, rate. Everything that costs the wallet nothing.

Only looking up SIMs that are not known yet does I/O, in one round trip a batch. An event in plain JSON of a known shape
and a known SIM goes straight through (`Decoding._quick`); it fulfils the rules because its shape and its SIM's name did
before, and the rest is checked here. Any other goes the long way, to the same result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from rater.directory import lookup_key
from rater.pipeline.batch import Batch, Event, Fault, Faulted, Item, RawEvent, Work
from rater.pipeline.rater import Rater
from rater.pipeline.sims import Sim, Sims
from schemas.adapters.usage_json import UsageEvent, quick
from schemas.checks import EARLIEST_MS, SPAN_MAX_MS
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

    def __init__(self, sims: Sims, rater: Rater, limits: Limits) -> None:
        self.sims = sims
        self.limits = limits
        self._rater = rater
        self._shapes = Shapes()

    async def prepare(self, batch: Batch) -> Work:
        """Decode, resolve and rate a batch."""
        decoded = self._decode(batch)
        unknown = [number for number, (event, sim) in enumerate(decoded) if sim is None and type(event) is Event]
        if unknown:
            events: list[Event] = [decoded[number][0] for number in unknown]  # type: ignore[misc]
            found = await self.sims.fetch([event.usage for event in events])
            for number, event, sim in zip(unknown, events, found, strict=True):
                decoded[number] = (event, sim) if sim else (_unknown(event), None)
        rate, now_ms = self._rater.rate, batch.now_ms
        items: list[Item] = [
            rate(event, sim, now_ms) if sim is not None else event  # type: ignore[misc, arg-type]
            for event, sim in decoded
        ]
        return Work(batch, items)

    def _decode(self, batch: Batch) -> list[tuple[Event | Faulted, Sim | None]]:
        decode = _decoder(batch.format, batch.tenant, batch.source)
        is_plain = batch.format in ("usage", "auto")
        oldest_ms, newest_ms = batch.now_ms - self.limits.too_old_ms, batch.now_ms + self.limits.future_ms
        decoded: list[tuple[Event | Faulted, Sim | None]] = []
        for raw in batch.events:
            found = self._quick(raw, oldest_ms, newest_ms) if is_plain and not raw.headers else None
            if found is not None:
                decoded.append(found)
                continue
            longer = list(self._slowly(raw, decode, oldest_ms, newest_ms))
            decoded += longer
            # A feed keeps to one format: what was plain shows whether the next is worth a quick try.
            is_plain = batch.format == "usage" or any(
                type(event) is Event and event.raw.value[:1] == b"{" and b'"start_time"' in event.raw.value
                for event, _ in longer
            )
        return decoded

    def _quick(self, raw: RawEvent, oldest_ms: int, newest_ms: int) -> tuple[Event, Sim] | None:
        """A plain event of a shape and of a SIM that are known; None for any other."""
        value = raw.value
        try:
            body = quick(value)
        except (ValueError, RecursionError):
            return None
        sim = self.sims.get((body.tenant, "iccid", body.iccid))  # type: ignore[arg-type]  # None finds nothing
        shape = self._shapes.get(shape_key(body))
        if sim is None or shape is None or body.imsi or body.msisdn or body.subscriber or b"\\u0000" in value:
            return None
        start, end = body.start_time - _EPOCH, body.end_time - _EPOCH
        start_ms = start.days * DAY_MS + start.seconds * 1000 + start.microseconds // 1000
        end_ms = end.days * DAY_MS + end.seconds * 1000 + end.microseconds // 1000
        if not (EARLIEST_MS <= start_ms <= end_ms <= start_ms + SPAN_MAX_MS and oldest_ms <= end_ms):
            return None
        if start_ms > newest_ms or not _has_its_quantity(body) or len(value) > RAW_MAX_BYTES:
            return None
        return Event(raw, body, start_ms, end_ms, shape), sim

    def _slowly(
        self, record: RawEvent, decode: Decoder, oldest_ms: int, newest_ms: int
    ) -> Iterator[tuple[Event | Faulted, Sim | None]]:
        for raw in _elements(record, decode):
            for usage in decode_kafka(raw.value, raw.headers, decode) if raw.headers else decode(raw.value):
                if isinstance(usage, UsageError):
                    fault = Fault(usage.reason, usage.detail, usage.field, usage.identity)
                    yield Faulted(raw, None, fault), None
                elif usage.end_ms < oldest_ms:
                    detail = "ended longer ago than the engine accepts"
                    yield Faulted(raw, usage, Fault.of_usage(usage, Reason.TOO_OLD, detail, "end_time")), None
                elif usage.start_ms > newest_ms:
                    detail = "starts further ahead than clocks may differ"
                    yield Faulted(raw, usage, Fault.of_usage(usage, Reason.FUTURE, detail, "start_time")), None
                else:
                    shape = self._shapes.of(usage)
                    yield Event(raw, usage, usage.start_ms, usage.end_ms, shape), self.sims.get(lookup_key(usage))


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


def _unknown(event: Event) -> Faulted:
    usage = event.usage
    detail = f"no SIM is known as {_name(usage)}"
    return Faulted(event.raw, usage, Fault.of_usage(usage, Reason.UNKNOWN_SUBSCRIBER, detail))


def _name(usage: Usage) -> str:
    """The identifier a person would search for."""
    for kind in ("subscriber", "iccid", "imsi", "msisdn"):
        if value := getattr(usage, kind):
            return f"{kind} {value}"
    return "nobody"
