"""Who pays and by which terms, worked out once for all events of a SIM and of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rater import compiled
from rater.geo import country_of_mcc, country_of_number
from rater.plan import Plan
from rater.plans.allowances import NEVER_MS
from rater.plans.credits import Use, use_of
from rater.rating.charge import ChargePart
from rater.rating.terms import Terms, terms_at
from rater.rating.timeline import cycle_at
from rater.subscriber import Assignment, Subscriber
from rater.tariff.match import EMERGENCY
from rater.tariff.model import Tariff
from rater.wallet.debit import WalletRef
from rater.wallet.member import Member
from schemas.fates import Reason
from schemas.rated import offer_text, payer_text
from schemas.shape import Shape

#: Offers kept for one shape: stretches of time between which usage goes back and forth (bands, an old backlog).
STRETCHES_MAX: Final = 4
#: Shapes kept in one book; called numbers are many, so it is emptied when full.
SHAPES_MAX: Final = 65_536

#: An invoice is closed so long after its cycle's end.
GRACE_MS: Final = 3 * 24 * 3_600_000


@compiled.twin("fields")
class OfferFields:
    """What the hot path reads of an offer."""

    __slots__ = ("billed_until_ms", "compiled")

    #: Usage that is decided later is billed in another cycle than its own.
    billed_until_ms: int
    #: All else that it reads, see rater/compiled/price.pxd.
    compiled: object


class Offer(OfferFields):
    """What usage of one shape costs under one plan, for a stretch of time, and how its records say so."""

    __slots__ = (
        "covered",
        "high_ms",
        "is_free",
        "is_refused",
        "keys",
        "low_ms",
        "rate",
        "refuse",
        "terms",
        "text",
    )

    def __init__(self, terms: Terms, refuse: Reason, text: str, billed_until_ms: int) -> None:
        self.terms = terms
        self.billed_until_ms = billed_until_ms
        #: Holds for usage with low_ms <= start and charged end <= high_ms.
        self.low_ms, self.high_ms = terms.low_ms, terms.high_ms
        self.rate = terms.rate
        self.keys = terms.keys
        self.is_free = terms.outcome == "free"
        #: Refused by the plan, whatever it costs.
        self.refuse = refuse
        #: Refused by plan or tariff, whoever pays.
        self.is_refused = bool(refuse) or terms.outcome == "blocked"
        #: The part of a record that is the same for all of it; and where an allowance pays, by it and its words.
        self.text = text
        self.covered: dict[str, str] = {}
        self.compiled = None


def billed_until_ms(zone: str, start_ms: int) -> int:
    """Until when usage of a cycle is billed in that cycle: its invoice is closed `GRACE_MS` after its end."""
    return cycle_at(zone, start_ms)[1] + GRACE_MS


class Book:
    """The offers of one plan version under one tariff, for accounts whose cycles are in one zone."""

    def __init__(self, plan: Plan, tariff: Tariff, zone: str, catalogue: str) -> None:
        self.plan = plan
        self.tariff = tariff
        self.zone = zone
        self.catalogue = catalogue
        #: The offer last used for each shape, to be looked at first: it is nearly always right.
        self.last: dict[Shape, Offer] = {}
        self._kept: dict[Shape, list[Offer]] = {}
        self._uses: dict[Shape, Use] = {}

    def offer(self, shape: Shape, start_ms: int, until_ms: int) -> Offer:
        """The offer for usage that starts at a time; where it holds until the usage's end, it is used for that too."""
        kept = self._kept.setdefault(shape, [])
        for offer in kept:
            if offer.low_ms <= start_ms and until_ms <= offer.high_ms:
                break
        else:
            offer = self._make(shape, start_ms)
            kept.append(offer)
            del kept[:-STRETCHES_MAX]
        if len(self._kept) > SHAPES_MAX:
            self._kept.clear()
            self.last.clear()
        self.last[shape] = offer
        return offer

    def use(self, shape: Shape) -> Use:
        """Usage of a shape as allowances see it."""
        use = self._uses.get(shape)
        if use is None:
            if len(self._uses) >= SHAPES_MAX:
                self._uses.clear()
            country = country_of_mcc(shape.mcc, shape.mnc) if shape.mcc else None
            destination = country_of_number(shape.called_number or "")
            use = self._uses[shape] = use_of(shape, self.tariff.zones, country or "", destination or "")
        return use

    def _make(self, shape: Shape, start_ms: int) -> Offer:
        terms = terms_at(self.tariff, shape, start_ms, self.zone)
        # Emergency numbers are free for everybody, whatever the plan.
        is_allowed = shape.service in self.plan.entitlements or terms.rate_name == EMERGENCY
        refuse = Reason.NONE if is_allowed else Reason.NOT_ENTITLED
        text = self.text(shape, terms.period, terms, terms.rate_name, terms.explanation)
        return Offer(terms, refuse, text, billed_until_ms(self.zone, start_ms))

    def text(self, shape: Shape, period: str, terms: Terms | ChargePart, rate: str, explanation: Sequence[str]) -> str:
        """The middle of a record: what was used, under this plan and the terms of a rate."""
        country = shape.country or (country_of_mcc(shape.mcc, shape.mnc) if shape.mcc else None)
        return offer_text(
            shape, plan=self.plan.name, plan_version=self.plan.version, tariff=self.plan.tariff,
            tariff_version=terms.tariff_version, period=period, rate=rate, zone=terms.zone,
            currency=self.tariff.currency, tax_category=terms.tax_category, catalogue=self.catalogue,
            explanation=explanation, country=country or "",
            destination_country=shape.destination_country or country_of_number(shape.called_number or "") or "",
        )  # fmt: skip


@compiled.twin("fields")
class PayerFields:
    """What the hot path reads of who pays."""

    __slots__ = (
        "book", "currency", "has_moved", "high_ms", "is_planned", "key", "live", "low_ms", "member", "subscriber",
        "text", "version", "wallet",
    )  # fmt: skip

    subscriber: Subscriber
    version: int
    #: Whether other wallets paid for it before (or will), so that there are other shards to ask.
    has_moved: bool
    book: Book
    currency: str
    wallet: WalletRef
    member: Member[Any]
    low_ms: int
    high_ms: int
    #: The subscription, as it was when this was worked out.
    live: Any
    #: Whether allowances may pay for usage.
    is_planned: bool
    #: What keeps a wallet's records in order on their topic.
    key: bytes
    #: How its records begin.
    text: str


class Payer(PayerFields):
    """Who pays for a SIM's usage and by which terms, for usage that starts within [low_ms, high_ms)."""

    __slots__ = (
        "assignment", "awaits_terms", "ends_ms", "has_left", "is_past", "joins", "lives", "pool",
    )  # fmt: skip

    def __init__(
        self, subscriber: Subscriber, assignment: Assignment, book: Book, wallet: WalletRef, member: Member[Any],
        low_ms: int, high_ms: int, pool: Member[Any] | None = None,
    ) -> None:  # fmt: skip
        self.subscriber = subscriber
        self.version = subscriber.version
        self.has_moved = len(subscriber.assignments) > 1
        #: Whether another wallet pays for it by now: here it makes no steps any more, and has what was granted before.
        self.has_left = subscriber.assignments[-1].wallet != wallet.name
        self.assignment = assignment
        #: When the next assignment begins.
        self.ends_ms = subscriber.next_from_ms(low_ms) or NEVER_MS
        self.book = book
        self.currency = book.tariff.currency
        self.wallet = wallet
        self.member = member
        self.low_ms, self.high_ms = low_ms, high_ms
        self.live = live = member.subscription
        #: Whether it has one that could not be looked up yet: without it nothing may be rated.
        self.awaits_terms = live is None and member.steps > 0
        #: Whether usage falls under a plan that grants, charges or ends by itself, so that its subscription is asked.
        self.lives = live is not None or self.awaits_terms or book.plan.has_life
        #: Whether it is of an assignment before the one that the subscription is of.
        self.is_past = live is not None and high_ms <= live.subscription.assigned_ms
        #: The member whose shared allowances are for all of the wallet.
        self.pool = pool
        self.is_planned = self.lives or pool is not None
        #: Whether the plan was assigned and its subscription has yet to begin.
        self.joins = self.lives and (live is None or live.subscription.assigned_ms < assignment.from_ms)
        self.key, self.text = self._begin_of(wallet.name)

    def begin_of(self, wallet: str) -> tuple[bytes, str]:
        """Key and beginning of the record of what a wallet decided: this one, or the one that paid before a move."""
        return (self.key, self.text) if wallet == self.wallet.name else self._begin_of(wallet)

    def _begin_of(self, wallet: str) -> tuple[bytes, str]:
        of = self.subscriber
        return f"{of.tenant}/{wallet}".encode(), payer_text(of.tenant, of.id, self.assignment.account, wallet)
