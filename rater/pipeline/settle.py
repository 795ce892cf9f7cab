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
    #: What the wallet could not pay.
    uncovered_nanos: int = 0
    #: The decision that stood before this call, if one did.
    first: Decision | None = None


@dataclass(slots=True)
class Outputs:
    """What a batch publishes: (key, value) by topic, and the tally. `work` is what it came from."""

    work: Work
    messages: dict[str, list[tuple[bytes, bytes]]] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    _verdicts: list[Verdict] | None = None

    @property
    def batch(self) -> Batch:
        """The batch."""
        return self.work.batch

    @property
    def verdicts(self) -> list[Verdict]:
        """One answer an event, in order, for a door that answers."""
        if self._verdicts is None:
            self._verdicts = [verdict_of(item) for item in self.work.items]
        return self._verdicts

    def add(self, topic: str, key: bytes, value: bytes) -> None:
        """Queue one message; the key keeps what belongs together in order."""
        self.messages.setdefault(topic, []).append((key, value))


def settle(work: Work) -> Outputs:
    """Turn a decided batch into its messages and tally."""
    outputs = Outputs(work)
    rated = outputs.messages[RATED] = []
    charged: dict[str, int] = {}
    count = 0
    for item in work.items:
        if type(item) is Rated and item.head is not None and item.charge is None:
            # Charged at once under plain terms, as nearly all usage is.
            rated.append((item.payer.key, _plain_record(item, item.head)))
            currency = item.currency
            charged[currency] = charged.get(currency, 0) + item.amount_nanos
            count += 1
        else:
            _settle_item(item, outputs)
    if not rated:
        del outputs.messages[RATED]
    tally = outputs.tally
    tally.charged_nanos.update(charged)
    if count:
        tally.fates[Fate.RATED, Reason.NONE] += count
    tally.events = len(work.items)
    return outputs


def verdict_of(item: Item) -> Verdict:
    """What a door answers for an event."""
    if isinstance(item, Faulted):
        return _fault_verdict(item.fault, item.usage)
    assert isinstance(item, Rated), "an event leaves the charge stage decided"
    if item.fault is not None:
        return _fault_verdict(item.fault, item.usage)
    decision = item.decision
    first = item.old_fingerprint or (decision.fingerprint if decision is not None and _is_repeat(item) else None)
    if first is not None:
        if first == item.fingerprint:
            return Verdict(Fate.DUPLICATE, Reason.NONE, currency=item.payer.currency, first=decision)
        return _fault_verdict(_conflict(item), item.usage)
    assert decision is not None, "an event leaves the charge stage decided"
    uncovered = 0
    if item.head is None and decision.fate is Fate.RATED:
        uncovered = sum(part.amount_nanos for part in _as_decided(item, decision)[1]) - decision.charged_nanos
    known = decision if decision.known else None
    charged, currency = decision.charged_nanos, item.payer.currency
    return Verdict(decision.fate, decision.reason, "", charged, currency, uncovered, known)


def _fault_verdict(fault: Fault, usage: Usage | None) -> Verdict:
    if usage is None or fault.reason >= Reason.MALFORMED:
        return Verdict(Fate.DEAD_LETTERED, fault.reason, f"{fault.field}: {fault.detail}".removeprefix(": "))
    return Verdict(Fate.PARKED, fault.reason, fault.detail)


def _is_repeat(item: Rated) -> bool:
    """Whether the id was decided before, and not at this very delivery."""
    decision = item.decision
    if decision is None or not decision.known:
        return False
    return not (item.is_redelivery and decision.fingerprint == item.fingerprint)


def _plain_record(event: Rated, head: Head) -> bytes:
    body, offer, raw, amount, rare = event.body, event.offer, event.raw, event.amount_nanos, ""
    text = offer.text
    if body.session_id is not None or body.called_number is not None:
        rare = rare_text(called_number=body.called_number, session_id=body.session_id)
    if head.decided_ms >= offer.billed_until_ms:
        text, rare = _texts(event, offer.terms, head.decided_ms)
    return record(
        event.payer.text, body.source, body.id, text, head.epoch, head.n + event.place, event.quantity, event.billed,
        amount, amount, head.balance_nanos - event.ahead_nanos, event.start_ms, event.end_ms, head.decided_ms,
        raw.door.text, raw.position, event.marks[:FINGERPRINT_BYTES], rare,
    )  # fmt: skip


def _texts(event: Rated, terms: Terms | ChargePart, decided_ms: int, **rare: Any) -> tuple[str, str]:
    """The middle and the end of a record."""
    book, shape = event.payer.book, event.shape
    if isinstance(terms, Terms):
        start_ms, rate_name = event.start_ms, terms.rate_name
    else:
        start_ms, rate_name = terms.start_ms, terms.rate
    period, late = billing_period(terms.period, start_ms, decided_ms, book.zone)
    if isinstance(terms, Terms) and not late:
        text = event.offer.text
    else:
        text = book.text(shape, period, terms, rate_name, terms.explanation)
    body = event.body
    return text, rare_text(called_number=body.called_number, session_id=body.session_id, late=late, **rare)


def _settle_item(item: Item, outputs: Outputs) -> None:
    verdict = verdict_of(item)
    outputs.tally.fates[verdict.fate, verdict.reason] += 1
    if isinstance(item, Faulted):
        _settle_fault(item.raw, item.usage, item.fault, outputs)
        return
    assert isinstance(item, Rated), "an event leaves the charge stage decided"
    if item.fault is not None:
        _settle_fault(item.raw, item.usage, item.fault, outputs)
    elif verdict.fate is Fate.DEAD_LETTERED:
        _settle_fault(item.raw, item.usage, _conflict(item), outputs)
    elif verdict.fate is not Fate.DUPLICATE and item.decision is not None:
        _settle_decision(item, item.decision, outputs)


def _settle_decision(event: Rated, decision: Decision, outputs: Outputs) -> None:
    terms, parts = _as_decided(event, decision)
    tally = outputs.tally
    is_rated = decision.fate is Fate.RATED
    payer, currency, tenant = event.payer, event.payer.currency, event.body.tenant
    begin = payer_text(tenant, payer.subscriber.id, payer.assignment.account, decision.wallet)
    key = f"{tenant}/{decision.wallet}".encode()
    for value in _records(event, begin, terms, parts, decision):
        outputs.add(RATED if is_rated else REFUSED, key, value)
    tally.redelivered += decision.known
    if is_rated:
        cost = sum(part.amount_nanos for part in parts)
        tally.charged_nanos[currency] += decision.charged_nanos
        tally.uncovered_nanos[currency] += cost - decision.charged_nanos


def _conflict(event: Rated) -> Fault:
    detail = "this id was decided before with other content; the first decision stands"
    return Fault.of_usage(event.body, Reason.ID_CONFLICT, detail, "id")


def _settle_fault(raw: RawEvent, usage: Usage | None, fault: Fault, outputs: Outputs) -> None:
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
        return
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


def _as_decided(event: Rated, decision: Decision) -> tuple[Terms | None, Sequence[ChargePart]]:
    """What is charged, under the counters the decision saw, and by which terms if these are plain."""
    offer, book = event.offer, event.payer.book
    plain = None
    if event.until_ms <= offer.high_ms:
        plain = offer.rate(event.quantity, dict(zip(offer.keys, decision.counters, strict=False)))
    if plain is None:
        charge = event.charge
        if charge is None or event.billed == UNRATED or decision.counters != event.counters:
            usage = event.usage
            uses = rate(book.tariff, usage, {}, book.zone).uses
            counters = {use.key: value for use, value in zip(uses, decision.counters, strict=True)}
            charge = rate(book.tariff, usage, counters, book.zone)
        return None, charge.parts
    billed, amount, _, _ = plain
    terms = offer.terms
    part = ChargePart(
        event.start_ms, event.end_ms, terms.period, terms.tariff_version, terms.rate_name, terms.zone, event.quantity,
        billed, amount, terms.tax_category, terms.explanation,
    )  # fmt: skip
    return terms, (part,)


def _records(
    event: Rated, begin: str, terms: Terms | None, parts: Sequence[ChargePart], decision: Decision
) -> Iterator[bytes]:
    """One record a part; a shortfall of money falls on the last parts."""
    raw, rated = event.raw, decision.fate is Fate.RATED
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
            begin, event.body.source, event.body.id, text, decision.epoch, decision.n, part.quantity,
            part.billable_quantity, min(part.amount_nanos, AMOUNT_MAX_NANOS), charged, balance, part.start_ms,
            part.end_ms, decision.decided_ms, raw.door.text, raw.position, decision.fingerprint, rare,
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
