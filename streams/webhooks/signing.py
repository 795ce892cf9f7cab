"""Signatures as Standard Webhooks has them: HMAC-SHA256 over id, time of sending and body, in three headers.

The time of sending is the time of day, not the engine's clock: the receiver compares it with its own, so that a message
that was overheard cannot be sent again a day later.
"""

from __future__ import annotations

import base64
import secrets
from datetime import UTC, datetime

from standardwebhooks import Webhook

from streams.webhooks.endpoints import WebhookEndpoint

#: Standard Webhooks asks for 24 to 64 random bytes.
SECRET_BYTES = 32
#: After a rotation both secrets sign for so long, so that the receiver may change over when it likes.
OVERLAP_MS = 24 * 3_600_000


def new_secret() -> str:
    """A secret of an endpoint, `whsec_` and base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed_headers(
    endpoint: WebhookEndpoint, message_id: str, body: bytes, *, now_ms: int, sent_s: int
) -> dict[str, str]:
    """The three headers. `sent_s` is the time of day in Unix seconds, `now_ms` the engine's clock."""
    used = [endpoint.secret]
    if endpoint.former_secret and now_ms < endpoint.former_until_ms:
        used.append(endpoint.former_secret)
    sent = datetime.fromtimestamp(sent_s, UTC)
    signatures = [Webhook(secret).sign(message_id, sent, body.decode()) for secret in used]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_s),
        "webhook-signature": " ".join(signatures),
    }
