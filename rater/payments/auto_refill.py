"""A wallet's auto-refill: what a company has set, what has come of it, and the request that is in flight.

The rules are rater.plans.auto_refill's; here is the document in which they are kept, replaced as a whole only if it is
still what was read. So of two processes that see the same low balance one asks. A request's price and payment are fixed
in the replacement that makes it: whoever goes on with it, after a crash too, opens the same payment.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from rater.documents import Documents
from rater.identity import FINGERPRINT_BYTES, identity
from rater.money import format_nanos
from rater.payments.model import Means, Payment, Purpose
from rater.plans.auto_refill import AutoRefill, RefillDecision, RefillState, asked, decide, declined, paid, switched_on
from rater.plans.model import Method, Refill
from rater.wallet.entry import Entry, Kind
from rater.wallet.news import pack_notice
from rater.wallet.store import WalletStore
from schemas.notice import Notice

#: `source` of the notices' entries on the wallet.
SOURCE = "auto-refill"

_replace = msgspec.structs.replace


class AutoRefillTerms(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a company sets. Caps are on what is paid, by the day and month of `zone`."""

    plan: str
    offer: str
    method: Method
    threshold_nanos: int
    zone: str
    parent: str = ""
    #: Name of a saved payment method; the wallet's default one if empty.
    payment_method: str = ""
    day_max_nanos: int | None = None
    month_max_nanos: int | None = None
    cool_down_ms: int = 60_000
    back_off_ms: int = 300_000
    declines_max: int = 3
    enabled: bool = True

    def rules(self, price_nanos: int) -> AutoRefill:
        """The same for the rules, at the price of the day."""
        return AutoRefill(
            self.threshold_nanos, price_nanos, self.cool_down_ms, self.day_max_nanos, self.month_max_nanos,
            self.declines_max, self.back_off_ms,
        )  # fmt: skip


class Request(msgspec.Struct, frozen=True, omit_defaults=True):
    """The request in flight: its number, and all that its payment is made of."""

    number: int
    payment: str
    at_ms: int
    price_nanos: int
    balance_nanos: int
    currency: str
    given: str
    terms: AutoRefillTerms
    means: Means = Means()


class Telling(msgspec.Struct, frozen=True):
    """A notice that is to go out; written down with the change it tells of."""

    id: str
    type: str
    at_ms: int
    data: dict[str, Any]


class WalletAutoRefill(msgspec.Struct, frozen=True, omit_defaults=True):
    """The document."""

    tenant: str
    wallet: str
    account: str
    terms: AutoRefillTerms
    state: RefillState = RefillState()
    request: Request | None = None
    to_tell: tuple[Telling, ...] = ()
    #: Counts what was set by API, so that an old request that is repeated sets nothing again.
    version: int = 1

    @property
    def may_ask(self) -> bool:
        """Whether it asks for a refill some time, or has asked for one that is not decided yet."""
        return self.request is not None or (self.terms.enabled and not self.state.is_off)


def auto_refills(redis: Any, store: WalletStore) -> Documents[WalletAutoRefill]:
    """Those of all wallets."""
    return Documents(redis, store, SOURCE, WalletAutoRefill)


def set_terms(found: WalletAutoRefill, terms: AutoRefillTerms) -> WalletAutoRefill:
    """After a company set it (anew): declines are forgotten, what is in flight stays so."""
    state = switched_on(found.state)
    return _replace(found, terms=terms, state=state, version=found.version + 1)


def due(found: WalletAutoRefill, offer: Refill, available_nanos: int, at_ms: int) -> RefillDecision:
    """Whether to ask now, and if not why."""
    if not found.terms.enabled:
        return RefillDecision("off")
    rules = found.terms.rules(offer.price_nanos)
    return decide(rules, found.state, available_nanos, at_ms, found.terms.zone)


def requested(
    found: WalletAutoRefill, offer: Refill, currency: str, means: Means, at_ms: int
) -> WalletAutoRefill:  # fmt: skip
    """After it was decided to ask: the request stands, its payment is not made yet."""
    state = asked(found.terms.rules(offer.price_nanos), found.state, at_ms, found.terms.zone)
    request = Request(
        number=state.requests,
        payment=payment_id(found.tenant, SOURCE, f"{found.wallet}/{state.requests}"),
        at_ms=at_ms,
        price_nanos=offer.price_nanos,
        balance_nanos=offer.balance_nanos,
        currency=currency,
        given=offer.given,
        terms=found.terms,
        means=means,
    )
    return _replace(found, state=state, request=request)


def payment_of(found: WalletAutoRefill, request: Request) -> Payment:
    """The payment of a request, the same whoever makes it."""
    return Payment(
        tenant=found.tenant,
        id=request.payment,
        account=found.account,
        wallet=found.wallet,
        purpose=Purpose("auto-refill", request.terms.offer, request.terms.plan),
        amount_nanos=request.price_nanos,
        balance_nanos=request.balance_nanos,
        currency=request.currency,
        method=request.terms.method,
        created_ms=request.at_ms,
        given=request.given,  # type: ignore[arg-type]
        parent=request.terms.parent,
        means=request.means,
    )


def ended(found: WalletAutoRefill, payment: Payment, at_ms: int) -> WalletAutoRefill:
    """After the payment of the request in flight was decided; any other payment changes nothing."""
    request = found.request
    if request is None or payment.id != request.payment or not payment.is_decided:
        return found
    if payment.status == "confirmed":
        return _replace(found, state=paid(found.state, request.number), request=None)
    rules = found.terms.rules(request.price_nanos)
    state = declined(rules, found.state, request.number, at_ms)
    data = {
        "payment": payment.id,
        "amount": format_nanos(request.price_nanos),
        "currency": request.currency,
        "reason": payment.reason or payment.status,
        "declines": state.declines,
    }
    told = [_telling(found, request.number, "failed", at_ms, data)]
    if state.is_off:
        told.append(_telling(found, request.number, "off", at_ms, data))
    return _replace(found, state=state, request=None, to_tell=(*found.to_tell, *told))


def without_offer(found: WalletAutoRefill, why: str, at_ms: int) -> WalletAutoRefill:
    """What was set can't be done any more (the offer is gone): off, and told once."""
    if found.state.is_off or not found.terms.enabled:
        return found
    off = _telling(found, f"{found.state.requests}-{found.version}", "off", at_ms, {"reason": why})
    return _replace(found, state=_replace(found.state, is_off=True), to_tell=(*found.to_tell, off))


def told(found: WalletAutoRefill, ids: set[str]) -> WalletAutoRefill:
    """After these notices went out."""
    return _replace(found, to_tell=tuple(telling for telling in found.to_tell if telling.id not in ids))


def entry_of(found: WalletAutoRefill, telling: Telling) -> Entry:
    """A notice as an entry that changes nothing and goes out once."""
    notice = Notice(
        f"{SOURCE}/{telling.id}", telling.type, found.tenant, telling.at_ms, found.account, found.wallet,
        data=telling.data,
    )  # fmt: skip
    return Entry(
        kind=Kind.NOTE,
        tenant=found.tenant,
        wallet=found.wallet,
        identity=identity(found.tenant, SOURCE, telling.id),
        fingerprint=bytes(FINGERPRINT_BYTES),
        cause=f"{SOURCE}/{telling.id}",
        news=(pack_notice(notice),),
    )


def threshold_of(found: WalletAutoRefill) -> Entry:
    """Lets the wallet say when it is low, from these terms' threshold on."""
    event_id = f"{found.wallet}/threshold/{found.version}"
    return Entry(
        kind=Kind.THRESHOLD,
        tenant=found.tenant,
        wallet=found.wallet,
        identity=identity(found.tenant, SOURCE, event_id),
        fingerprint=bytes(FINGERPRINT_BYTES),
        cause=f"{SOURCE}/{event_id}",
        amount_nanos=found.terms.threshold_nanos,
    )


def payment_id(tenant: str, source: str, name: str) -> str:
    """A payment's id, the same for the same request: it is made once."""
    text = f"{len(tenant)}:{len(source)}:{tenant}{source}{name}"
    return "pay_" + blake2b(text.encode(), digest_size=12).hexdigest()


def _telling(found: WalletAutoRefill, number: int | str, what: str, at_ms: int, data: dict[str, Any]) -> Telling:
    return Telling(f"{found.wallet}/{number}/{what}", f"wallet.auto_refill_{what}", at_ms, data)
