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
    fault = _fault_of(item)
    if fault is not None:
        return Verdict(_fate_of(fault, item.usage), fault.reason, _explained(fault, item.usage))
    assert isinstance(item, Rated), "what is no usage has a fault"
    currency = item.payer.currency
    if item.head is not None:
        return Verdict(Fate.RATED, Reason.NONE, "", item.amount_nanos, currency)
    decision = item.decision
    if _first_of(item) is not None:
        return Verdict(Fate.DUPLICATE, Reason.NONE, currency=currency, first=decision)
    assert decision is not None, "an event leaves the charge stage decided"
    uncovered = 0
    if decision.fate is Fate.RATED:
        uncovered = sum(part.amount_nanos for part in as_decided(item, decision)[1]) - decision.charged_nanos
    known = decision if decision.known else None
    return Verdict(decision.fate, decision.reason, "", decision.charged_nanos, currency, uncovered, known)


def _fault_of(item: Item) -> Fault | None:
    """What is wrong with an event; an id that was decided before with other content is."""
    if not isinstance(item, Rated):
        assert isinstance(item, Faulted), "an event leaves the charge stage decided"
        return item.fault
    if item.fault is not None or item.head is not None:
        return item.fault
    first = _first_of(item)
    return _conflict(item) if first is not None and first != item.fingerprint else None


def _first_of(item: Rated) -> bytes | None:
    """The fingerprint of what was decided under this id before, and not at this very delivery."""
    if item.old_fingerprint is not None:
        return item.old_fingerprint
    decision = item.decision
    if decision is None or not decision.known:
        return None
    return None if item.is_redelivery and decision.fingerprint == item.fingerprint else decision.fingerprint


def _fate_of(fault: Fault, usage: Usage | None) -> Fate:
    """What cannot become right is dead; the rest waits for a repair."""
    return Fate.DEAD_LETTERED if usage is None or fault.reason >= Reason.MALFORMED else Fate.PARKED


def _explained(fault: Fault, usage: Usage | None) -> str:
    if _fate_of(fault, usage) is Fate.PARKED:
        return fault.detail
    return f"{fault.field}: {fault.detail}".removeprefix(": ")


def _settle_item(item: Item, outputs: Outputs) -> None:
    fates, fault = outputs.tally.fates, _fault_of(item)
    if fault is not None:
        fates[_fate_of(fault, item.usage), fault.reason] += 1
        _settle_fault(item.raw, item.usage, fault, outputs)
        return
    assert isinstance(item, Rated), "what is no usage has a fault"
    decision = item.decision
    if item.head is None and _first_of(item) is not None:
        fates[Fate.DUPLICATE, Reason.NONE] += 1
        return
    assert decision is not None, "an event leaves the charge stage decided"
    fates[decision.fate, decision.reason] += 1
    _settle_decision(item, decision, outputs)


def _settle_decision(event: Rated, decision: Decision, outputs: Outputs) -> None:
    terms, parts = as_decided(event, decision)
    tally = outputs.tally
    is_rated = decision.fate is Fate.RATED
    key, begin = event.payer.begin_of(decision.wallet)
    for value in records(event, begin, terms, parts, decision):
        outputs.add(RATED if is_rated else REFUSED, key, value)
    tally.redelivered += decision.known
    if is_rated:
        cost = sum(part.amount_nanos for part in parts)
        currency = event.payer.currency
        tally.charged_nanos[currency] += decision.charged_nanos
        tally.uncovered_nanos[currency] += cost - decision.charged_nanos


def _conflict(event: Rated) -> Fault:
    detail = "this id was decided before with other content; the first decision stands"
    return Fault.of_usage(event.body, Reason.ID_CONFLICT, detail, "id")


def _settle_fault(raw: RawEvent, usage: Usage | None, fault: Fault, outputs: Outputs) -> None:
    batch, (tenant, source, event_id) = outputs.batch, fault.identity
    if usage is None or _fate_of(fault, usage) is Fate.DEAD_LETTERED:
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
