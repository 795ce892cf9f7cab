"""The ASGI app: every request becomes a call (streams/http/calling.py), then goes to its endpoint.

What goes wrong below is a `Problem`; anything else is a fault of ours and is logged. A part that is away is 503.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version

import msgspec
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rater.errors import PartsError, RaterError
from schemas import asyncapi
from streams.http import (
    account_wallets,
    accounts,
    auto_refill,
    calculator,
    catalogue,
    estimates,
    invoices,
    numbers,
    orders,
    payment_methods,
    payments,
    plans,
    quotes,
    refills,
    rules,
    sim_numbers,
    sims,
    subscriptions,
    transfers,
    usage,
    wallets,
    webhook_deliveries,
    webhooks,
)
from streams.http.calling import call_of
from streams.http.desk import Desk
from streams.http.endpoint import JSON, Endpoint
from streams.http.health import routes as health_routes
from streams.http.openapi import document
from streams.http.page import page
from streams.http.problems import MEDIA_TYPE, Problem
from streams.http.stripe_webhook import routes as webhook_routes
from streams.metrics import HTTP_REQUESTS

log = logging.getLogger(__name__)

ENDPOINTS: tuple[Endpoint, ...] = (
    *usage.ENDPOINTS,
    *quotes.ENDPOINTS,
    *wallets.ENDPOINTS,
    *sims.ENDPOINTS,
    *subscriptions.ENDPOINTS,
    *sim_numbers.ENDPOINTS,
    *numbers.ENDPOINTS,
    *accounts.ENDPOINTS,
    *account_wallets.ENDPOINTS,
    *transfers.ENDPOINTS,
    *invoices.ENDPOINTS,
    *refills.ENDPOINTS,
    *auto_refill.ENDPOINTS,
    *payment_methods.ENDPOINTS,
    *payments.ENDPOINTS,
    *catalogue.ENDPOINTS,
    *webhooks.ENDPOINTS,
    *webhook_deliveries.ENDPOINTS,
    *rules.ENDPOINTS,
    *plans.ENDPOINTS,
    *calculator.ENDPOINTS,
    *orders.ENDPOINTS,
    *estimates.ENDPOINTS,
)

#: A call that takes longer waits for a part that hangs; usage has been given up before (flow.ANSWER_S).
CALL_S = 35.0
#: Answers are about money and people: nobody keeps them, and no browser guesses what they are.
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_encode = msgspec.json.Encoder().encode

Serve = Callable[[Request], Awaitable[Response]]


def create_app(desk: Desk) -> Starlette:
    """The app of one process."""
    by_path: defaultdict[str, dict[str, Endpoint]] = defaultdict(dict)
    for endpoint in ENDPOINTS:
        by_path[endpoint.path][endpoint.method] = endpoint
    routes = [Route(path, _serve(desk, methods), methods=list(methods)) for path, methods in by_path.items()]
    described = document(ENDPOINTS, version("rater"))
    routes += _fixed("/v1/openapi.json", _encode(described), JSON)
    routes += _fixed("/v1/asyncapi.json", _encode(asyncapi.document()), JSON)
    routes += _fixed("/v1/docs", page(described), "text/html; charset=utf-8")
    routes += health_routes(desk)
    routes += webhook_routes(desk, _refusal)
    return Starlette(routes=routes, exception_handlers={HTTPException: _not_routed, Exception: _fault})


def _serve(desk: Desk, methods: Mapping[str, Endpoint]) -> Serve:
    decoders = {name: msgspec.json.Decoder(endpoint.form).decode for name, endpoint in methods.items()}

    async def serve(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        endpoint = methods[method]
        try:
            call = await call_of(desk, endpoint, request, decoders[method])
            async with asyncio.timeout(CALL_S):
                answer = await endpoint.handler(call)
        except Exception as error:
            response = _refusal(error)
        else:
            response = Response(_encode(answer), endpoint.status, _HEADERS, JSON)
        HTTP_REQUESTS.labels(method, endpoint.path, str(response.status_code)).inc()
        return response

    return serve


def _refusal(error: Exception) -> Response:
    """What went wrong as an answer."""
    if isinstance(error, RedisError | PartsError | OSError):
        log.warning("a part does not answer: %s", error)
        error = Problem("unavailable", "a part of the engine does not answer; the same may be sent again", retry_s=5)
    elif not isinstance(error, Problem):
        log.error("a call failed", exc_info=error)
        detail = str(error) if isinstance(error, RaterError) else "it is in the log"
        error = Problem("fault", detail)
    headers = _HEADERS | error.headers
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="rater"'
    if error.status == 408:
        headers["Connection"] = "close"  # what is left of the body is not waited for
    return Response(error.body(), error.status, headers, MEDIA_TYPE)


async def _not_routed(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        response = _refusal(Problem("method", f"offered: {(error.headers or {}).get('Allow', '')}"))
        response.headers["Allow"] = (error.headers or {}).get("Allow", "")
        return response
    return _refusal(Problem("not-found", "no endpoint has this path; see /v1/docs"))


async def _fault(_: Request, error: Exception) -> Response:
    return _refusal(error)


def _fixed(path: str, content: bytes, media: str) -> list[Route]:
    """A page that is the same for everybody, and says nothing of anybody."""
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", **_HEADERS}

    async def serve(_: Request) -> Response:
        return Response(content, 200, headers, media)

    return [Route(path, serve)]
