"""An event and its SIM become a wallet entry: the offer that applies, the amount, and the counters after it."""

from __future__ import annotations

from itertools import count

from rater.identity import fingerprint, identity
from rater.pipeline.batch import Fault, Faulted, Rated, RawEvent
from rater.pipeline.payer import Payer
from rater.pipeline.planned import price_by_plan
from rater.pipeline.pricing import price_by_tariff
from rater.pipeline.recent import Recent
from rater.pipeline.sims import Sim, Sims, Unpaid
from schemas.adapters.usage_json import UsageEvent, normalised
from schemas.fates import Reason
from schemas.shape import Shape
from schemas.usage import Usage


class Rater:
    """Rates events from what the worker believes, and again from what it is told."""

    def __init__(self, sims: Sims, catalogue_key: bytes) -> None:
        self._sims = sims
        self.catalogue_key = catalogue_key
        self.recent = Recent()
        self.order = count()

    def rate(
        self, raw: RawEvent, body: Usage | UsageEvent, start_ms: int, end_ms: int, shape: Shape, sim: Sim, now_ms: int
    ) -> Rated | Faulted:
        """The wallet entry of an event, rated upon all those of its SIM before it."""
        payer = self.payer(sim, start_ms)
        if isinstance(payer, tuple):
            return Faulted(raw, normalised(body, start_ms, end_ms), Fault.of_usage(body, *payer))
        return self.rate_for(raw, body, start_ms, end_ms, shape, payer, now_ms)

    def payer(self, sim: Sim, start_ms: int) -> Payer | Unpaid:
        """Who pays for usage that starts at a time: the payer last used, as nearly always."""
        payer = sim.payer
        if payer is None or not payer.low_ms <= start_ms < payer.high_ms or payer.live is not payer.member.subscription:
            return self._sims.payer(sim, start_ms)
        return payer

    def rate_for(
        self, raw: RawEvent, body: Usage | UsageEvent, start_ms: int, end_ms: int, shape: Shape, payer: Payer,
        now_ms: int,
    ) -> Rated | Faulted:  # fmt: skip
        """The wallet entry of an event that a payer pays for."""
        service, until_ms = shape.service, end_ms
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
        source, event_id = body.source, body.id
        digest = identity(body.tenant, source, event_id)
        content = fingerprint(
            shape.text, body.called_number, payer.subscriber.id, body.session_id, quantity, start_ms, end_ms
        )
        door = raw.door
        token = door.token(raw.position, raw.element)
        rated = Rated(
            payer.wallet, payer.member, digest, content + token + self.catalogue_key, f"{source}/{event_id}",
            payer.currency, 0, payer.version, raw=raw, body=body, start_ms=start_ms, end_ms=end_ms, shape=shape,
            payer=payer, offer=offer, quantity=quantity, until_ms=until_ms, is_repeat=self.recent.saw(digest),
        )  # fmt: skip
        fault = self.price(rated, now_ms)
        if fault is not None:
            return Faulted(raw, rated.usage, fault)
        if rated.counts:
            self.queue(rated)
        return rated

    def queue(self, rated: Rated) -> None:
        """Let it wait with the counters it moves, behind all that do."""
        rated.order = next(self.order)
        rated.member.queue(rated)
        if rated.pool_after and rated.pool is not None and rated.pool is not rated.member:
            rated.pool.queue(rated)

    def price(self, rated: Rated, now_ms: int) -> Fault | None:
        """What it costs, from the counters as they are believed to be; advances them. Answers why it has no price."""
        rated.before = rated.member.state
        if rated.payer.is_planned:
            return price_by_plan(rated, now_ms)
        return price_by_tariff(rated, now_ms)

    def price_again(self, rated: Rated, now_ms: int) -> Fault | None:
        """Forget what it was rated as, and rate it from the counters and the subscription as they are believed now."""
        rated.after, rated.sessions, rated.charge, rated.refuse = b"", (), None, Reason.NONE
        rated.counts = rated.uncounted = rated.is_due = rated.allowed = False
        rated.amount_nanos, rated.cover, rated.given = 0, b"", None
        rated.pool, rated.pool_before, rated.pool_after = None, b"", b""
        payer = rated.payer
        if payer.live is not rated.member.subscription or payer.pool is not self._sims.pool(payer.wallet):
            found = self._sims.payer_of(payer.subscriber, payer.assignment, rated.member, rated.start_ms)
            if isinstance(found, tuple):
                return Fault.of_usage(rated.body, *found)
            rated.payer = found
            rated.offer = found.book.offer(rated.shape, rated.start_ms, rated.until_ms)
        return self.price(rated, now_ms)
