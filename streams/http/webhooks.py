"""Webhook endpoints: made, validated, changed and deleted. Their deliveries are in webhook_deliveries."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from rater.errors import WalletError
from streams.http.endpoint import Call, Endpoint, NoForm
from streams.http.forms import instant
from streams.http.forms_webhooks import Deleted, NewWebhook, Webhook, WebhookChange, WebhookPage
from streams.http.paging import PageQuery, cursor_of, place_of
from streams.http.problems import Problem
from streams.http.webhook_reach import alter_once, check_own, find, forget, hooks_of, key_digest, own_account
from streams.webhooks.addresses import wrong_with
from streams.webhooks.delivery import Attempt, Delivery, tried
from streams.webhooks.endpoints import ENDPOINTS_MAX, WebhookEndpoint, changed, disabled, enabled, rotated
from streams.webhooks.events import Event, event_id, payload
from streams.webhooks.service import Webhooks
from streams.webhooks.signing import OVERLAP_MS, new_secret


async def create(call: Call[NewWebhook]) -> Webhook:
    """Make an endpoint, and try to validate it."""
    form, hooks = call.form, hooks_of(call)
    account = await own_account(call, form.account)
    _check_url(call, form.url)
    key = key_digest(call)
    wanted = f"we_{secrets.token_hex(12)}"
    claimed, _ = await call.desk.claims.claim(call.tenant, call.idempotency_key, call.subject, form, wanted.encode())
    wanted = claimed.decode()
    if (found := await hooks.endpoints.get(call.tenant, wanted)) is not None:
        check_own(call, found.account, account)
        return shown(found, key=key, repeated=True)
    if await hooks.endpoints.removed_from(call.tenant, wanted) is not None:
        raise Problem("not-found", f"{wanted}, which this key made, was deleted")
    endpoint = WebhookEndpoint(
        id=wanted,
        tenant=call.tenant,
        account=account,
        url=form.url,
        events=tuple(dict.fromkeys(form.events)),
        secret=new_secret(),
        created_ms=call.desk.now_ms,
        note=form.note,
        secret_key=key,
    )
    try:
        endpoint = await hooks.endpoints.add(endpoint, most=ENDPOINTS_MAX)
    except WalletError as error:
        await call.desk.claims.release(call.tenant, call.idempotency_key)
        raise Problem("conflict", str(error).partition(": ")[2], "account") from error
    endpoint, wrong = await _validate(call, endpoint)
    return shown(endpoint, key=key, error=wrong)


async def list_all(call: Call[NoForm]) -> WebhookPage:
    """The endpoints the key reaches."""
    limit, after = call.query.limit, place_of(call.query.cursor, tuple[str, str])
    page: list[WebhookEndpoint] = []
    async for endpoint in hooks_of(call).endpoints.list(call.tenant, after, call.key.account):
        if len(page) == limit:
            return WebhookPage([shown(one) for one in page], cursor_of((page[-1].account, page[-1].id)))
        page.append(endpoint)
    return WebhookPage([shown(one) for one in page], "")


async def show(call: Call[NoForm]) -> Webhook:
    """An endpoint as it stands."""
    return shown(await find(call))


async def change(call: Call[WebhookChange]) -> Webhook:
    """Change address, events, note, or whether it is enabled."""
    form, endpoint = call.form, await find(call)
    if form.url is not None:
        _check_url(call, form.url)
    never_valid = not endpoint.enabled_ms or (form.url is not None and form.url != endpoint.url)
    if form.status == "enabled" and never_valid:
        raise Problem("conflict", "its address has to answer the validation message first", "status")
    now_ms = call.desk.now_ms

    def apply(present: WebhookEndpoint, key: str) -> WebhookEndpoint:
        fields: dict[str, Any] = {}
        if form.url is not None and form.url != present.url:
            fields |= {"url": form.url, "status": "pending", "reason": "", "enabled_ms": 0}
        if form.events is not None:
            fields["events"] = tuple(dict.fromkeys(form.events))
        if form.note is not None:
            fields["note"] = form.note
        after = changed(present, key, **fields)
        if form.status == "enabled" and after.enabled_ms:
            after = enabled(after, now_ms)
        return disabled(after, "request") if form.status == "disabled" else after

    after, repeated = await alter_once(call, endpoint, apply)
    return shown(after, repeated=repeated)


async def rotate(call: Call[NoForm]) -> Webhook:
    """A new secret. The one before signs as well for a day."""
    endpoint = await find(call)
    until_ms = call.desk.now_ms + OVERLAP_MS
    after, repeated = await alter_once(
        call, endpoint, lambda present, key: rotated(present, new_secret(), until_ms, key)
    )
    return shown(after, key=key_digest(call), repeated=repeated)


async def validate(call: Call[NoForm]) -> Webhook:
    """Send the validation message now; an endpoint that answers it is enabled."""
    endpoint = await find(call)
    _, is_new = await call.desk.claims.claim(call.tenant, call.idempotency_key, call.subject, call.form)
    if endpoint.status != "pending":
        return shown(endpoint, repeated=not is_new)
    after, error = await _validate(call, endpoint)
    return shown(after, error=error, repeated=not is_new)


async def delete(call: Call[NoForm]) -> Deleted:
    """Forget an endpoint, with what waits for it and its log."""
    hooks, webhook = hooks_of(call), call.path["webhook"]
    deleted = await forget(call, hooks.endpoints, webhook, "webhook")
    await hooks.queue.drop(webhook)
    return deleted


async def _validate(call: Call[Any], endpoint: WebhookEndpoint) -> tuple[WebhookEndpoint, str]:
    """Send the validation message to an endpoint's present address; answers the endpoint and what went wrong.

    The attempt stands in the endpoint's log. A crash leaves it pending: the next request tries again.
    """
    hooks, now_ms = hooks_of(call), call.desk.now_ms
    event = Event(
        id=event_id(call.tenant, "validation", endpoint.id, call.idempotency_key),
        type="webhook.validation",
        tenant=call.tenant,
        occurred_ms=now_ms,
        data={"webhook": endpoint.id},
    )
    body = payload(event)
    attempt = await hooks.validate(endpoint, event.id, body)
    await _note(hooks, endpoint, event, body, attempt)
    if attempt.error:
        return endpoint, attempt.error

    def enable(present: WebhookEndpoint) -> WebhookEndpoint:
        return enabled(present, now_ms) if (present.status, present.url) == ("pending", endpoint.url) else present

    return await hooks.endpoints.alter(endpoint, enable) or endpoint, ""


async def _note(hooks: Webhooks, endpoint: WebhookEndpoint, event: Event, body: bytes, attempt: Attempt) -> None:
    delivery = Delivery(
        id=event.id,
        tenant=endpoint.tenant,
        account=endpoint.account,
        endpoint=endpoint.id,
        type=event.type,
        created_ms=event.occurred_ms,
        payload=msgspec.Raw(body),
        state="failed" if attempt.error else "delivered",
    )
    await hooks.queue.enqueue([tried(delivery, attempt)])


def _check_url(call: Call[Any], url: str) -> None:
    if wrong := wrong_with(url, allow_private=hooks_of(call).settings.webhooks.allow_private):
        raise Problem("invalid", wrong, "url")


def shown(endpoint: WebhookEndpoint, *, key: str = "", error: str = "", repeated: bool = False) -> Webhook:
    """An endpoint as the API shows it; with its secret where `key` is what made that."""
    return Webhook(
        id=endpoint.id,
        url=endpoint.url,
        events=endpoint.events,
        status=endpoint.status,
        created=instant(endpoint.created_ms),
        account=endpoint.account,
        reason=endpoint.reason,
        note=endpoint.note,
        secret=endpoint.secret if key and key == endpoint.secret_key else "",
        error=error,
        repeated=repeated,
    )


_WEBHOOK = "/v1/webhooks/{webhook}"
ENDPOINTS = (
    Endpoint(
        method="POST", path="/v1/webhooks", handler=create, scope="manage", keyed=True, status=201,
        summary="Name an address that hears of events; its secret is shown here only", form=NewWebhook, answer=Webhook,
        problems=(404,),
    ),
    Endpoint(
        method="GET", path="/v1/webhooks", handler=list_all, scope="manage", summary="The endpoints", query=PageQuery,
        answer=WebhookPage,
    ),
    Endpoint(
        method="GET", path=_WEBHOOK, handler=show, scope="manage", summary="An endpoint as it stands", answer=Webhook,
        problems=(404,),
    ),
    Endpoint(
        method="PATCH", path=_WEBHOOK, handler=change, scope="manage", keyed=True, form=WebhookChange, answer=Webhook,
        summary="Change its address, its events, or whether it is enabled", problems=(404,),
    ),
    Endpoint(
        method="DELETE", path=_WEBHOOK, handler=delete, scope="manage", keyed=True, answer=Deleted,
        summary="Forget an endpoint, its log and what waits for it", problems=(404,),
    ),
    Endpoint(
        method="POST", path=f"{_WEBHOOK}/validate", handler=validate, scope="manage", keyed=True, answer=Webhook,
        summary="Send the validation message now; one that is answered 2xx enables it", problems=(404,),
    ),
    Endpoint(
        method="POST", path=f"{_WEBHOOK}/secret", handler=rotate, scope="manage", keyed=True, answer=Webhook,
        summary="A new secret, shown here only; the one before signs too for a day", problems=(404,),
    ),
)  # fmt: skip
