"""Auto-refill of a wallet: set, and looked at."""

from __future__ import annotations

from typing import Literal
from zoneinfo import ZoneInfo

from rater.money import parse_nanos
from rater.payments.auto_refill import AutoRefillTerms, WalletAutoRefill
from rater.wallet.states import WalletState
from streams.http.endpoint import Call, Endpoint, NoForm
from streams.http.forms import money
from streams.http.payment_forms import AutoRefillOut, NewAutoRefill
from streams.http.problems import Problem
from streams.http.refills import chosen_offer, parent_of, saved_means
from streams.http.wallets import find


async def show(call: Call[NoForm]) -> AutoRefillOut:
    """What is set, and what has come of it."""
    wallet = await find(call, call.path["wallet"])
    found = await call.desk.engine.desks.payments.auto_refills.get(call.tenant, wallet.wallet)
    if found is None:
        raise Problem("not-found", f"{wallet.wallet} has no auto-refill; PUT one")
    return _shown(found)


async def put(call: Call[NewAutoRefill]) -> AutoRefillOut:
    """Set it, or set it anew: then declines are forgotten, and what is in flight stays so."""
    wallet = await find(call, call.path["wallet"])
    refills = call.desk.engine.desks.payments.auto_refills
    known = await refills.get(call.tenant, wallet.wallet)
    account = await call.desk.reach.account_of(call.tenant, wallet.wallet)
    wanted = WalletAutoRefill(call.tenant, wallet.wallet, account, await _terms(call, wallet))
    version = str(known.version if known else 0).encode()
    claimed, is_new = await call.desk.claims.claim(
        call.tenant, call.idempotency_key, call.subject, call.form, version
    )  # fmt: skip
    found = await refills.set(wanted, int(claimed))
    if found is None and is_new:
        await call.desk.claims.release(call.tenant, call.idempotency_key)
        raise Problem("conflict", "another request changed it at this moment; send this one again")
    found = found or await refills.get(call.tenant, wallet.wallet)
    assert found is not None, "what was set once stays"
    return _shown(found, repeated=not is_new)


async def _terms(call: Call[NewAutoRefill], wallet: WalletState) -> AutoRefillTerms:
    form = call.form
    plan, offer = await chosen_offer(call, wallet, form.plan, form.offer, form.method)
    if form.method == "card":
        await saved_means(call, wallet, form.payment_method)
    caps = {
        name: parse_nanos(text) for name in ("day_max", "month_max") if (text := getattr(form, name)) is not None
    }  # fmt: skip
    for name, cap_nanos in caps.items():
        if cap_nanos < offer.price_nanos:
            raise Problem("invalid", f"one refill costs {money(offer.price_nanos)}, so there would be none", name)
    return AutoRefillTerms(
        plan=plan.name,
        offer=offer.name,
        method=form.method,
        threshold_nanos=parse_nanos(form.threshold),
        zone=_zone(form.zone or plan.zone),
        parent=await parent_of(call, wallet, form.method, form.parent_wallet),
        payment_method=form.payment_method if form.method == "card" else "",
        day_max_nanos=caps.get("day_max"),
        month_max_nanos=caps.get("month_max"),
        cool_down_ms=form.cool_down_s * 1000,
        back_off_ms=form.back_off_s * 1000,
        declines_max=form.declines_max,
        enabled=form.enabled,
    )


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, or no name of a zone at all
        raise Problem("invalid", f"{name} is no IANA zone such as Europe/Berlin", "zone") from None
    return name


def _shown(found: WalletAutoRefill, *, repeated: bool = False) -> AutoRefillOut:
    terms, state = found.terms, found.state
    return AutoRefillOut(
        wallet=found.wallet,
        plan=terms.plan,
        offer=terms.offer,
        method=terms.method,
        threshold=money(terms.threshold_nanos),
        parent_wallet=terms.parent,
        payment_method=terms.payment_method,
        day_max=_cap(terms.day_max_nanos),
        month_max=_cap(terms.month_max_nanos),
        cool_down_s=terms.cool_down_ms // 1000,
        back_off_s=terms.back_off_ms // 1000,
        declines_max=terms.declines_max,
        zone=terms.zone,
        enabled=terms.enabled,
        status=_status(found),
        payment=found.request.payment if found.request else "",
        declines=state.declines,
        day=state.day,
        day_spent=money(state.day_nanos),
        month=state.month,
        month_spent=money(state.month_nanos),
        repeated=repeated,
    )


def _status(found: WalletAutoRefill) -> Literal["waiting", "in_flight", "off", "disabled"]:
    if found.request is not None:
        return "in_flight"
    if not found.terms.enabled:
        return "disabled"
    return "off" if found.state.is_off else "waiting"


def _cap(nanos: int | None) -> str:
    return "" if nanos is None else money(nanos)


_PATH = "/v1/wallets/{wallet}/auto-refill"
ENDPOINTS = (
    Endpoint(
        method="GET", path=_PATH, handler=show, scope="read", summary="A wallet's auto-refill as it stands",
        answer=AutoRefillOut, problems=(404,),
    ),
    Endpoint(
        method="PUT", path=_PATH, handler=put, scope="manage", keyed=True,
        summary="Let a wallet be refilled by itself when it is low", form=NewAutoRefill, answer=AutoRefillOut,
        problems=(404,),
    ),
)  # fmt: skip
