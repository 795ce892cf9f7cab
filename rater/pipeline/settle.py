"""Third stage: a decided batch becomes messages, a tally, and an answer for each event, for a door that answers."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from rater.pipeline.batch import Batch, Fault, Faulted, Item, Rated, RawEvent, Work
from rater.pipeline.charged import settle_charged
from rater.pipeline.records import as_decided, records
from rater.pipeline.tally import Tally, Verdict
from rater.wallet.entry import Decision
from schemas.fates import Fate, Reason
from schemas.faults import DeadLetter, ParkedEvent
from schemas.rated import payer_text
from schemas.usage import Usage

#: Topics, in the order in which they are published.
RATED, REFUSED, PARKED, DEAD_LETTERS = "rated", "refused", "parked", "dead-letters"

_encode = msgspec.json.Encoder().encode


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
    items, charged = work.items, dict[str, int]()
    place = count = 0
    while place < len(items):
        end = settle_charged(items, place, rated, charged)
        count += end - place
        if end < len(items):
            _settle_item(items[end], outputs)
        place = end + 1
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
    if item.head is not None:
        return Verdict(Fate.RATED, Reason.NONE, "", item.amount_nanos, item.payer.currency)
    decision = item.decision
    first = item.old_fingerprint or (decision.fingerprint if decision is not None and _is_repeat(item) else None)
    if first is not None:
        if first == item.fingerprint:
            return Verdict(Fate.DUPLICATE, Reason.NONE, currency=item.payer.currency, first=decision)
        return _fault_verdict(_conflict(item), item.usage)
    assert decision is not None, "an event leaves the charge stage decided"
    uncovered = 0
    if decision.fate is Fate.RATED:
        uncovered = sum(part.amount_nanos for part in as_decided(item, decision)[1]) - decision.charged_nanos
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
    terms, parts = as_decided(event, decision)
    tally = outputs.tally
    is_rated = decision.fate is Fate.RATED
    payer, currency, tenant = event.payer, event.payer.currency, event.body.tenant
    begin = payer_text(tenant, payer.subscriber.id, payer.assignment.account, decision.wallet)
    key = f"{tenant}/{decision.wallet}".encode()
    for value in records(event, begin, terms, parts, decision):
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
