"""Decisions as records. A pure function of the event, the catalogue and the decision.

So the same decision gives the same bytes, today and after a crash: the record is rated with the counters that the
decision remembers, under the catalogue it names, with the place and time it was first decided at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rater.identity import FINGERPRINT_BYTES
from rater.money import AMOUNT_MAX_NANOS
from rater.pipeline.batch import UNRATED, Rated
from rater.pipeline.cover import Cover, Given, charge_of, rate_of, unpack, words_of
from rater.pipeline.payer import billed_until_ms
from rater.rating.charge import Charge, ChargePart
from rater.rating.rate import rate
from rater.rating.terms import Terms
from rater.rating.timeline import cycle_at
from rater.wallet.debit import Head
from rater.wallet.entry import Decision
from schemas.fates import Fate
from schemas.rated import rare_text, record


def plain_record(event: Rated, head: Head) -> bytes:
    """The record of an event that was charged at once under plain terms."""
    body, offer, raw, amount, rare = event.body, event.offer, event.raw, event.amount_nanos, ""
    text = offer.text
    if head.decided_ms >= offer.billed_until_ms:
        text, rare = _texts(event, offer.terms, head.decided_ms)
    elif body.session_id is not None or body.called_number is not None:
        rare = rare_text(called_number=body.called_number, session_id=body.session_id)
    return record(
        event.payer.text, body.source, body.id, text, head.epoch, head.n + event.place, event.quantity, event.billed,
        amount, amount, head.balance_nanos - event.ahead_nanos, event.start_ms, event.end_ms, head.decided_ms,
        raw.door.text, raw.position, event.marks[:FINGERPRINT_BYTES], rare,
    )  # fmt: skip


def covered_record(event: Rated, given: Given, head: Head) -> bytes:
    """The record of an event that was charged at once and for which one allowance paid, within its cycle's grace."""
    body, raw, offer, shape, book = event.body, event.raw, event.offer, event.shape, event.payer.book
    words = words_of(given, shape.service)
    text = offer.covered.get(words)
    if text is None:
        part = ChargePart(
            event.start_ms, event.end_ms, offer.terms.period, "", rate_of(given), "", 0, 0, 0, "", (words,)
        )  # fmt: skip
        text = offer.covered[words] = book.text(shape, part.period, part, part.rate, part.explanation)
    rare = rare_text(
        called_number=body.called_number, session_id=body.session_id, allowance=given.name,
        allowance_used=given.parts, allowance_left=given.left_parts,
    )  # fmt: skip
    return record(
        event.payer.text, body.source, body.id, text, head.epoch, head.n + event.place, event.quantity, event.billed,
        0, 0, head.balance_nanos - event.ahead_nanos, event.start_ms, event.end_ms, head.decided_ms, raw.door.text,
        raw.position, event.marks[:FINGERPRINT_BYTES], rare,
    )  # fmt: skip


def as_decided(event: Rated, decision: Decision) -> tuple[Terms | None, Sequence[ChargePart]]:
    """What is charged, under the counters the decision saw, and by which terms if these are plain."""
    offer, book = event.offer, event.payer.book
    plain = None
    cover = unpack(decision.cover) if decision.cover else None
    if cover is not None and cover.given:
        return None, _covered(event, cover, decision).parts
    if event.until_ms <= offer.high_ms:
        plain = offer.rate(event.quantity, dict(zip(offer.keys, decision.counters, strict=False)))
    if plain is None:
        charge = event.charge
        if charge is None or event.billed == UNRATED or decision.counters != event.counters:
            usage = event.usage
            uses = rate(book.tariff, usage, {}, book.zone).uses
            # Without any it was refused before it was priced, as its plan had not begun: as if nothing had been used.
            known = decision.counters or (0,) * len(uses)
            counters = {use.key: value for use, value in zip(uses, known, strict=True)}
            charge = rate(book.tariff, usage, counters, book.zone)
        return None, charge.parts
    billed, amount, _, _ = plain
    terms = offer.terms
    part = ChargePart(
        event.start_ms, event.end_ms, terms.period, terms.tariff_version, terms.rate_name, terms.zone, event.quantity,
        billed, amount, terms.tax_category, terms.explanation,
    )  # fmt: skip
    return terms, (part,)


def _covered(event: Rated, cover: Cover, decision: Decision) -> Charge:
    if (
        event.charge is not None
        and event.billed != UNRATED
        and event.cover == decision.cover
        and event.counters == decision.counters
    ):
        return event.charge
    book, usage = event.payer.book, event.usage
    uses = charge_of(cover, "priced", book.tariff, usage, {}, book.zone).uses
    counters = {use.key: value for use, value in zip(uses, decision.counters, strict=True)}
    return charge_of(cover, "priced", book.tariff, usage, counters, book.zone)


def records(
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
            uncovered_nanos=part.amount_nanos - charged if rated else 0, allowance=part.allowance,
            allowance_used=part.allowance_used, allowance_left=part.allowance_left,
        )  # fmt: skip
        yield record(
            begin, event.body.source, event.body.id, text, decision.epoch, decision.n, part.quantity,
            part.billable_quantity, min(part.amount_nanos, AMOUNT_MAX_NANOS), charged, balance, part.start_ms,
            part.end_ms, decision.decided_ms, raw.door.text, raw.position, decision.fingerprint, rare,
        )  # fmt: skip
        balance -= charged
    assert left == 0, "what was charged is never more than what the parts cost"


def _texts(event: Rated, terms: Terms | ChargePart, decided_ms: int, **rare: Any) -> tuple[str, str]:
    """The middle and the end of a record."""
    book, body, offer = event.payer.book, event.body, event.offer
    if isinstance(terms, Terms) and decided_ms < offer.billed_until_ms:
        text, late = offer.text, False
    else:
        start_ms, name = (event.start_ms, terms.rate_name) if isinstance(terms, Terms) else (terms.start_ms, terms.rate)
        period, late = billing_period(terms.period, start_ms, decided_ms, book.zone)
        text = book.text(event.shape, period, terms, name, terms.explanation)
    return text, rare_text(called_number=body.called_number, session_id=body.session_id, late=late, **rare)


def billing_period(period: str, start_ms: int, decided_ms: int, zone: str) -> tuple[str, bool]:
    """The cycle whose invoice usage belongs to, from its own, and whether it is late.

    Usage that arrives within its cycle's grace is billed in its own; later, in the cycle in which it was decided, still
    at its own cycle's price, and marked.
    """
    if decided_ms < billed_until_ms(zone, start_ms):
        return period, False
    return cycle_at(zone, decided_ms)[2], True
