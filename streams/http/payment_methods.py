"""A wallet's saved payment methods: names for what Stripe keeps. The numbers of cards go from the browser to Stripe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rater.accounts.changes import PaymentDetails
from rater.accounts.roles import OPERATOR
from rater.payments.methods import SavedMethod, WalletMethods, removed, saved
from rater.payments.model import Means
from rater.wallet.states import WalletState
from streams.http.endpoint import Call, Endpoint, NoForm
from streams.http.payment_forms import SavedMethodIn, SavedMethodOut, SavedMethods
from streams.http.problems import Problem
from streams.http.wallets import find

#: Wallets of an account that are looked at for methods.
_WALLETS_MAX = 1000


async def methods(call: Call[NoForm]) -> SavedMethods:
    """What is saved."""
    wallet = await find(call, call.path["wallet"])
    return _shown(await _stored(call, wallet))


async def save(call: Call[SavedMethodIn]) -> SavedMethods:
    """Save a method under a name, in the place of what had it."""
    wallet = await find(call, call.path["wallet"])
    name, form = call.path["name"], call.form
    if len(name) > 128 or "/" in name:
        raise Problem("invalid", 'a name has at most 128 characters and no "/"', "name")
    method = SavedMethod(name, Means(form.customer, form.payment_method), form.label)
    return await _change(call, await _stored(call, wallet), lambda found: saved(found, method, is_default=form.default))


async def remove(call: Call[NoForm]) -> SavedMethods:
    """Forget a method; Stripe's own copy is the platform's to remove."""
    wallet, name = await find(call, call.path["wallet"]), call.path["name"]
    found = await _stored(call, wallet)
    return await _change(call, found, lambda found: removed(found, name), needs=name)


async def _stored(call: Call[Any], wallet: WalletState) -> WalletMethods:
    stored = await call.desk.engine.desks.payments.methods.get(call.tenant, wallet.wallet)
    return stored or WalletMethods(call.tenant, wallet.wallet, version=0)


async def _change(
    call: Call[Any], found: WalletMethods, after: Callable[[WalletMethods], WalletMethods], *, needs: str = ""
) -> SavedMethods:  # fmt: skip
    """Change the document once for the Idempotency-Key, which stands for the version that it was to change.

    `needs` is a method that has to be there, unless this very key has changed it before.
    """
    documents, claims = call.desk.engine.desks.payments.methods, call.desk.claims
    version = str(found.version).encode()
    claimed, is_new = await claims.claim(call.tenant, call.idempotency_key, call.subject, call.form, version)
    if needs and is_new and not found.named(needs):
        await claims.release(call.tenant, call.idempotency_key)
        raise Problem("not-found", f"{found.wallet} has no saved payment method {needs}")
    await documents.create(WalletMethods(call.tenant, found.wallet, version=0), found.wallet)

    def once(stored: WalletMethods) -> WalletMethods:
        return after(stored) if stored.version == int(claimed) else stored

    changed = await documents.change(call.tenant, found.wallet, once)
    if is_new and changed.version != int(claimed) + 1:
        await claims.release(call.tenant, call.idempotency_key)
        raise Problem("conflict", "another request changed it at this moment; send this one again")
    await _tell_account(call, changed)
    return _shown(changed, repeated=not is_new)


async def _tell_account(call: Call[Any], changed: WalletMethods) -> None:
    """The account says whether payment details are there: a method of any of its wallets."""
    parts, tenant = call.desk.engine.parts, call.tenant
    name = await call.desk.reach.account_of(tenant, changed.wallet)
    account = await parts.accounts.get(tenant, name)
    if account is None or account.closed:
        return
    wallets = await parts.account_wallets.page(tenant, name, "", _WALLETS_MAX)
    every = await call.desk.engine.desks.payments.methods.many(tenant, wallets)
    is_there = any(found.methods for found in (changed, *every))
    if account.has_payment_details != is_there:
        change_id = f"payment-methods/{changed.wallet}/{changed.version}"
        await parts.accounts.change(
            tenant, name, PaymentDetails(is_there), OPERATOR, change_id=change_id, now_ms=call.desk.now_ms
        )
        call.desk.reach.forget(tenant, name)


def _shown(found: WalletMethods, *, repeated: bool = False) -> SavedMethods:
    listed = [
        SavedMethodOut(m.name, m.label, m.means.customer, m.means.method, m.name == found.default)
        for m in found.methods
    ]  # fmt: skip
    return SavedMethods(listed, repeated)


_METHODS = "/v1/wallets/{wallet}/payment-methods"
ENDPOINTS = (
    Endpoint(
        method="GET", path=_METHODS, handler=methods, scope="read", summary="A wallet's saved payment methods",
        answer=SavedMethods, problems=(404,),
    ),
    Endpoint(
        method="PUT", path=f"{_METHODS}/{{name}}", handler=save, scope="manage", keyed=True,
        summary="Save a payment method that a provider keeps", form=SavedMethodIn, answer=SavedMethods,
        problems=(404,),
    ),
    Endpoint(
        method="DELETE", path=f"{_METHODS}/{{name}}", handler=remove, scope="manage", keyed=True,
        summary="Forget a payment method", answer=SavedMethods, problems=(404,),
    ),
)  # fmt: skip
