"""Third stage: decisions become records. A pure function of the event, the catalogue and the decision.

So the same decision gives the same bytes, today and after a crash: the record is rated with the counters that the
decision remembers, under the catalogue it names, with the place and time it was first decided at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rater.identity import FINGERPRINT_BYTES
from rater.money import AMOUNT_MAX_NANOS
from rater.pipeline.batch import UNRATED, Batch, Fault, Faulted, Item, Rated, RawEvent, Work
from rater.pipeline.payer import billed_until_ms
from rater.rating.charge import ChargePart
from rater.rating.rate import rate
from rater.rating.terms import Terms
from rater.rating.timeline import cycle_at
from rater.wallet.entry import Decision, Head
from schemas.fates import Fate, Reason
from schemas.faults import DeadLetter, ParkedEvent
from schemas.rated import payer_text, rare_text, record
from schemas.usage import Usage

#: Topics, in the order in which they are published.
RATED, REFUSED, PARKED, DEAD_LETTERS = "rated", "refused", "parked", "dead-letters"

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


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """The answer for one event, as a door that answers gives it back."""

    fate: Fate
    reason: Reason
    detail: str = ""
    charged_nanos: int = 0
    currency: str = ""


@dataclass(slots=True)
class Outputs:
    """What a batch publishes: (key, value) by topic, one verdict an event, and the tally."""

    batch: Batch
    messages: dict[str, list[tuple[bytes, bytes]]] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    def add(self, topic: str, key: bytes, value: bytes) -> None:
        """Queue one message; the key keeps what belongs together in order."""
        self.messages.setdefault(topic, []).append((key, value))


def settle(work: Work) -> Outputs:
    """Turn a decided batch into its messages, verdicts and tally."""
    outputs = Outputs(work.batch)
    verdicts, rated, tally = outputs.verdicts, [], outputs.tally
    charged: dict[str, int] = {}
    for item in work.items:
        if type(item) is Rated and item.head is not None and item.charge is None:
            # Charged at once under plain terms, as nearly all usage is.
            currency, amount = item.currency, item.amount_nanos
            rated.append((item.payer.key, _plain_record(item, item.head)))
            charged[currency] = charged.get(currency, 0) + amount
            verdicts.append(Verdict(Fate.RATED, Reason.NONE, "", amount, currency))
            continue
        if rated:
            outputs.messages.setdefault(RATED, []).extend(rated)
            rated = []
        verdict = _settle_item(item, outputs)
        verdicts.append(verdict)
    if rated:
        outputs.messages.setdefault(RATED, []).extend(rated)
    tally.charged_nanos.update(charged)
    tally.fates.update((verdict.fate, verdict.reason) for verdict in verdicts)
    tally.events = len(work.items)
    return outputs


def _plain_record(event: Rated, head: Head) -> bytes:
    of, payer, offer, raw = event.event, event.payer, event.offer, event.event.raw
    body = of.body
    text, rare, amount = offer.text, "", event.amount_nanos
    if body.session_id is not None:
        rare = rare_text(session_id=body.session_id)
    if head.decided_ms >= offer.billed_until_ms:
        text, rare = _texts(event, offer.terms, head.decided_ms)
    return record(
        payer.text, body.source, body.id, text, head.epoch, head.n + event.place, event.quantity, event.billed, amount,
        amount, head.balance_nanos - event.ahead_nanos, of.start_ms, of.end_ms, head.decided_ms, raw.door.name,
        raw.position, event.marks[:FINGERPRINT_BYTES], rare,
    )  # fmt: skip


def _texts(event: Rated, terms: Terms | ChargePart, decided_ms: int, **rare: Any) -> tuple[str, str]:
    """The middle and the end of a record."""
    book, shape = event.payer.book, event.event.shape
    if isinstance(terms, Terms):
        start_ms, rate_name = event.event.start_ms, terms.rate_name
    else:
        start_ms, rate_name = terms.start_ms, terms.rate
    period, late = billing_period(terms.period, start_ms, decided_ms, book.zone)
    if isinstance(terms, Terms) and not late:
        text = event.offer.text
    else:
        text = book.text(shape, period, terms, rate_name, terms.explanation)
    return text, rare_text(session_id=event.event.body.session_id, late=late, **rare)


def _settle_item(item: Item, outputs: Outputs) -> Verdict:
    if isinstance(item, Faulted):
        return _settle_fault(item.raw, item.usage, item.fault, outputs)
    if item.fault is not None:
        return _settle_fault(item.event.raw, item.event.usage, item.fault, outputs)
    if item.old_fingerprint is not None:
        return _settle_repeat(item, outputs, item.old_fingerprint)
    decision = item.decision
    assert decision is not None, "an event leaves the charge stage decided"
    if decision.known and not (item.is_redelivery and decision.fingerprint == item.fingerprint):
        return _settle_repeat(item, outputs, decision.fingerprint)
    return _settle_decision(item, decision, outputs)


def _settle_decision(event: Rated, decision: Decision, outputs: Outputs) -> Verdict:
    terms, parts = _as_decided(event, decision)
    tally = outputs.tally
    is_rated = decision.fate is Fate.RATED
    payer, currency = event.payer, event.payer.book.tariff.currency
    tenant = event.event.body.tenant
    begin = payer_text(tenant, payer.subscriber.id, payer.assignment.account, decision.wallet)
    key = f"{tenant}/{decision.wallet}".encode()
    for value in _records(event, begin, terms, parts, decision):
        outputs.add(RATED if is_rated else REFUSED, key, value)
    tally.redelivered += decision.known
    if is_rated:
        cost = sum(part.amount_nanos for part in parts)
        tally.charged_nanos[currency] += decision.charged_nanos
        tally.uncovered_nanos[currency] += cost - decision.charged_nanos
    return Verdict(decision.fate, decision.reason, "", decision.charged_nanos, currency)


def _settle_repeat(event: Rated, outputs: Outputs, first: bytes) -> Verdict:
    """An id that was decided before: a duplicate without outputs, or the same id with other content."""
    if event.fingerprint == first:
        return Verdict(Fate.DUPLICATE, Reason.NONE)
    detail = "this id was decided before with other content; the first decision stands"
    fault = Fault.of_usage(event.event.body, Reason.ID_CONFLICT, detail, "id")
    return _settle_fault(event.event.raw, event.event.usage, fault, outputs)


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
        outputs.add(DEAD_LETTERS, tenant.encode(), _encode(letter))
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
    outputs.add(PARKED, f"{tenant}/{source}".encode(), _encode(parked))
    return Verdict(Fate.PARKED, fault.reason, fault.detail)


def _as_decided(event: Rated, decision: Decision) -> tuple[Terms | None, Sequence[ChargePart]]:
    """What is charged, under the counters the decision saw, and by which terms if these are plain."""
    of, offer, book = event.event, event.offer, event.payer.book
    plain = None
    if event.until_ms <= offer.high_ms:
        plain = offer.rate(event.quantity, dict(zip(offer.keys, decision.counters, strict=False)))
    if plain is None:
        charge = event.charge
        if charge is None or event.billed == UNRATED or decision.counters != event.counters:
            usage = of.usage
            uses = rate(book.tariff, usage, {}, book.zone).uses
            counters = {use.key: value for use, value in zip(uses, decision.counters, strict=True)}
            charge = rate(book.tariff, usage, counters, book.zone)
        return None, charge.parts
    billed, amount, _, _ = plain
    terms = offer.terms
    part = ChargePart(
        of.start_ms, of.end_ms, terms.period, terms.tariff_version, terms.rate_name, terms.zone, event.quantity,
        billed, amount, terms.tax_category, terms.explanation,
    )  # fmt: skip
    return terms, (part,)


def _records(
    event: Rated, begin: str, terms: Terms | None, parts: Sequence[ChargePart], decision: Decision
) -> Iterator[bytes]:
    """One record a part; a shortfall of money falls on the last parts."""
    of, raw, rated = event.event, event.event.raw, decision.fate is Fate.RATED
    balance, left = decision.balance_before_nanos, decision.charged_nanos
    for number, part in enumerate(parts):
        charged = min(part.amount_nanos, left)
        left -= charged
        text, rare = _texts(
            event, part if terms is None else terms, decision.decided_ms,
            part=number, parts=len(parts), fate=decision.fate.label, reason="" if rated else decision.reason.label,
            uncovered_nanos=part.amount_nanos - charged if rated else 0,
        )  # fmt: skip
        yield record(
            begin, of.body.source, of.body.id, text, decision.epoch, decision.n, part.quantity, part.billable_quantity,
            min(part.amount_nanos, AMOUNT_MAX_NANOS), charged, balance, part.start_ms, part.end_ms,
            decision.decided_ms, raw.door.name, raw.position, decision.fingerprint, rare,
        )  # fmt: skip
        balance -= charged
    assert left == 0, "what was charged is never more than what the parts cost"


def billing_period(period: str, start_ms: int, decided_ms: int, zone: str) -> tuple[str, bool]:
    """The cycle whose invoice usage belongs to, from its own, and whether it is late.

    Usage that arrives within its cycle's grace is billed in its own; later, in the cycle in which it was decided, still
    at its own cycle's price, and marked.
    """
    if decided_ms < billed_until_ms(zone, start_ms):
        return period, False
    return cycle_at(zone, decided_ms)[2], True
