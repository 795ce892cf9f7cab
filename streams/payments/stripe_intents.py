"""A PaymentIntent as we write it and as we read it. Pure; the calls are in stripe_provider.py."""

from __future__ import annotations

from typing import Any

from rater.payments.model import Disputed, Payment, ProviderAnswer, Refunded
from streams.payments.provider import ProviderEvent
from streams.payments.stripe_units import units_of


def params_of(payment: Payment) -> dict[str, Any]:
    """What an intent is made of; always the same for a payment, as its key demands."""
    params: dict[str, Any] = {
        "amount": units_of(payment.amount_nanos, payment.currency),
        "currency": payment.currency.lower(),
        "metadata": {"rater_tenant": payment.tenant, "rater_payment": payment.id, "rater_wallet": payment.wallet},
        "description": f"{payment.purpose.kind} {payment.purpose.name}".strip(),
        "automatic_payment_methods": {"enabled": True},
    }
    if payment.means.customer:
        params["customer"] = payment.means.customer
    if payment.means.method:
        params |= {"payment_method": payment.means.method, "confirm": True, "off_session": True}
        # Nobody is there to be led to a bank's page.
        params["automatic_payment_methods"]["allow_redirects"] = "never"
    return params


def event_of(intent: Any, report: Refunded | Disputed | None) -> ProviderEvent | None:
    """An event about the payment that an intent names; None if it names none of ours."""
    named = names_on(intent)
    if "rater_tenant" not in named or "rater_payment" not in named:
        return None
    return ProviderEvent(named["rater_tenant"], named["rater_payment"], intent.id, report)


def names_on(intent: Any) -> dict[str, str]:
    """What we wrote on an intent."""
    return dict(intent.metadata.to_dict()) if intent.metadata else {}


def given_up(payment: Payment, intent: Any) -> ProviderAnswer:
    """A cancelled intent: declined, if a saved method was charged and refused."""
    reason = reason_of(intent.last_payment_error)
    if payment.means.method and reason:
        return ProviderAnswer("declined", intent.id, reason)
    return ProviderAnswer("cancelled", intent.id, intent.cancellation_reason or "")


def reason_of(told: Any) -> str:
    """The most exact reason that Stripe gives."""
    if told is None:
        return ""
    return str(getattr(told, "decline_code", None) or getattr(told, "code", None) or "declined")


def is_of(payment: Payment, intent: Any) -> bool:
    """Whether an intent is over what the payment asks for."""
    units, currency = units_of(payment.amount_nanos, payment.currency), payment.currency.lower()
    return bool(intent.amount == units and intent.currency == currency)
