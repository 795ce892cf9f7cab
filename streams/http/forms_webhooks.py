"""What the endpoints on webhooks and rules take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from streams.http.forms import END, Form, Instant, Note
from streams.webhooks.delivery import DeliveryState
from streams.webhooks.endpoints import State
from streams.webhooks.rules import Metric

Url = Annotated[
    str,
    Meta(
        pattern=rf"^https?://[!-~]{{1,1990}}{END}",
        description="https, to a public address.",
        examples=["https://example.com/in"],
    ),
]
EventType = Annotated[
    str,
    Meta(
        pattern=rf"^([*]|[a-z0-9_]{{1,64}}([.][a-z0-9_]{{1,64}}){{0,7}}([.][*])?){END}",
        description='A type, a group such as "sim.*", or "*" for all.',
        examples=["sim.suspended"],
    ),
]
EventTypes = Annotated[list[EventType], Meta(min_length=1, max_length=100)]
Account = Annotated[str, Meta(pattern=rf"^[^/\x00-\x1f\x7f]{{0,128}}{END}")]
Quantity = Annotated[
    str,
    Meta(
        pattern=rf"^[0-9]{{1,16}}([.][0-9]{{1,9}})? ?[A-Za-z]{{1,8}}{END}",
        description="With a unit, which says the service: MB, GiB, min, message.",
        examples=["800 MB", "100 min"],
    ),
]


class NewWebhook(Form, frozen=True):
    """An address that is to hear of events; of one account's, or of the whole tenant's."""

    url: Url
    events: EventTypes = msgspec.field(default_factory=lambda: ["*"])
    account: Account = ""
    note: Note = ""


class WebhookChange(Form, frozen=True):
    """What is left out stays. Another address has to answer the validation message first."""

    url: Url | None = None
    events: EventTypes | None = None
    status: Literal["enabled", "disabled"] | None = None
    note: Note | None = None


class Webhook(msgspec.Struct, omit_defaults=True):
    """An endpoint as it stands. `secret` is only in the answer to the request that made it."""

    id: str
    url: str
    events: tuple[str, ...]
    status: State
    created: datetime
    account: str = ""
    reason: str = ""
    note: str = ""
    secret: str = ""
    #: Why the validation message was not answered well.
    error: str = ""
    repeated: bool = False


class WebhookPage(msgspec.Struct):
    """A page of endpoints, by account and id. `next` is empty on the last one."""

    webhooks: list[Webhook]
    next: str


class Deleted(msgspec.Struct, omit_defaults=True):
    """It is no more."""

    id: str
    repeated: bool = False


class AttemptOut(msgspec.Struct, omit_defaults=True):
    """One request. Without `status` no answer came."""

    number: int
    at: datetime
    took_ms: int
    status: int = 0
    error: str = ""


class DeliveryOut(msgspec.Struct, omit_defaults=True):
    """A message to an endpoint: what came of it, when it is tried next. `id` is its `webhook-id`."""

    id: str
    type: str
    state: DeliveryState
    created: datetime
    attempts: list[AttemptOut]
    next_attempt: datetime | None = None
    repeated: bool = False


class DeliveryPage(msgspec.Struct):
    """A page of deliveries, newest first. `next` is empty on the last one."""

    deliveries: list[DeliveryOut]
    next: str


class Replay(Form, frozen=True):
    """Which deliveries are made again: those made at a time or later that did not arrive, or all of them."""

    since: Instant
    delivered_too: bool = False


class Replayed(msgspec.Struct, omit_defaults=True):
    """How many deliveries are made again."""

    replayed: int
    repeated: bool = False


class NewRule(Form, frozen=True):
    """What is watched, and the threshold at which a notice comes. Once for each subject and period."""

    metric: Metric
    threshold: Quantity
    #: Of sim_card.remaining_usage without an allowance: what a SIM may use in a period.
    limit: Quantity | None = None
    account: Account = ""
    sim: Account = ""
    #: The allowance's name; needed for a pool.
    allowance: Account = ""
    note: Note = ""


class RuleOut(msgspec.Struct, omit_defaults=True):
    """A rule. `type` is that of its notices."""

    id: str
    type: str
    metric: Metric
    threshold: str
    created: datetime
    limit: str = ""
    account: str = ""
    sim: str = ""
    allowance: str = ""
    note: str = ""
    repeated: bool = False


class RulePage(msgspec.Struct):
    """A page of rules, by account and id. `next` is empty on the last one."""

    rules: list[RuleOut]
    next: str
