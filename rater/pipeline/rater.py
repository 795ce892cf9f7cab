"""An event and its SIM become a wallet entry: the offer that applies, the amount, and the counters after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rater.identity import fingerprint, identity
from rater.money import AMOUNT_MAX_NANOS
from rater.pipeline.batch import Event, Fault, Faulted, Item, Rated
from rater.pipeline.payer import Offer, Payer
from rater.pipeline.recent import Recent
from rater.pipeline.sims import Sim, Sims
from rater.rating.charge import Charge
from rater.rating.rate import rate
from rater.wallet.entry import SessionUse
from rater.wallet.member import Member
from schemas.fates import Reason

#: Doubles count exactly up to here, and so does whoever reads a counter with them; usage that would pass it is refused.
COUNTER_MAX: Final = 2**53 - 1
SESSION: Final = "session:"
#: Session counters remembered of one SIM; past this all are learnt again from the shard.
SESSIONS_MAX: Final = 64


class Rater:
    """Rates events from what the worker believes, and again from what it is told."""

    def __init__(self, sims: Sims, catalogue_key: bytes) -> None:
        self._sims = sims
        self._catalogue_key = catalogue_key
        self._recent = Recent()

    def rate(self, event: Event, sim: Sim, now_ms: int) -> Item:
        """The wallet entry of an event, rated upon all those of its SIM before it."""
        payer = sim.payer
        if payer is None or not payer.low_ms <= event.start_ms < payer.high_ms:
            found = self._sims.payer(sim, event.start_ms)
            if isinstance(found, tuple):
                return Faulted(event.raw, event.usage, Fault.of_usage(event.body, *found))
            payer = found
        return self.rate_for(event, payer, now_ms)

    def rate_for(self, event: Event, payer: Payer, now_ms: int) -> Item:
        """The wallet entry of an event that a payer pays for."""
        body, raw, shape = event.body, event.raw, event.shape
        service = shape.service
        start_ms, until_ms = event.start_ms, event.end_ms
        if service == "data":
            quantity: int = body.volume_bytes  # type: ignore[assignment]
        elif service == "voice":
            quantity = body.duration_ms  # type: ignore[assignment]
            until_ms = start_ms + quantity
        else:
            quantity, until_ms = body.message_count, start_ms  # type: ignore[assignment]
        offer = payer.book.last.get(shape)
        if offer is None or not (offer.low_ms <= start_ms and until_ms <= offer.high_ms):
            offer = payer.book.offer(shape, start_ms, until_ms)
        tenant, source, event_id = body.tenant, body.source, body.id
        subscriber = payer.subscriber.id
        marks = (
            fingerprint(shape.text, subscriber, body.session_id, quantity, start_ms, event.end_ms)
            + raw.door.token(raw.position, raw.element)
            + self._catalogue_key
        )
        digest = identity(tenant, source, event_id)
        rated = Rated(
            payer.wallet, payer.member, digest, marks, f"{source}/{event_id}", payer.book.tariff.currency, 0,
            payer.version, event=event, payer=payer, offer=offer, quantity=quantity, until_ms=until_ms, cost_nanos=0,
            is_repeat=self._recent.saw(digest),
        )  # fmt: skip
        fault = self.price(rated, now_ms)
        if fault is not None:
            return Faulted(raw, event.usage, fault)
        if rated.counts:
            payer.member.pending.append(rated)
        return rated

    def price(self, rated: Rated, now_ms: int) -> Fault | None:
        """What it costs, from the counters as they are believed to be; advances them. Answers why it has no price."""
        offer, member = rated.offer, rated.member
        rated.before, rated.after, rated.sessions, rated.charge, rated.uncounted = member.state, b"", (), None, False
        plain = offer.rate(rated.quantity, member.counters) if rated.until_ms <= offer.high_ms else None
        if plain is None:
            return self._price_in_full(rated, now_ms)
        rated.billed, amount, rated.counters, after = plain
        rated.cost_nanos = rated.amount_nanos = amount
        rated.refuse, rated.free = offer.refuse, offer.is_free
        if amount > AMOUNT_MAX_NANOS or offer.refuse:
            self._refuse(rated, offer.refuse or Reason.AMOUNT_LIMIT)
        elif after:
            # What will hardly be charged moves no counters, so that what comes after it is rated upon the right ones.
            if rated.is_repeat or member.is_held:
                rated.uncounted = True
            else:
                self._advance(rated, offer.keys, after, now_ms)
        return None

    @staticmethod
    def _refuse(rated: Rated, reason: Reason) -> None:
        rated.refuse, rated.amount_nanos = reason, 0

    def _advance(self, rated: Rated, keys: Sequence[str], after: Sequence[int], now_ms: int) -> None:
        for value in after:
            if value > COUNTER_MAX:
                self._refuse(rated, Reason.AMOUNT_LIMIT)
                return
        rated.after = rated.member.advance(keys, after, now_ms)

    def _price_in_full(self, rated: Rated, now_ms: int) -> Fault | None:
        usage, payer, member = rated.event.usage, rated.payer, rated.member
        known = _known(member)
        charge = rate(payer.book.tariff, usage, known, payer.book.zone)
        if charge.outcome == "no_rate":
            return Fault.of_usage(usage, Reason.NO_RATE, charge.reason_detail)
        rated.charge = charge
        rated.cost_nanos = rated.amount_nanos = charge.amount_nanos
        rated.counters = tuple(known.get(use.key, 0) for use in charge.uses)
        rated.free, rated.refuse = charge.outcome == "free", refusal(charge, rated.offer)
        if rated.refuse:
            self._refuse(rated, rated.refuse)
        elif charge.uses and (rated.is_repeat or member.is_held):
            rated.uncounted = True
        else:
            self._advance_in_full(rated, charge, now_ms)
        return None

    def _advance_in_full(self, rated: Rated, charge: Charge, now_ms: int) -> None:
        after = [before + use.add for use, before in zip(charge.uses, rated.counters, strict=True)]
        if after and max(after) > COUNTER_MAX:
            self._refuse(rated, Reason.AMOUNT_LIMIT)
            return
        own = {use.key: value for use, value in zip(charge.uses, after, strict=True) if not use.key.startswith(SESSION)}
        if own:
            self._advance(rated, list(own), list(own.values()), now_ms)
        sessions = rated.member.sessions
        if len(sessions) > SESSIONS_MAX:
            sessions.clear()
        prefix = f"{rated.event.body.tenant}/{rated.payer.subscriber.id}/"
        rated.sessions = tuple(
            SessionUse(prefix + use.key, value - use.add, value)
            for use, value in zip(charge.uses, after, strict=True)
            if use.key.startswith(SESSION)
        )
        sessions |= {use.field.removeprefix(prefix): use.after for use in rated.sessions}


def _known(member: Member[Any]) -> Mapping[str, int]:
    return {**member.counters, **member.sessions} if member.sessions else member.counters


def refusal(charge: Charge, offer: Offer) -> Reason:
    """Why tariff or plan refuse a charge; the wallet remembers it under the id."""
    if charge.outcome == "blocked":
        return Reason.REGION_BLOCKED
    if offer.refuse:
        return offer.refuse
    return Reason.AMOUNT_LIMIT if charge.amount_nanos > AMOUNT_MAX_NANOS else Reason.NONE
