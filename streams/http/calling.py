"""A request becomes a call, or a problem: the same checks for all, in the same order.

key (401) - scope (403) - rate (429) - tenant (403) - person (403) - content type (415) - size (413) -
body (400, 422) - Idempotency-Key (422)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import Request

from rater.accounts.model import USER
from rater.accounts.roles import Actor
from streams.http.body import read_body
from streams.http.desk import Desk
from streams.http.endpoint import Call, Endpoint, NoForm
from streams.http.keys import TENANT, ApiKey
from streams.http.paging import Query
from streams.http.problems import Problem, of_decoding

#: For whom a key of the operator acts; its role then decides.
ACTING_USER = "Rater-Acting-User"
_KEY = re.compile(r"[!-~]{1,128}")


async def call_of(desk: Desk, endpoint: Endpoint, request: Request, decode: Callable[[bytes], Any]) -> Call[Any]:
    """The call that a request is.

    Raises:
        Problem: it is none; says what is wrong.
    """
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
