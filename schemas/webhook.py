"""What a webhook's receiver gets as the body: `type`, `timestamp` and `data`, as Standard Webhooks proposes."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta


class WebhookMessage(msgspec.Struct, frozen=True):
    """Something that happened. The header `webhook-id` names it: the same event has the same id, whenever it comes.

    Money is text with an exact decimal ("12.50"), never a JSON number.
    """

    type: Annotated[str, Meta(pattern="^[a-z0-9_]+([.][a-z0-9_]+)*$", examples=["wallet.zero", "sim.suspended"])]
    timestamp: Annotated[datetime, Meta(tz=True, description="When it happened, RFC 3339.")]
    data: Annotated[dict[str, Any], Meta(description="What there is to say; see docs/webhooks.md for each type.")]
