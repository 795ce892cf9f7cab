"""A server that speaks the few calls of Stripe's API that are used, and can decline, be slow, lose answers, tell twice.

Payment methods say what becomes of them: `pm_ok` is paid, `pm_declined` declined, `pm_later` is processing until
`decide`. Without one an intent waits for its payer (`pay`). Faults are taken one a call, the first first:

    "lost before"   the connection is closed, nothing was done
    "lost after"    it was done, but the connection is closed before the answer
    "fault"         it was done, the answer is 500, and stands under the idempotency key
    "busy"          429, nothing was done
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import stripe
from aiohttp import web

SECRET = "whsec_test"


class StripeServer:
    """See the module."""

    def __init__(self) -> None:
        self.url = ""
        self.intents: dict[str, dict[str, Any]] = {}
        self.faults: deque[str] = deque()
        #: Each call is dealt with so much later, so that calls at once are at once.
        self.delay_s = 0.0
        #: Calls by method and path, for tests that count.
        self.calls: list[str] = []
        self._saved: dict[str, tuple[int, dict[str, Any]]] = {}

    @property
    def paid(self) -> list[dict[str, Any]]:
        """Every intent for which money was taken."""
        return [intent for intent in self.intents.values() if intent["status"] == "succeeded"]

    def forget_keys(self) -> None:
        """As after 24 hours."""
        self._saved.clear()

    def decide(self, reference: str, status: str, code: str = "") -> None:
        """A processing intent is `succeeded`, or failed with a code."""
        intent = self.intents[reference]
        intent["status"] = status
        if code:
            intent["last_payment_error"] = {"code": code, "message": code}

    def webhook(self, sort: str, found: dict[str, Any], secret: str = SECRET) -> tuple[dict[str, str], bytes]:
        """Headers and body of an event, signed."""
        body = json.dumps({"id": "evt_1", "object": "event", "type": sort, "data": {"object": found}})
        signature = stripe.WebhookSignature.generate_signature_header(body, secret)
        return {"stripe-signature": signature}, body.encode()

    def told(self, reference: str) -> tuple[dict[str, str], bytes]:
        """The event of how an intent stands now."""
        intent = self.intents[reference]
        sorts = {"succeeded": "succeeded", "canceled": "canceled", "processing": "processing"}
        return self.webhook(f"payment_intent.{sorts.get(intent['status'], 'payment_failed')}", intent)

    def refund(self, reference: str, units: int) -> tuple[dict[str, str], bytes]:
        """The event of so much refunded in all."""
        charge = {
            "id": "ch_1", "object": "charge", "payment_intent": reference, "amount_refunded": units,
            "currency": self.intents[reference]["currency"],
        }  # fmt: skip
        return self.webhook("charge.refunded", charge)

    def dispute(
        self, reference: str, what: str, units: int, status: str = "needs_response"
    ) -> tuple[dict[str, str], bytes]:  # fmt: skip
        """The event of a dispute: "created", "funds_withdrawn" or "funds_reinstated"."""
        found = {
            "id": "dp_1", "object": "dispute", "payment_intent": reference, "amount": units, "status": status,
            "currency": self.intents[reference]["currency"],
        }  # fmt: skip
        return self.webhook(f"charge.dispute.{what}", found)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/payment_intents", self._faulty(self._create))
        app.router.add_get("/v1/payment_intents", self._faulty(self._list))
        app.router.add_get("/v1/payment_intents/{id}", self._faulty(self._retrieve))
        app.router.add_post("/v1/payment_intents/{id}/cancel", self._faulty(self._cancel))
        return app

    def _faulty(self, handler: Any) -> Any:
        async def handle(request: web.Request) -> web.Response:
            fault = self.faults.popleft() if self.faults else ""
            self.calls.append(f"{request.method} {request.path}")
            form = {key: str(value) for key, value in (await request.post()).items()}
            await asyncio.sleep(self.delay_s)
            if fault == "busy":
                return _answer(429, {"error": {"type": "rate_limit", "message": "slower"}})
            if fault != "lost before":
                status, body = self._remembered(request, lambda: handler(request, form), fault == "fault")
            if fault.startswith("lost"):
                assert request.transport is not None
                request.transport.close()
                return web.Response()
            return _answer(status, body)

        return handle

    def _remembered(self, request: web.Request, act: Any, is_fault: bool) -> tuple[int, dict[str, Any]]:
        """What was answered first under an idempotency key, a fault too."""
        key = request.headers.get("Idempotency-Key", "") if request.path.endswith("payment_intents") else ""
        if request.method == "POST" and key in self._saved:
            return self._saved[key]
        answer = act()
        if is_fault:
            answer = 500, {"error": {"type": "api_error", "message": "ours"}}
        if request.method == "POST" and key:
            self._saved[key] = answer
        return answer

    def _create(self, _: web.Request, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        method = form.get("payment_method", "")
        if method == "pm_unknown":
            return 400, {"error": {"type": "invalid_request_error", "code": "resource_missing", "message": "no such"}}
        intent: dict[str, Any] = {
            "id": f"pi_{len(self.intents) + 1}", "object": "payment_intent", "amount": int(form["amount"]),
            "currency": form["currency"], "customer": form.get("customer"), "last_payment_error": None,
            "client_secret": f"pi_{len(self.intents) + 1}_secret", "cancellation_reason": None,
            "metadata": {name[9:-1]: value for name, value in form.items() if name.startswith("metadata[")},
            "status": {"pm_ok": "succeeded", "pm_later": "processing"}.get(method, "requires_payment_method"),
        }  # fmt: skip
        self.intents[intent["id"]] = intent
        if method == "pm_declined":
            intent["last_payment_error"] = {"code": "card_declined", "decline_code": "insufficient_funds"}
            error = {"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds"}
            return 402, {"error": error | {"message": "no", "payment_intent": dict(intent)}}
        return 200, intent

    def _list(self, request: web.Request, _: dict[str, str]) -> tuple[int, dict[str, Any]]:
        customer = request.query.get("customer")
        found = [intent for intent in self.intents.values() if customer in (None, intent["customer"])]
        return 200, {"object": "list", "data": found, "has_more": False, "url": "/v1/payment_intents"}

    def _retrieve(self, request: web.Request, _: dict[str, str]) -> tuple[int, dict[str, Any]]:
        return 200, self.intents[request.match_info["id"]]

    def _cancel(self, request: web.Request, _: dict[str, str]) -> tuple[int, dict[str, Any]]:
        intent = self.intents[request.match_info["id"]]
        if intent["status"] in ("succeeded", "canceled", "processing"):
            code = "payment_intent_unexpected_state"
            return 400, {"error": {"type": "invalid_request_error", "code": code, "message": code}}
        intent["status"] = "canceled"
        return 200, intent


def _answer(status: int, body: dict[str, Any]) -> web.Response:
    return web.json_response(body, status=status)


@asynccontextmanager
async def stripe_server() -> AsyncIterator[StripeServer]:
    """A running server."""
    server = StripeServer()
    runner = web.AppRunner(server.app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = site.name
    try:
        yield server
    finally:
        await runner.cleanup()


@contextmanager
def stripe_beside() -> Iterator[StripeServer]:
    """The same in a thread of its own, for tests that wait for a server in another process."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    context = stripe_server()
    server = asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(10)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
