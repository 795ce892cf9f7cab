"""An event and its SIM become a wallet entry: the offer that applies, the amount, and the counters after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Final

from rater.directory import Subscriber
from rater.identity import fingerprint, identity
from rater.money import AMOUNT_MAX_NANOS
from rater.pipeline.batch import Fault, Faulted, Rated, RawEvent
from rater.pipeline.cover import Cover, Given, charge_of, cover_of, pack
from rater.pipeline.live import POOL, USED, Live, whole
from rater.pipeline.payer import Offer, Payer
from rater.pipeline.recent import Recent
from rater.pipeline.sims import Sim, Sims
from rater.plans.allowances import Balance, Part, consume
from rater.rating.charge import Charge
from rater.rating.rate import rate
from rater.wallet.entry import SessionUse
from rater.wallet.member import Member
from schemas.adapters.usage_json import UsageEvent, normalised
from schemas.fates import Reason
from schemas.shape import Shape
from schemas.usage import Usage

#: Doubles count exactly up to here, and so does whoever reads a counter with them; usage that would pass it is refused.
COUNTER_MAX: Final = 2**53 - 1
SESSION: Final = "session:"
#: Session counters remembered of one SIM; past this all are learnt again from the shard, once none is waited upon.
SESSIONS_MAX: Final = 64
_NONE: Final[Mapping[str, int]] = {}


class Rater:
    """Rates events from what the worker believes, and again from what it is told."""

    def __init__(self, sims: Sims, catalogue_key: bytes) -> None:
        self._sims = sims
        self._catalogue_key = catalogue_key
        self._recent = Recent()
        self._order = count()

    def rate(
        self, raw: RawEvent, body: Usage | UsageEvent, start_ms: int, end_ms: int, shape: Shape, sim: Sim, now_ms: int
    ) -> Rated | Faulted:
        """The wallet entry of an event, rated upon all those of its SIM before it."""
        payer = sim.payer
        if payer is None or not payer.low_ms <= start_ms < payer.high_ms or payer.live is not payer.member.subscription:
            found = self._sims.payer(sim, start_ms)
            if isinstance(found, tuple):
                return Faulted(raw, normalised(body, start_ms, end_ms), Fault.of_usage(body, *found))
            payer = found
        return self.rate_for(raw, body, start_ms, end_ms, shape, payer, now_ms)

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
            payer.wallet, payer.member, digest, content + token + self._catalogue_key, f"{source}/{event_id}",
            payer.currency, 0, payer.version, raw=raw, body=body, start_ms=start_ms, end_ms=end_ms, shape=shape,
            payer=payer, offer=offer, quantity=quantity, until_ms=until_ms, is_repeat=self._recent.saw(digest),
        )  # fmt: skip
        fault = self.price(rated, now_ms)
        if fault is not None:
            return Faulted(raw, rated.usage, fault)
        if rated.counts:
            self.queue(rated)
        return rated

    def queue(self, rated: Rated) -> None:
        """Let it wait with the counters it moves, behind all that do."""
        rated.order = next(self._order)
        rated.member.pending.append(rated)
        if rated.pool_after and rated.pool is not None and rated.pool is not rated.member:
            rated.pool.pending.append(rated)

    def price(self, rated: Rated, now_ms: int) -> Fault | None:
        """What it costs, from the counters as they are believed to be; advances them. Answers why it has no price."""
        rated.before = rated.member.state
        if rated.payer.is_planned:
            return self._price_by_plan(rated, now_ms)
        return self._price_by_tariff(rated, now_ms)

    def _price_by_tariff(self, rated: Rated, now_ms: int) -> Fault | None:
        offer, member = rated.offer, rated.member
        plain = offer.rate(rated.quantity, member.counters) if rated.until_ms <= offer.high_ms else None
        if plain is None:
            return self._price_in_full(rated, now_ms)
        rated.billed, amount, rated.counters, after = plain
        rated.free = offer.is_free
        if amount > AMOUNT_MAX_NANOS or offer.refuse:
            rated.refuse, rated.amount_nanos = offer.refuse or Reason.AMOUNT_LIMIT, 0
            return None
        rated.amount_nanos = amount
        if after:
            self._advance(rated, offer.keys, after, now_ms)
        return None

    def _price_by_plan(self, rated: Rated, now_ms: int) -> Fault | None:
        payer, offer = rated.payer, rated.offer
        pool = rated.pool = payer.pool
        rated.cover = pack(Cover(payer.book.plan.name))
        if pool is not None:
            rated.pool_before = pool.state
        if offer.is_free:
            return self._price_by_tariff(rated, now_ms)
        if _awaits_own(rated, now_ms) or (pool is not None and _awaits_pool(pool, rated, now_ms)):
            rated.is_due = rated.uncounted = True
            return None
        if offer.is_refused:
            return self._price_by_tariff(rated, now_ms)
        return None if self._take_whole(rated, now_ms) else self._price_by_parts(rated, now_ms)

    def _price_by_parts(self, rated: Rated, now_ms: int) -> Fault | None:
        """What allowances give of it, and for the rest what the tariff says."""
        payer, balances = rated.payer, _balances(rated)
        part = Part(payer.book.use(rated.shape), rated.quantity, rated.start_ms, rated.end_ms)
        consumed = consume(balances.values(), part)
        if consumed.uncovered and payer.book.plan.overage == "refused":
            return self._refuse_overage(rated)
        if not consumed.lines:
            fault = self._price_by_tariff(rated, now_ms)
            if fault is None and balances:
                _depend(rated)
            return fault
        cover = cover_of(payer.book.plan.name, balances, consumed)
        charge = charge_of(cover, "priced", payer.book.tariff, rated.usage, _known(rated.member), payer.book.zone)
        if charge.outcome == "no_rate":
            return Fault.of_usage(rated.body, Reason.NO_RATE, charge.reason_detail)
        rated.cover, rated.allowed = pack(cover), True
        taken: dict[str, int] = {}
        for line in consumed.lines:
            taken[line.id] = taken.get(line.id, 0) + line.parts
        self._take_charge(rated, charge, taken, now_ms)
        _depend(rated)
        return None

    def _refuse_overage(self, rated: Rated) -> Fault | None:
        """Refuse what the allowances do not cover in full, and take nothing of them; its record says the price."""
        payer, known = rated.payer, _known(rated.member)
        charge = rate(payer.book.tariff, rated.usage, known, payer.book.zone)
        if charge.outcome == "no_rate":
            return Fault.of_usage(rated.body, Reason.NO_RATE, charge.reason_detail)
        rated.charge, rated.counters = charge, tuple(known.get(use.key, 0) for use in charge.uses)
        rated.free, rated.refuse, rated.amount_nanos = False, Reason.ALLOWANCE_USED_UP, 0
        return None

    def _take_whole(self, rated: Rated, now_ms: int) -> bool:
        """Let one allowance pay for all of it, as it mostly can."""
        member, pool, quantity = rated.member, rated.pool, rated.quantity
        use, live = rated.payer.book.use(rated.shape), member.subscription
        candidates = live.candidates(use) if live is not None else ()
        shared: Mapping[str, int] = _NONE
        is_mixed = False
        if pool is not None and pool is not member:
            theirs, shared = pool.subscription.candidates(use, shared=True), pool.counters
            is_mixed = bool(candidates and theirs)
            candidates = tuple(sorted((*candidates, *theirs))) if is_mixed else candidates or theirs
        found = (
            whole(candidates, member.counters, shared, quantity, rated.start_ms, rated.until_ms) if quantity else None
        )
        if found is None:
            return False
        (_, key, balance, cost, is_shared), used, left = found
        allowance = balance.allowance
        given = Given(allowance.name, quantity, quantity * cost, left, allowance.parts_per_credit, rated.start_ms)
        rated.given, rated.billed, rated.counters = given, quantity, ()
        rated.cover, rated.allowed = pack(Cover(rated.payer.book.plan.name, (given,))), True
        if is_shared:
            self._advance(rated, (), (), now_ms, {key: used})
        else:
            self._advance(rated, (key,), (used,), now_ms)
        if is_mixed:
            _depend(rated)
        return True

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

    def _advance(
        self, rated: Rated, keys: Sequence[str], after: Sequence[int], now_ms: int, shared: Mapping[str, int] = _NONE
    ) -> None:
        """Count it: its own counters, and of the pool's those in `shared`."""
        member, pool = rated.member, rated.pool
        if rated.is_repeat or member.is_held:
            # It will hardly be charged, so it moves no counters: what comes after it is rated upon the right ones.
            rated.uncounted = True
            return
        for value in (*after, *shared.values()) if shared else after:
            if value > COUNTER_MAX:
                rated.refuse, rated.amount_nanos = Reason.AMOUNT_LIMIT, 0
                return
        if not member.has_room(keys, now_ms):
            rated.refuse, rated.amount_nanos = Reason.AMOUNT_LIMIT, 0
            return
        if pool is member:  # the pool's own usage: one member, not two
            keys, after = [*keys, *shared], [*after, *shared.values()]
            _move_pool(rated, member, _counted(rated, member, keys, after, now_ms))
        else:
            if keys:
                rated.after = _counted(rated, member, keys, after, now_ms)
            if pool is not None and shared:
                _move_pool(rated, pool, _counted(rated, pool, [*shared], [*shared.values()], now_ms))
        rated.counts = True

    def _price_in_full(self, rated: Rated, now_ms: int) -> Fault | None:
        usage, payer = rated.usage, rated.payer
        known = _known(rated.member)
        charge = rate(payer.book.tariff, usage, known, payer.book.zone)
        if charge.outcome == "no_rate":
            return Fault.of_usage(usage, Reason.NO_RATE, charge.reason_detail)
        self._take_charge(rated, charge, {}, now_ms)
        return None

    def _take_charge(self, rated: Rated, charge: Charge, taken: Mapping[str, int], now_ms: int) -> None:
        """Take over a charge in full; `taken` is what it takes of balances."""
        known = _known(rated.member)
        rated.charge = charge
        rated.counters = tuple(known.get(use.key, 0) for use in charge.uses)
        rated.free, rated.refuse = charge.outcome == "free", refusal(charge, rated.offer)
        if not rated.refuse:
            rated.amount_nanos = charge.amount_nanos
            if charge.uses or taken:
                self._advance_in_full(rated, charge, taken, now_ms)

    def _advance_in_full(self, rated: Rated, charge: Charge, taken: Mapping[str, int], now_ms: int) -> None:
        sessions = rated.member.sessions
        if len(sessions) > SESSIONS_MAX and not rated.member.pending:
            sessions.clear()
        after = {use.key: before + use.add for use, before in zip(charge.uses, rated.counters, strict=True)}
        own = {key: value for key, value in after.items() if not key.startswith(SESSION)}
        is_all = len(own) == len(after)
        mine, shared = _taken(rated, taken)
        own.update(mine)
        if own or shared:
            self._advance(rated, list(own), list(own.values()), now_ms, shared)
        else:
            rated.uncounted = rated.is_repeat or rated.member.is_held
        if is_all or rated.uncounted or rated.refuse:
            return
        rated.counts = True
        prefix = session_prefix(rated.payer.subscriber)
        rated.sessions = tuple(
            SessionUse(prefix + use.key, before, before + use.add)
            for use, before in zip(charge.uses, rated.counters, strict=True)
            if use.key.startswith(SESSION)
        )
        sessions |= {key: value for key, value in after.items() if key.startswith(SESSION)}


def _counted(rated: Rated, member: Member[Any], keys: Sequence[str], after: Sequence[int], now_ms: int) -> bytes:
    """The state of a member after the event; with the last of its allowances it is not covered any more."""
    if rated.allowed and member.is_covered:
        taken = {**member.counters, **dict(zip(keys, after, strict=True))}
        if not member.subscription.covers(taken, rated.start_ms):
            member.uncover()
    return member.advance(keys, after, now_ms)


def _move_pool(rated: Rated, pool: Member[Any], after: bytes) -> None:
    """The pool as it is after the event, and whether it has something left for others than its own line."""
    rated.pool_after = after
    rated.shares = pool.is_covered and pool.subscription.shares(pool.counters, rated.start_ms)


def _awaits_own(rated: Rated, now_ms: int) -> bool:
    """Whether a step of the subscriber comes before usage, up to its last moment."""
    payer = rated.payer
    if payer.has_left or not payer.lives:
        return payer.awaits_terms
    if payer.joins or payer.is_past:
        return payer.joins
    return _awaits_step(payer.live, rated, now_ms)


def _awaits_pool(pool: Member[Any], rated: Rated, now_ms: int) -> bool:
    """Whether a step of the pool does; it has nothing for usage from before it was one."""
    live: Live | None = pool.subscription
    if live is None or live.subscription.assigned_ms > rated.start_ms:
        return live is None
    return _awaits_step(live, rated, now_ms)


def _awaits_step(live: Live, rated: Rated, now_ms: int) -> bool:
    if live.is_used and rated.until_ms < live.due_ms:
        return False  # as nearly always
    return live.awaits_step(rated.start_ms, rated.last_ms(now_ms), is_refused=rated.offer.is_refused)


def _depend(rated: Rated) -> None:
    """What has nothing left for a usage must still have nothing when that is decided, so it is rated upon it too.

    Else one that seemed to use an allowance up and then did not count, as a repeat, would let the next one pay.
    """
    member, pool = rated.member, rated.pool
    if rated.uncounted or rated.refuse:
        return
    after = member.state if pool is not member and not rated.after and _has_for(rated, member, shared=False) else b""
    theirs = pool.state if pool is not None and not rated.pool_after else b""
    if pool is None or not _has_for(rated, pool, shared=pool is not member):
        theirs = b""
    if not after and not theirs:
        return
    if rated.is_repeat or member.is_held:
        rated.uncounted = True
        return
    rated.after = rated.after or after
    if theirs and pool is not None:
        _move_pool(rated, pool, theirs)
    rated.counts = True


def _has_for(rated: Rated, line: Member[Any], *, shared: bool) -> bool:
    """Whether a member has had something for a usage at its time, left or not."""
    live = line.subscription
    found = live.candidates(rated.payer.book.use(rated.shape), shared=shared) if live is not None else ()
    return any(one.balance.from_ms <= rated.until_ms and rated.start_ms < one.balance.until_ms for one in found)


def _balances(rated: Rated) -> dict[str, Balance]:
    """What the subscriber may use: its own allowances, and those of its wallet's pool."""
    member, pool = rated.member, rated.pool
    found = member.subscription.left(member.counters) if member.subscription is not None else []
    if pool is not None and pool is not member:
        found += pool.subscription.shared(pool.counters)
    return {balance.id: balance for balance in found}


def _taken(rated: Rated, taken: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """The counters of grants after the event, by what it takes of them: the subscriber's own, and the pool's."""
    own, shared = rated.member.counters, rated.pool.counters if rated.pool is not None else {}
    mine: dict[str, int] = {}
    theirs: dict[str, int] = {}
    for name, parts in taken.items():
        key = USED + name.removeprefix(POOL)
        if name.startswith(POOL):
            theirs[key] = shared.get(key, 0) + parts
        else:
            mine[key] = own.get(key, 0) + parts
    return mine, theirs


def session_prefix(subscriber: Subscriber) -> str:
    """How the names of a SIM's session counters begin in Redis; its id may have slashes."""
    return f"{subscriber.tenant}/{subscriber.id}/"


def _known(member: Member[Any]) -> Mapping[str, int]:
    return {**member.counters, **member.sessions} if member.sessions else member.counters


def refusal(charge: Charge, offer: Offer) -> Reason:
    """Why tariff or plan refuse a charge; the wallet remembers it under the id."""
    if charge.outcome == "blocked":
        return Reason.REGION_BLOCKED
    if offer.refuse:
        return offer.refuse
    return Reason.AMOUNT_LIMIT if charge.amount_nanos > AMOUNT_MAX_NANOS else Reason.NONE
