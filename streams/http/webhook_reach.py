"""What the endpoints on webhooks and rules share: finding what a key reaches, and changing it once for its key.

A change under an Idempotency-Key is claimed first, then made by compare-and-set; the endpoint remembers the keys of its
last changes, so a repeat after a crash between the two makes the change, and any other repeat finds it made.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from streams.http.endpoint import Call
from streams.http.forms_webhooks import Deleted
from streams.http.problems import Problem
from streams.webhooks.endpoints import KEYS_MAX, WebhookEndpoint
from streams.webhooks.service import Webhooks
from streams.webhooks.shelf import Shelf

#: A changed endpoint from its present state and the digest of the key that asks for it.
Change = Callable[[WebhookEndpoint, str], WebhookEndpoint]


async def find(call: Call[Any]) -> WebhookEndpoint:
    """The endpoint, if the key reaches it; another tenant's, another account's and none at all are the same answer."""
    webhook = call.path["webhook"]
    endpoint = None if "/" in webhook else await hooks_of(call).endpoints.get(call.tenant, webhook)
    if endpoint is None or not await call.desk.reach.covers(call.key, call.tenant, endpoint.account):
        raise Problem("not-found", f"{call.tenant} has no webhook {webhook}")
    return endpoint


def hooks_of(call: Call[Any]) -> Webhooks:
    """The webhooks of this process."""
    return call.desk.engine.desks.webhooks


async def own_account(call: Call[Any], asked: str) -> str:
    """The account that is meant: the key's own where it has one.

    Raises:
        Problem: another one than the key's.
    """
    account = asked or call.key.account
    if account:
        await call.check_account(account, f"account {account}")
    return account


def check_own(call: Call[Any], made_for: str, asked_for: str) -> None:
    """Refuse a repeat that is none: another account's key used the same Idempotency-Key for the same form.

    Raises:
        Problem: what was made under this Idempotency-Key is another account's.
    """
    if made_for != asked_for:
        detail = f"{call.idempotency_key} was used before for another request; the first one stands"
        raise Problem("conflict", detail, "Idempotency-Key")


def key_digest(call: Call[Any]) -> str:
    """What an endpoint or a delivery remembers of an Idempotency-Key."""
    return blake2b(call.idempotency_key.encode(), digest_size=8).hexdigest()


async def alter_once(call: Call[Any], endpoint: WebhookEndpoint, apply: Change) -> tuple[WebhookEndpoint, bool]:
    """Change an endpoint once for the Idempotency-Key; answers it as it stands, and whether that was done before."""
    key = key_digest(call)
    claimed, is_new = await call.desk.claims.claim(
        call.tenant, call.idempotency_key, call.subject, call.form, str(endpoint.version).encode()
    )
    seen = int(claimed)

    def once(present: WebhookEndpoint) -> WebhookEndpoint:
        # After so many changes its key may be forgotten; then the repeat comes too late to change anything.
        done = key in present.keys or (not is_new and present.version - seen >= KEYS_MAX)
        return present if done else apply(present, key)

    repeated = not is_new and once(endpoint) is endpoint
    after = await hooks_of(call).endpoints.alter(endpoint, once)
    if after is None:
        raise Problem("not-found", f"{call.tenant} has no webhook {endpoint.id}")
    return after, repeated


async def forget(call: Call[Any], shelf: Shelf[Any], name: str, what: str) -> Deleted:
    """Take something off its shelf, once; a repeat under the same key finishes it and is told so."""
    found = None if "/" in name else await shelf.get(call.tenant, name)
    account = found.account if found is not None else await shelf.removed_from(call.tenant, name)
    nothing = Problem("not-found", f"{call.tenant} has no {what} {name}")
    if account is None or not await call.desk.reach.covers(call.key, call.tenant, account):
        raise nothing
    _, is_new = await call.desk.claims.claim(call.tenant, call.idempotency_key, call.subject, call.form)
    if found is None and is_new:
        await call.desk.claims.release(call.tenant, call.idempotency_key)
        raise nothing
    await shelf.remove(call.tenant, account, name)
    return Deleted(name, repeated=not is_new)
