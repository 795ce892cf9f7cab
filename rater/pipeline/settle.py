"""Third stage: decisions become records. A pure function of the event, the catalogue and the decision.

So the same decision gives the same bytes, today and after a crash: the record is rated with the counters that the
decision remembers, under the catalogue it names, with the place and time it was first decided at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from rater.geo import country_of_mcc, country_of_number
from rater.money import AMOUNT_MAX_NANOS
from rater.pipeline.batch import Batch, Fault, Item, Rated, RawEvent, Work
from rater.rating.charge import Charge, ChargePart
from rater.rating.rate import rate
from rater.rating.timeline import cycle_at
from rater.wallet.entry import Decision
from schemas.fates import Fate, Reason
from schemas.faults import DeadLetter, ParkedEvent
from schemas.rated import RatedRecord
from schemas.usage import Usage

UNITS = {"data": "bytes", "voice": "ms", "message": "messages"}

#: Topics, in the order in which they are published.
RATED, REFUSED, PARKED, DEAD_LETTERS = "rated", "refused", "parked", "dead-letters"

#: An invoice is closed so long after its cycle's end.
GRACE_MS = 3 * 24 * 3_600_000

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Tally:
    """What a batch came to: events by (fate, reason), and money by currency. Events in = the sum of fates."""

    events: int = 0
    fates: Counter[tuple[Fate, Reason]] = field(default_factory=Counter)
    redelivered: int = 0
    charged_nanos: Counter[str] = field(default_factory=Counter)
    uncovered_nanos: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Add another tally to this one."""
        self.events += other.events
        self.redelivered += other.redelivered
        for mine, theirs in (
            (self.charged_nanos, other.charged_nanos),
            (self.uncovered_nanos, other.uncovered_nanos),
        ):
            mine.update(theirs)
        self.fates.update(other.fates)

    def of(self, fate: Fate) -> int:
        """How many events had this fate."""
        return sum(count for (found, _), count in self.fates.items() if found is fate)

    @property
    def adds_up(self) -> bool:
        """Whether every event has exactly one fate."""
        return self.events == sum(self.fates.values())


@dataclass(slots=True, frozen=True)
class Verdict:
    """The answer for one event, as a door that answers gives it back."""

    fate: Fate
    reason: Reason
    detail: str = ""
    charged_nanos: int = 0
    currency: str = ""
    #: What the wallet could not pay.
    uncovered_nanos: int = 0
    #: The decision that stood before this call, if one did.
    first: Decision | None = None


@dataclass(slots=True)
class Outputs:
    """What a batch publishes: (key, value) by topic, one verdict an event, and the tally."""

    batch: Batch
    messages: dict[str, list[tuple[bytes, bytes]]] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    def add(self, topic: str, key: str, value: msgspec.Struct) -> None:
        """Queue one message; the key keeps what belongs together in order."""
        self.messages.setdefault(topic, []).append((key.encode(), _encode(value)))


def settle(work: Work) -> Outputs:
    """Turn a decided batch into its messages, verdicts and tally."""
    outputs = Outputs(work.batch)
    for item in work.items:
        verdict = _settle_item(item, outputs)
        outputs.verdicts.append(verdict)
        outputs.tally.fates[verdict.fate, verdict.reason] += 1
    outputs.tally.events = len(work.items)
    return outputs


def _settle_item(item: Item, outputs: Outputs) -> Verdict:
    if item.fault is not None:
        return _settle_fault(item.raw, item.usage, item.fault, outputs)
    if item.old_fingerprint is not None:
        return _settle_repeat(item, outputs, item.old_fingerprint)
    decision = item.decision
    assert decision is not None, "an event leaves the charge stage decided"
    if decision.known and not (item.is_redelivery and decision.fingerprint == item.entry.fingerprint):
        return _settle_repeat(item, outputs, decision.fingerprint, decision)
    return _settle_decision(item, decision, outputs)


def _settle_decision(event: Rated, decision: Decision, outputs: Outputs) -> Verdict:
    charge, tally = _charge_as_decided(event, decision), outputs.tally
    topic = RATED if decision.fate is Fate.RATED else REFUSED
    for record in records(event, charge, decision):
        outputs.add(topic, f"{event.usage.tenant}/{decision.wallet}", record)
    tally.redelivered += decision.known
    uncovered = 0
    if decision.fate is Fate.RATED:
        uncovered = charge.amount_nanos - decision.charged_nanos
        tally.charged_nanos[charge.currency] += decision.charged_nanos
        tally.uncovered_nanos[charge.currency] += uncovered
    first = decision if decision.known else None
    return Verdict(decision.fate, decision.reason, "", decision.charged_nanos, charge.currency, uncovered, first)


def _settle_repeat(event: Rated, outputs: Outputs, first: bytes, decision: Decision | None = None) -> Verdict:
    """An id that was decided before: a duplicate without outputs, or the same id with other content."""
    if event.entry.fingerprint == first:
        return Verdict(Fate.DUPLICATE, Reason.NONE, currency=event.charge.currency, first=decision)
    detail = "this id was decided before with other content; the first decision stands"
    fault = Fault.of_usage(event.usage, Reason.ID_CONFLICT, detail, "id")
    return _settle_fault(event.raw, event.usage, fault, outputs)


def _settle_fault(raw: RawEvent, usage: Usage | None, fault: Fault, outputs: Outputs) -> Verdict:
    batch, (tenant, source, event_id) = outputs.batch, fault.identity
    if usage is None or fault.reason >= Reason.MALFORMED:
        letter = DeadLetter(
            reason=fault.reason.label,
            field=fault.field,
            detail=fault.detail,
            door=raw.door.name,
            position=raw.position,
            dead_ms=batch.now_ms,
            raw=raw.value,
            headers={name: (value or b"").decode("utf-8", "backslashreplace") for name, value in raw.headers},
            tenant=tenant,
            source=source,
            id=event_id,
            format=batch.format,
            element=raw.element,
        )
        outputs.add(DEAD_LETTERS, tenant, letter)
        return Verdict(Fate.DEAD_LETTERED, fault.reason, f"{fault.field}: {fault.detail}".removeprefix(": "))
    parked = ParkedEvent(
        tenant=tenant,
        source=source,
        id=event_id,
        reason=fault.reason.label,
        detail=fault.detail,
        door=raw.door.name,
        position=raw.position,
        parked_ms=batch.now_ms,
        raw=_encode(usage),
    )
    outputs.add(PARKED, f"{tenant}/{source}", parked)
    return Verdict(Fate.PARKED, fault.reason, fault.detail)


def _charge_as_decided(event: Rated, decision: Decision) -> Charge:
    """The charge under the counters the decision saw; the one at hand unless those differ."""
    charge, payer = event.charge, event.payer
    if decision.counters == event.assumed:
        return charge
    counters = {use.key: value for use, value in zip(charge.uses, decision.counters, strict=True)}
    return rate(payer.tariff, event.usage, counters, payer.zone)


def records(event: Rated, charge: Charge, decision: Decision) -> Iterator[RatedRecord]:
    """One record a part; a shortfall of money falls on the last parts."""
    balance, left = decision.balance_before_nanos, decision.charged_nanos
    for number, part in enumerate(charge.parts):
        charged = min(part.amount_nanos, left)
        left -= charged
        yield _record(event, charge, decision, part, number, charged, balance)
        balance -= charged
    assert left == 0, "what was charged is never more than what the parts cost"


def billing_period(part: ChargePart, decided_ms: int, zone: str) -> tuple[str, bool]:
    """The cycle whose invoice a part belongs to, and whether it is late.

    Usage that arrives within `GRACE_MS` of its cycle's end is billed in its own; later, in the cycle in which it was
    decided, still at its own cycle's price, and marked.
    """
    if decided_ms - part.start_ms <= GRACE_MS:
        return part.period, False
    _, end_ms, _ = cycle_at(zone, part.start_ms)
    if decided_ms < end_ms + GRACE_MS:
        return part.period, False
    return cycle_at(zone, decided_ms)[2], True


def _record(
    event: Rated, charge: Charge, decision: Decision, part: ChargePart, number: int, charged_nanos: int,
    balance_nanos: int,
) -> RatedRecord:  # fmt: skip
    usage, payer = event.usage, event.payer
    rated = decision.fate is Fate.RATED
    period, late = billing_period(part, decision.decided_ms, payer.zone)
    return RatedRecord(
        tenant=usage.tenant,
        source=usage.source,
        id=usage.id,
        part=number,
        parts=len(charge.parts),
        fate=decision.fate.label,
        reason="" if rated else decision.reason.label,
        fingerprint=decision.fingerprint.hex(),
        service=usage.service,
        kind=usage.kind or "",
        direction=usage.direction,
        subscriber=payer.subscriber.id,
        account=payer.assignment.account,
        wallet=decision.wallet,
        epoch=decision.epoch,
        n=decision.n,
        plan=payer.plan.name,
        plan_version=payer.plan.version,
        tariff=payer.plan.tariff,
        tariff_version=part.tariff_version,
        period=period,
        late=late,
        rate=part.rate,
        zone=part.zone,
        unit=UNITS[usage.service],
        quantity=part.quantity,
        billable_quantity=part.billable_quantity,
        amount_nanos=min(part.amount_nanos, AMOUNT_MAX_NANOS),
        charged_nanos=charged_nanos,
        uncovered_nanos=part.amount_nanos - charged_nanos if rated else 0,
        currency=charge.currency,
        balance_before_nanos=balance_nanos,
        balance_after_nanos=balance_nanos - charged_nanos,
        start_ms=part.start_ms,
        end_ms=part.end_ms,
        rated_ms=decision.decided_ms,
        door=event.raw.door.name,
        position=event.raw.position,
        mcc=usage.mcc or "",
        mnc=usage.mnc or "",
        country=usage.country or (country_of_mcc(usage.mcc, usage.mnc) if usage.mcc else None) or "",
        called_number=usage.called_number or "",
        destination_country=usage.destination_country or country_of_number(usage.called_number or "") or "",
        session_id=usage.session_id or "",
        tax_category=part.tax_category,
        catalogue=decision.catalogue.hex(),
        explanation=part.explanation,
    )
