"""A webhook endpoint as it is stored, and each change of it as a function from its present state.

pending -> enabled -> disabled -> enabled ...: nothing is sent to an endpoint that has not answered the validation
message at its present address, nor to one that is disabled. `version` goes up with each change.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

State = Literal["pending", "enabled", "disabled"]
#: Why an endpoint is disabled: by request, after three days of failure, by its answer 410, because too much waits.
Reason = Literal["", "request", "failing", "gone", "backlog"]

#: Endpoints of one account, or of the tenant itself.
ENDPOINTS_MAX: Final = 50
#: Idempotency keys an endpoint remembers, newest last: so many changes may come between a request and its repeat.
KEYS_MAX: Final = 20


class WebhookEndpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where messages go. An empty account hears of the whole tenant, another one only of what concerns it."""

    id: str
    tenant: str
    account: str
    url: str
    #: Types ("wallet.zero"), groups ("sim.*") or "*".
    events: tuple[str, ...]
    secret: str
    created_ms: int
    status: State = "pending"
    reason: Reason = ""
    note: str = ""
    version: int = 1
    #: When it became enabled last; what failed before counts no more.
    enabled_ms: int = 0
    #: Signs as well until then.
    former_secret: str = ""
    former_until_ms: int = 0
    #: The other endpoints have not been told yet that this one is disabled.
    untold: bool = False
    #: The Idempotency-Key that made the present secret, as a digest, and those of the last changes.
    secret_key: str = ""
    keys: tuple[str, ...] = ()

    def wants(self, kind: str) -> bool:
        """Whether it hears of events of this type."""
        return any(
            wanted in ("*", kind) or (wanted.endswith(".*") and kind.startswith(wanted[:-1])) for wanted in self.events
        )


def changed(endpoint: WebhookEndpoint, key: str = "", **fields: object) -> WebhookEndpoint:
    """The endpoint after a change; `key` is the digest of the Idempotency-Key that asked for it."""
    keys = (*endpoint.keys, key)[-KEYS_MAX:] if key else endpoint.keys
    return msgspec.structs.replace(endpoint, version=endpoint.version + 1, keys=keys, **fields)


def enabled(endpoint: WebhookEndpoint, now_ms: int, key: str = "") -> WebhookEndpoint:
    """Deliveries begin (again)."""
    if endpoint.status == "enabled":
        return endpoint
    return changed(endpoint, key, status="enabled", reason="", enabled_ms=now_ms, untold=False)


def disabled(endpoint: WebhookEndpoint, reason: Reason, key: str = "") -> WebhookEndpoint:
    """Deliveries end; unless somebody asked for it the tenant's other endpoints are to be told."""
    if endpoint.status == "disabled":
        return endpoint
    return changed(endpoint, key, status="disabled", reason=reason, untold=reason != "request")


def rotated(endpoint: WebhookEndpoint, secret: str, until_ms: int, key: str) -> WebhookEndpoint:
    """A new secret; the one before signs too for a while."""
    return changed(
        endpoint, key, secret=secret, secret_key=key, former_secret=endpoint.secret, former_until_ms=until_ms
    )
