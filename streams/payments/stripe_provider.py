"""By Stripe, through its own library: one PaymentIntent a payment, its idempotency key is our payment's id.

A saved method (a card, a SEPA mandate) is charged at once, without the payer. Without one the intent waits for the
payer's browser, which gets the client secret. Methods that confirm later (UPI, bank debits) are `pending` until the
webhook or a look says more.

How a second payment is ruled out though a call has no answer:

- Stripe remembers an idempotency key for at least 24 hours. For 23 hours the call is repeated with the same key: it
  answers what it did first, or does it now.
- Before each repeat the intents are listed and the one with our id in its metadata is taken, so a fault that Stripe
  remembers under the key does not hide an intent that was made.
- After 24 hours, when the key may be forgotten, nothing is made any more: an intent that is not there by then was never
  made, and the payment is declined (`not_made`).

A decline of a saved method is final: the intent is cancelled before the decline is believed, so that nobody can pay it
later. Of an intent that waits for the payer, one failed try is no decline.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import aiohttp
import stripe

from rater.payments.model import Disputed, Payment, ProviderAnswer, Refunded
from rater.settings import PaymentSettings
from streams.payments.provider import NoAnswerError, ProviderEvent, WebhookError
from streams.payments.stripe_intents import event_of, given_up, is_of, names_on, params_of, reason_of
from streams.payments.stripe_units import UnitsError, nanos_of, units_of

log = logging.getLogger(__name__)

#: Below what a request over HTTP is given (35 s): its client is told "pending" rather than nothing.
TIMEOUT_S = 20
HOUR_MS = 3_600_000
#: How long the same call may be repeated under its key, and when an intent that is not there was never made.
REPEAT_MS = 23 * HOUR_MS
NEVER_MADE_MS = 24 * HOUR_MS
#: A payer who has not paid by then has left.
ABANDONED_MS = 24 * HOUR_MS
#: Intents looked through for one of ours; past this it is not known whether it is there.
LISTED_MAX = 10_000
DAY_S = 86_400

#: The library lets through what goes wrong while it reads an answer's body.
_AWAY = (stripe.StripeError, aiohttp.ClientError, TimeoutError, OSError)
_WAITS_FOR_PAYER = ("requires_payment_method", "requires_confirmation", "requires_action")
#: Webhooks that are read; all others are none of ours.
_INTENT_EVENTS = (
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.processing",
    "payment_intent.canceled",
)
_DISPUTE_EVENTS = ("charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated")
#: Of a dispute's status: the bank only asks. No money has moved, and when the question is closed none is reinstated; if
#: it becomes a chargeback, that the funds were withdrawn is told.
_INQUIRY = "warning"


class StripeProvider:
    """See Provider."""

    def __init__(self, settings: PaymentSettings) -> None:
        self._secret = settings.stripe_webhook_secret
        self._http = stripe.AIOHTTPClient(timeout=TIMEOUT_S)
        base = {"base_addresses": {"api": settings.stripe_api_base}} if settings.stripe_api_base else {}
        # Repeating is the desk's affair, which remembers over a crash that it has to.
        self._client = stripe.StripeClient(
            settings.stripe_key, http_client=self._http, max_network_retries=0, **base  # type: ignore[arg-type]
        )  # fmt: skip
        self._intents = self._client.v1.payment_intents

    def refuses(self, amount_nanos: int, currency: str) -> str | None:
        """Anything but whole minor units."""
        try:
            units_of(amount_nanos, currency)
        except UnitsError as error:
            return str(error)
        return None

    async def create(self, payment: Payment, now_ms: int) -> ProviderAnswer:
        """Make the intent; with a saved method, charge it."""
        try:
            params = params_of(payment)
        except UnitsError:
            return ProviderAnswer("declined", reason="amount")
        try:
            intent = await self._intents.create_async(params, {"idempotency_key": payment.id})  # type: ignore[arg-type]
        except stripe.CardError as error:
            return await self._refused(payment, error)
        except stripe.InvalidRequestError as error:
            return ProviderAnswer("declined", reason=error.code or "invalid_request")
        except _AWAY as error:
            raise _no_answer(error) from error
        return await self._answer(payment, intent, now_ms)

    async def look(self, payment: Payment, now_ms: int) -> ProviderAnswer:
        """The intent as it stands, found by our id where we have not heard its name."""
        if payment.reference:
            return await self._answer(payment, await self._retrieved(payment.reference), now_ms)
        intent = await self._found(payment)
        if intent is not None:
            return await self._answer(payment, intent, now_ms)
        age_ms = now_ms - payment.created_ms
        if age_ms < REPEAT_MS:
            return await self.create(payment, now_ms)
        if age_ms < NEVER_MADE_MS:
            raise NoAnswerError("its key may be forgotten soon, so it is not asked for again")
        return ProviderAnswer("declined", reason="not_made")

    async def cancel(self, payment: Payment, now_ms: int) -> ProviderAnswer:
        """Cancel the intent, unless it is paid by now."""
        if not payment.reference:
            answer = await self.look(payment, now_ms)
            if answer.status != "pending":
                return answer
            return await self._cancelled(answer.reference, "cancelled")
        return await self._cancelled(payment.reference, "cancelled")

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> ProviderEvent | None:
        """Check the signature, then say which payment it is about.

        What an intent's event says may be older than what stands, so it only makes us look. Refunds and disputes name
        no payment, but their intent does.
        """
        try:
            event = stripe.Webhook.construct_event(body, headers.get("stripe-signature"), self._secret)
            sort, found = event.type, event.data.object
        except (stripe.SignatureVerificationError, ValueError, AttributeError) as error:
            raise WebhookError(f"this is not signed by Stripe with our secret: {type(error).__name__}") from error
        if sort in _INTENT_EVENTS:
            return event_of(found, None)
        if sort != "charge.refunded" and sort not in _DISPUTE_EVENTS:
            return None
        if not isinstance(found.payment_intent, str):
            return None
        if sort == "charge.dispute.created" and found.status.startswith(_INQUIRY):
            return None
        intent = await self._retrieved(found.payment_intent)
        if sort == "charge.refunded":
            total_nanos = nanos_of(found.amount_refunded, found.currency.upper())
            return event_of(intent, Refunded(intent.id, total_nanos))
        # In another currency than the intent's nothing can be reckoned: then it is all of it.
        units = found.amount if found.currency == intent.currency else intent.amount
        amount_nanos = 0 if sort.endswith("reinstated") else nanos_of(units, intent.currency.upper())
        return event_of(intent, Disputed(intent.id, found.id, amount_nanos))

    async def close(self) -> None:
        """Close its connections."""
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def _answer(self, payment: Payment, intent: Any, now_ms: int) -> ProviderAnswer:
        """What an intent's status says of our payment."""
        if not is_of(payment, intent):
            # Somebody's intent with our id in it; what it is worth is not what was asked for.
            log.error("intent %s is not what payment %s asked for", intent.id, payment.id)
            raise NoAnswerError(f"{intent.id} is for another amount than {payment.id}")
        if intent.status == "succeeded":
            return ProviderAnswer("confirmed", intent.id)
        if intent.status == "canceled":
            return given_up(payment, intent)
        if intent.status in _WAITS_FOR_PAYER:
            if payment.means.method and intent.status == "requires_payment_method":
                return await self._cancelled(intent.id, "declined", reason_of(intent.last_payment_error))
            if now_ms - payment.created_ms >= ABANDONED_MS:
                return await self._cancelled(intent.id, "cancelled", "abandoned")
            return ProviderAnswer("pending", intent.id, client_secret=intent.client_secret or "")
        return ProviderAnswer("pending", intent.id)

    async def _refused(self, payment: Payment, error: stripe.CardError) -> ProviderAnswer:
        """A saved method that was declined; its intent is closed first."""
        told = error.error
        intent = told.payment_intent if told is not None else None
        reason = reason_of(told) or error.code or "declined"
        if intent is None:
            return ProviderAnswer("declined", reason=reason)
        return await self._cancelled(intent.id, "declined", reason)

    async def _cancelled(self, reference: str, status: Any, reason: str = "") -> ProviderAnswer:
        """Cancel an intent; if it is paid by now it is not cancelled but confirmed."""
        try:
            await self._intents.cancel_async(reference)
        except stripe.InvalidRequestError:
            intent = await self._retrieved(reference)
            if intent.status == "succeeded":
                return ProviderAnswer("confirmed", reference)
            if intent.status != "canceled":
                return ProviderAnswer("pending", reference)
        except _AWAY as error:
            raise _no_answer(error) from error
        return ProviderAnswer(status, reference, reason)

    async def _retrieved(self, reference: str) -> Any:
        try:
            return await self._intents.retrieve_async(reference)
        except _AWAY as error:
            raise _no_answer(error) from error

    async def _found(self, payment: Payment) -> Any:
        """The intent with our id among the customer's, or else among all since the day before."""
        wanted: dict[str, Any] = {"limit": 100}
        if payment.means.customer:
            wanted["customer"] = payment.means.customer
        else:
            wanted["created"] = {"gte": payment.created_ms // 1000 - DAY_S}
        try:
            page = await self._intents.list_async(wanted)  # type: ignore[arg-type]
            looked_at = 0
            async for intent in page.auto_paging_iter():
                if names_on(intent).get("rater_payment") == payment.id:
                    return intent
                looked_at += 1
                if looked_at >= LISTED_MAX:
                    raise NoAnswerError(f"there are more than {LISTED_MAX} intents to look through")
        except _AWAY as error:
            raise _no_answer(error) from error
        return None


def _no_answer(error: Exception) -> NoAnswerError:
    return NoAnswerError(f"Stripe: {type(error).__name__}: {error}")
