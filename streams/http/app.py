"""The ASGI app: every request goes through the same checks in the same order, then to its endpoint.

    key (401) - scope (403) - rate (429) - tenant (403) - person (403) - content type (415) - size (413) -
    body (400, 422) - Idempotency-Key (422) - the endpoint

What goes wrong below is a `Problem`; anything else is a fault of ours and is logged. A part that is away is 503.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version
from typing import Any

import msgspec
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rater.accounts.model import USER
from rater.accounts.roles import Actor
from rater.errors import PartsError, RaterError
from schemas import asyncapi
from streams.http import (
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
from streams.http.body import read_body
from streams.http.desk import Desk
from streams.http.endpoint import JSON, Call, Endpoint, NoForm
from streams.http.health import routes as health_routes
from streams.http.keys import TENANT, ApiKey
from streams.http.openapi import document
from streams.http.page import page
from streams.http.paging import Query
from streams.http.problems import MEDIA_TYPE, Problem, of_decoding
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

#: For whom a key of the operator acts; its role then decides.
ACTING_USER = "Rater-Acting-User"
#: A call that takes longer waits for a part that hangs; usage has been given up before (flow.ANSWER_S).
CALL_S = 35.0
_KEY = re.compile(r"[!-~]{1,128}")
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
            call = await _call(desk, endpoint, request, decoders[method])
            async with asyncio.timeout(CALL_S):
                answer = await endpoint.handler(call)
        except Exception as error:
            response = _refusal(error)
        else:
            response = Response(_encode(answer), endpoint.status, _HEADERS, JSON)
        HTTP_REQUESTS.labels(method, endpoint.path, str(response.status_code)).inc()
        return response

    return serve


async def _call(desk: Desk, endpoint: Endpoint, request: Request, decode: Callable[[bytes], Any]) -> Call[Any]:
    key = await _recognise(desk, request)
    if not key.may(endpoint.scope):
        raise Problem("not-allowed", f"this needs a key with the scope {endpoint.scope}", "Authorization")
    desk.limit.take(key.name)
    query = _query(endpoint, request)
    tenant = _tenant(key, query, endpoint)
    actor = _actor(key, tenant, request)
    form: Any = NoForm()
    body = b""
    if endpoint.media_types:
        _check_media(endpoint, request)
        body = await read_body(request, desk.settings.body_bytes_max)
        if not endpoint.raw:
            try:
                form = decode(body)
            except (ValueError, RecursionError) as error:
                raise of_decoding(error) from error
    call = Call(desk, key, tenant, request.path_params, query, form, body=body, headers=request.headers)
    call.actor, call.roles, call.deed = actor, endpoint.asked, endpoint.deed
    if endpoint.keyed or (endpoint.may_be_keyed and "idempotency-key" in request.headers):
        call.subject = f"{endpoint.method} {request.scope['path']}"
        call.idempotency_key = request.headers.get("idempotency-key", "")
        if not _KEY.fullmatch(call.idempotency_key):
            raise Problem("invalid", "name this change with 1 to 128 visible ASCII characters", "Idempotency-Key")
    return call


async def _recognise(desk: Desk, request: Request) -> ApiKey:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Problem("no-key", "send Authorization: Bearer KEY; `rater key create` makes one", "Authorization")
    key = await desk.keys.recognise(token.strip())
    if key is None:
        raise Problem("no-key", "this key is unknown or revoked", "Authorization")
    return key


def _query(endpoint: Endpoint, request: Request) -> Any:
    given = request.query_params
    if not given:
        return endpoint.query()
    if len(given.multi_items()) != len(given):
        raise Problem("invalid", "a parameter is given twice")
    try:
        return msgspec.convert(dict(given), endpoint.query, strict=False)
    except msgspec.ValidationError as error:
        raise of_decoding(error) from error


def _tenant(key: ApiKey, query: Query, endpoint: Endpoint) -> str:
    """Whose data the call is about. Only an admin key without a tenant of its own may say so."""
    if key.tenant:
        if query.tenant not in ("", key.tenant):
            raise Problem("not-allowed", f"this key is of {key.tenant}", "tenant")
        return key.tenant
    if query.tenant and not TENANT.fullmatch(query.tenant):
        raise Problem("invalid", 'is no name of a tenant (text without "/" and ":")', "tenant")
    if not query.tenant and not endpoint.any_tenant:
        raise Problem("invalid", "this key is of no tenant: say ?tenant=NAME", "tenant")
    return query.tenant


def _actor(key: ApiKey, tenant: str, request: Request) -> Actor:
    """For whom the call is made: the key's own user, or whom a key of the operator names."""
    named = request.headers.get(ACTING_USER)
    if named is None:
        return Actor(key.user, key.is_operator)
    if not key.names_people:
        raise Problem(
            "not-allowed", "only a key of the whole tenant that may manage says for whom it acts", ACTING_USER
        )
    if not USER.fullmatch(named):
        raise Problem("invalid", "name a user with 1 to 128 visible ASCII characters without a slash", ACTING_USER)
    if not tenant:
        raise Problem("invalid", "a person acts in one tenant: say ?tenant=NAME", "tenant")
    return Actor(named)


def _check_media(endpoint: Endpoint, request: Request) -> None:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in endpoint.media_types:
        raise Problem("media-type", f"send {' or '.join(endpoint.media_types)}", "Content-Type")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem("media-type", "send it as it is", "Content-Encoding")


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
