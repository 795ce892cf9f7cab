"""The log of an endpoint's deliveries, replays, and a test event. A replay keeps the id: receivers may drop it."""

from __future__ import annotations

from typing import Any

from schemas.checks import unix_ms
from streams.http.endpoint import Call, Endpoint, NoForm
from streams.http.forms import instant
from streams.http.forms_webhooks import AttemptOut, DeliveryOut, DeliveryPage, Replay, Replayed
from streams.http.paging import PageQuery, cursor_of, place_of
from streams.http.problems import Problem
from streams.http.webhook_reach import find, hooks_of, key_digest
from streams.webhooks.delivery import Delivery, decode_delivery, replayed
from streams.webhooks.endpoints import WebhookEndpoint
from streams.webhooks.events import Event, event_id


async def deliveries(call: Call[NoForm]) -> DeliveryPage:
    """An endpoint's deliveries, newest first."""
    endpoint = await find(call)
    limit, before = call.query.limit, place_of(call.query.cursor, str) or ""
    found = await hooks_of(call).queue.log(endpoint.id, limit + 1, before)
    following = cursor_of(found[limit - 1].place.decode()) if len(found) > limit else ""
    return DeliveryPage([shown(delivery) for delivery in found[:limit]], following)


async def delivery(call: Call[NoForm]) -> DeliveryOut:
    """One delivery as it stands."""
    _, raw = await _found(call, await find(call))
    return shown(decode_delivery(raw))


async def replay_one(call: Call[NoForm]) -> DeliveryOut:
    """Make a delivery again, now."""
    endpoint = await _enabled(call)
    await _found(call, endpoint)
    _, is_new = await call.desk.claims.claim(call.tenant, call.idempotency_key, call.subject, call.form)
    await _replay(call, endpoint, call.path["delivery"])
    hooks_of(call).dispatcher.wake()
    _, raw = await _found(call, endpoint)
    return shown(decode_delivery(raw), repeated=not is_new)


async def replay_since(call: Call[Replay]) -> Replayed:
    """Make deliveries again, from a time on: those that did not arrive, or all."""
    endpoint, key = await _enabled(call), key_digest(call)
    now = str(call.desk.now_ms).encode()
    claimed, is_new = await call.desk.claims.claim(call.tenant, call.idempotency_key, call.subject, call.form, now)
    until_ms, count = int(claimed), 0
    async for found in hooks_of(call).queue.since(endpoint.id, unix_ms(call.form.since)):
        if found.created_ms > until_ms:
            break
        wanted = found.state in ("failed", "missed") or (call.form.delivered_too and found.state == "delivered")
        if found.type == "webhook.validation" or (not wanted and found.replayed_by != key):
            continue
        if found.replayed_by != key:
            await _replay(call, endpoint, found.id)
        count += 1
    hooks_of(call).dispatcher.wake()
    return Replayed(count, repeated=not is_new)


async def send_test(call: Call[NoForm]) -> DeliveryOut:
    """Send a `webhook.test` event through the same ways as any other."""
    endpoint, hooks = await _enabled(call), hooks_of(call)
    now = str(call.desk.now_ms).encode()
    claimed, is_new = await call.desk.claims.claim(call.tenant, call.idempotency_key, call.subject, call.form, now)
    event = Event(
        id=event_id(call.tenant, "test", endpoint.id, call.idempotency_key),
        type="webhook.test",
        tenant=call.tenant,
        occurred_ms=int(claimed),
        data={"webhook": endpoint.id},
    )
    made = await hooks.fanout.put(endpoint, event)
    hooks.dispatcher.wake()
    raw = await hooks.queue.get(endpoint.id, event.id)
    return shown(decode_delivery(raw) if raw else made, repeated=not is_new)


async def _replay(call: Call[Any], endpoint: WebhookEndpoint, wanted: str) -> None:
    """Once for the Idempotency-Key; what waits already is left as it is."""
    hooks, key = hooks_of(call), key_digest(call)
    while (raw := await hooks.queue.get(endpoint.id, wanted)) is not None:
        found, now_ms = decode_delivery(raw), call.desk.now_ms
        if found.replayed_by == key or found.state == "pending":
            return
        if await hooks.queue.settle(raw, replayed(found, now_ms, key), now_ms=now_ms):
            return


async def _enabled(call: Call[Any]) -> WebhookEndpoint:
    endpoint = await find(call)
    if endpoint.status != "enabled":
        raise Problem("conflict", f"it is {endpoint.status}; nothing is sent to it", "webhook")
    return endpoint


async def _found(call: Call[Any], endpoint: WebhookEndpoint) -> tuple[str, bytes]:
    wanted = call.path["delivery"]
    raw = await hooks_of(call).queue.get(endpoint.id, wanted)
    if raw is None:
        raise Problem("not-found", f"{endpoint.id} has no delivery {wanted}, or no longer")
    return wanted, raw


def shown(found: Delivery, *, repeated: bool = False) -> DeliveryOut:
    """A delivery as the API shows it."""
    attempts = [
        AttemptOut(attempt.number, instant(attempt.at_ms), attempt.took_ms, attempt.status, attempt.error)
        for attempt in found.attempts
    ]
    following = instant(found.due_ms) if found.state == "pending" else None
    return DeliveryOut(found.id, found.type, found.state, instant(found.created_ms), attempts, following, repeated)


_DELIVERIES = "/v1/webhooks/{webhook}/deliveries"
ENDPOINTS = (
    Endpoint(
        method="GET", path=_DELIVERIES, handler=deliveries, scope="manage", query=PageQuery, answer=DeliveryPage,
        summary="The log of an endpoint's deliveries and attempts, newest first", problems=(404,),
    ),
    Endpoint(
        method="GET", path=f"{_DELIVERIES}/{{delivery}}", handler=delivery, scope="manage", answer=DeliveryOut,
        summary="One delivery as it stands", problems=(404,),
    ),
    Endpoint(
        method="POST", path=f"{_DELIVERIES}/{{delivery}}/replay", handler=replay_one, scope="manage", keyed=True,
        answer=DeliveryOut, summary="Make one delivery again, under the same id", problems=(404,),
    ),
    Endpoint(
        method="POST", path="/v1/webhooks/{webhook}/replay", handler=replay_since, scope="manage", keyed=True,
        form=Replay, answer=Replayed, summary="Make deliveries again, from a time on", problems=(404,),
    ),
    Endpoint(
        method="POST", path="/v1/webhooks/{webhook}/test", handler=send_test, scope="manage", keyed=True, status=202,
        answer=DeliveryOut, summary="Send a webhook.test event", problems=(404,),
    ),
)  # fmt: skip
