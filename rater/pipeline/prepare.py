"""First stage: decode, check the time, find who pays, rate. Everything that costs the wallet nothing.

Only looking up who pays does I/O, in one round trip a batch for those not in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rater.catalogue import Catalogue
from rater.directory import Directory, Subscriber
from rater.identity import fingerprint, identity
from rater.money import AMOUNT_MAX_NANOS
from rater.pipeline.batch import Batch, Fault, Faulted, Item, Payer, Rated, RawEvent, Work
from rater.pipeline.counters import CounterView
from rater.rating.charge import Charge
from rater.rating.rate import rate
from rater.wallet.entry import Entry, Kind
from schemas.decode import Decoder, UsageError, decode_kafka, decoder
from schemas.fates import Reason
from schemas.usage import Usage

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True)
class Limits:
    """How far from intake's clock an event's own time may be."""

    too_old_ms: int = 90 * DAY_MS
    future_ms: int = DAY_MS


class Preparer:
    """Turns raw events into wallet entries, or into the reason why there is none."""

    def __init__(self, catalogue: Catalogue, directory: Directory, counters: CounterView, limits: Limits) -> None:
        self.directory = directory
        self.limits = limits
        self._catalogue = catalogue
        self._counters = counters
        self._catalogue_key = catalogue.digest[:4]

    async def prepare(self, batch: Batch) -> Work:
        """Decode, resolve and rate a batch."""
        decoded = list(self._decode(batch))
        payers = iter(await self.resolve([usage for _, usage in decoded if isinstance(usage, Usage)]))
        items: list[Item] = []
        for raw, usage in decoded:
            if isinstance(usage, Faulted):
                items.append(usage)
                continue
            payer = next(payers)
            if isinstance(payer, Fault):
                items.append(Faulted(raw, usage, payer))
                continue
            counters = self._counters.of(usage.tenant, payer.subscriber.id)
            item = self.rate(raw, usage, payer, counters.guess)
            if isinstance(item, Rated):
                counters.rate(item.charge.uses)
            items.append(item)
        return Work(batch, items)

    def _decode(self, batch: Batch) -> Iterator[tuple[RawEvent, Usage | Faulted]]:
        decode = decoder(batch.format, batch.tenant, batch.source)
        oldest_ms, newest_ms = batch.now_ms - self.limits.too_old_ms, batch.now_ms + self.limits.future_ms
        for raw in _elements(batch.events, decode):
            for usage in decode_kafka(raw.value, raw.headers, decode) if raw.headers else decode(raw.value):
                if isinstance(usage, UsageError):
                    fault = Fault(usage.reason, usage.detail, usage.field, usage.identity)
                    yield raw, Faulted(raw, None, fault)
                elif usage.end_ms < oldest_ms:
                    detail = "ended longer ago than the engine accepts"
                    yield raw, Faulted(raw, usage, Fault.of_usage(usage, Reason.TOO_OLD, detail, "end_time"))
                elif usage.start_ms > newest_ms:
                    detail = "starts further ahead than clocks may differ"
                    yield raw, Faulted(raw, usage, Fault.of_usage(usage, Reason.FUTURE, detail, "start_time"))
                else:
                    yield raw, usage

    async def resolve(self, usages: Sequence[Usage]) -> list[Payer | Fault]:
        """Who pays for each, or why nobody does."""
        subscribers = await self.directory.resolve(usages)
        return [self._payer(usage, found) for usage, found in zip(usages, subscribers, strict=True)]

    def _payer(self, usage: Usage, subscriber: Subscriber | None) -> Payer | Fault:
        if subscriber is None:
            return Fault.of_usage(usage, Reason.UNKNOWN_SUBSCRIBER, f"no SIM is known as {_name(usage)}")
        assignment = self.directory.assignment(subscriber, usage.start_ms)
        if assignment is None:
            return Fault.of_usage(usage, Reason.NO_PLAN, f"{subscriber.id} had no wallet at that time")
        plan = self._catalogue.plan(assignment.plan, usage.start_ms)
        if plan is None:
            detail = f'the catalogue has no plan "{assignment.plan}" in force at that time'
            return Fault.of_usage(usage, Reason.NO_PLAN, detail)
        tariff = self._catalogue.tariff(plan.tariff)
        if tariff.currency != assignment.currency:
            detail = (
                f"tariff {plan.tariff} is in {tariff.currency}, wallet {assignment.wallet} in {assignment.currency}"
            )
            return Fault.of_usage(usage, Reason.CURRENCY_MISMATCH, detail)
        return Payer(subscriber, assignment, plan, tariff)

    def rate(self, raw: RawEvent, usage: Usage, payer: Payer, counters: Mapping[str, int]) -> Item:
        """Rate one event from these counters and write its wallet entry."""
        charge = rate(payer.tariff, usage, counters, payer.zone)
        if charge.outcome == "no_rate":
            return Faulted(raw, usage, Fault.of_usage(usage, Reason.NO_RATE, charge.reason_detail))
        assumed = tuple(counters.get(use.key, 0) for use in charge.uses)
        return Rated(raw, usage, payer, charge, assumed, self._entry(raw, usage, payer, charge))

    def _entry(self, raw: RawEvent, usage: Usage, payer: Payer, charge: Charge) -> Entry:
        refuse = Reason.NONE
        if charge.outcome == "blocked":
            refuse = Reason.REGION_BLOCKED
        elif usage.service not in payer.plan.entitlements:
            refuse = Reason.NOT_ENTITLED
        elif charge.amount_nanos > AMOUNT_MAX_NANOS:
            refuse = Reason.AMOUNT_LIMIT
        return Entry(
            kind=Kind.USAGE,
            tenant=usage.tenant,
            wallet=payer.assignment.wallet,
            identity=identity(usage.tenant, usage.source, usage.id),
            fingerprint=fingerprint(usage, payer.subscriber.id),
            cause=f"{usage.source}/{usage.id}",
            token=raw.door.token(raw.position, raw.element),
            currency=charge.currency,
            amount_nanos=0 if refuse else charge.amount_nanos,
            subscriber=payer.subscriber.id,
            subscriber_version=payer.subscriber.version,
            uses=charge.uses,
            refuse=refuse,
            free=charge.outcome == "free",
            catalogue=self._catalogue_key,
        )


def _elements(events: Sequence[RawEvent], decode: Decoder) -> Iterator[RawEvent]:
    """Each event by itself: an element of an array keeps its own bytes, so that a bad one is dead-lettered alone."""
    for raw in events:
        values = decode.elements(raw.value)
        if len(values) == 1:
            yield raw
        else:
            for number, value in enumerate(values):
                yield RawEvent(value, raw.door, raw.position, raw.headers, number)


def _name(usage: Usage) -> str:
    """The identifier a person would search for."""
    for kind in ("subscriber", "iccid", "imsi", "msisdn"):
        if value := getattr(usage, kind):
            return f"{kind} {value}"
    return "nobody"
