"""Refill offers, and refills: a wallet is given the balance of an offer once somebody has paid its price."""

from __future__ import annotations

from typing import Any

import msgspec

from rater.payments.auto_refill import payment_id
from rater.payments.model import Means, Payment, Purpose
from rater.plans.model import Method, Plan, Refill
from rater.wallet.states import WalletState
from streams.http.endpoint import Call, Endpoint, NoForm
from streams.http.forms import money
from streams.http.payment_forms import NewRefill, Offer, PaymentOut, PlanQuery, RefillOffers, shown
from streams.http.problems import Problem
from streams.http.wallets import SOURCE, find
from streams.payments.offers import offer_named
from streams.payments.parent import wallet_above

_encode = msgspec.json.Encoder().encode
_payment = msgspec.json.Decoder(Payment).decode


async def offers(call: Call[NoForm]) -> RefillOffers:
    """What a wallet can be refilled with."""
    wallet = await find(call, call.path["wallet"])
    return RefillOffers(
        [
            Offer(
                plan.name, offer.name, money(offer.price_nanos), money(offer.balance_nanos), plan.currency,
                sorted(offer.paid_by), offer.given,
            )
            for plan in await _plans(call, wallet, call.query.plan)
            for offer in plan.refills
        ]
    )  # fmt: skip


async def refill(call: Call[NewRefill]) -> PaymentOut:
    """Pay for a refill. The Idempotency-Key makes the payment's id, so a repeat finds the payment that was made."""
    desk = call.desk.engine.desks.payments.desk
    wallet = await find(call, call.path["wallet"])
    known = await desk.get(call.tenant, payment_id(call.tenant, SOURCE, call.idempotency_key))
    wanted = known or await _new(call, wallet)
    claims = call.desk.claims
    plan, _ = await claims.claim(call.tenant, call.idempotency_key, call.subject, call.form, _encode(wanted))
    payment, is_new = await desk.start(_payment(plan))
    return shown(payment, secret=True, repeated=not is_new)


async def _new(call: Call[NewRefill], wallet: WalletState) -> Payment:
    form = call.form
    plan, offer = await chosen_offer(call, wallet, form.plan, form.offer, form.method)
    means = Means()
    if form.method == "card" and not form.payer_present:
        means = await saved_means(call, wallet, form.payment_method)
    return Payment(
        tenant=call.tenant,
        id=payment_id(call.tenant, SOURCE, call.idempotency_key),
        account=await call.desk.reach.account_of(call.tenant, wallet.wallet),
        wallet=wallet.wallet,
        purpose=Purpose("refill", offer.name, plan.name),
        amount_nanos=offer.price_nanos,
        balance_nanos=offer.balance_nanos,
        currency=plan.currency,
        method=form.method,
        created_ms=call.desk.now_ms,
        given=offer.given if form.method == "invoice" else "confirmed",
        parent=await parent_of(call, wallet, form.method, form.parent_wallet),
        means=means,
    )


async def chosen_offer(
    call: Call[Any], wallet: WalletState, plan: str, name: str, method: Method
) -> tuple[Plan, Refill]:  # fmt: skip
    """The offer of this name, of the plan that is named or of the one plan of the wallet's SIMs that has it.

    Raises:
        Problem: there is none, or more than one, or it is not paid so, or not in the wallet's currency.
    """
    found = [
        (offering, offer)
        for offering in await _plans(call, wallet, plan)
        if (offer := offer_named(offering.refills, name)) is not None
    ]
    if not found:
        raise Problem(
            "not-found", f"there is no refill offer {name}; see /v1/wallets/{{wallet}}/refill-offers", "offer"
        )
    if len(found) > 1:
        names = ", ".join(offering.name for offering, _ in found)
        raise Problem("invalid", f"several plans have an offer {name}; say which: {names}", "plan")
    offering, offer = found[0]
    if offering.currency != wallet.currency:
        raise Problem("conflict", f"it is in {offering.currency}, the wallet in {wallet.currency}", "offer")
    if method not in offer.paid_by:
        raise Problem("conflict", f"{name} is paid by {', '.join(sorted(offer.paid_by))}", "method")
    _check_method(call, method, offer, wallet.currency)
    return offering, offer


def _check_method(call: Call[Any], method: Method, offer: Refill, currency: str) -> None:
    """Refuse what no provider here can take."""
    provider = call.desk.engine.desks.payments.providers.get(method)
    if provider is None:
        raise Problem("conflict", f"nothing is paid by {method} here; see [payments] in the settings", "method")
    if (why := provider.refuses(offer.price_nanos, currency)) is not None:
        raise Problem("conflict", why, "offer")


async def saved_means(call: Call[Any], wallet: WalletState, name: str) -> Means:
    """The provider's references of a saved payment method, or of the default one."""
    methods = await call.desk.engine.desks.payments.methods.get(call.tenant, wallet.wallet)
    method = methods.named(name) if methods is not None else None
    if method is None:
        what = f"{wallet.wallet} has no saved payment method {name}".rstrip()
        raise Problem("conflict", f"{what}; save one, or let the payer pay (payer_present)", "payment_method")
    return method.means


async def parent_of(call: Call[Any], wallet: WalletState, method: Method, named: str) -> str:
    """The wallet that pays: one of the organisation above, or another one that the key reaches too."""
    if method != "parent":
        return ""
    parts = call.desk.engine.parts
    name, is_above = await wallet_above(parts.accounts, parts.account_wallets, call.tenant, wallet.wallet, named)
    if not name:
        raise Problem(
            "invalid", f"no organisation is above {wallet.wallet}: name the wallet that pays", "parent_wallet"
        )
    if name == wallet.wallet:
        raise Problem("invalid", "a wallet does not pay for itself", "parent_wallet")
    above = await parts.store.wallet(call.tenant, name) if is_above else await find(call, name, "parent_wallet")
    if above is None:
        raise Problem("not-found", f"{call.tenant} has no wallet {name}", "parent_wallet")
    if above.currency != wallet.currency:
        raise Problem("conflict", f"{name} is kept in {above.currency}, not in {wallet.currency}", "parent_wallet")
    return name


async def _plans(call: Call[Any], wallet: WalletState, plan: str) -> list[Plan]:
    every, now_ms = call.desk.engine.desks.payments.offers, call.desk.now_ms
    if not plan:
        return await every.plans_of(wallet, now_ms)
    found = every.plan(plan, now_ms)
    if found is None:
        raise Problem("not-found", f"the catalogue has no plan {plan} in force; see /v1/plans", "plan")
    return [found]


_WALLET = "/v1/wallets/{wallet}"
ENDPOINTS = (
    Endpoint(
        method="GET", path=f"{_WALLET}/refill-offers", handler=offers, scope="read", query=PlanQuery,
        answer=RefillOffers, summary="What a wallet can be refilled with, and for how much", problems=(404,),
    ),
    Endpoint(
        method="POST", path=f"{_WALLET}/refills", handler=refill, scope="manage", keyed=True, status=201,
        summary="Pay for a refill; the balance is given when the payment is confirmed", form=NewRefill,
        answer=PaymentOut, problems=(404,),
    ),
)  # fmt: skip
