"""The AsyncAPI 3.0 document of all topics, made from the structs: what comes in, what goes out, by which key.

`python -m schemas.generate` writes it to schemas/asyncapi.json; `rater serve` answers with it under /v1/asyncapi.json.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from schemas.adapters.cloudevents import CloudEvent
from schemas.adapters.usage_json import UsageEvent
from schemas.commands import WalletCommand
from schemas.faults import DeadLetter, ParkedEvent
from schemas.lifecycle import LifecycleEvent, WalletEntry
from schemas.notice import Notice
from schemas.rated import RatedRecord

#: Of the wire, not of the program: it changes when a message does.
WIRE_VERSION: Final = "1.0.0"
#: What the settings put before the topics the engine writes.
PREFIX: Final = "rater."
JSON: Final = "application/json"
_REF: Final = "#/components/schemas/{name}"


class Topic(msgspec.Struct, frozen=True):
    """A topic as the engine sees it. `identity` are the fields by which a repeated delivery is told."""

    name: str
    action: Literal["receive", "send"]
    summary: str
    key: str
    identity: tuple[str, ...]
    structs: tuple[type[msgspec.Struct], ...]


_EVENT: Final = ("tenant", "source", "id")
TOPICS: Final = (
    Topic(
        "usage", "receive", "Usage events, in any format that `[intake] format` names.",
        "Free; what shares a key is charged in order.", _EVENT, (UsageEvent, CloudEvent),
    ),
    Topic(
        "wallet-commands", "receive", "Changes of wallets that are not usage.",
        "Free; what shares a key is carried out in order.", _EVENT, (WalletCommand,),
    ),
    Topic(
        "rated", "send", "What an invoice line needs, one record for each part of an event.",
        "tenant/wallet", (*_EVENT, "part"), (RatedRecord,),
    ),
    Topic(
        "refused", "send", "The same, of an event that was refused; `amount_nanos` is what it would have cost.",
        "tenant/wallet", (*_EVENT, "part"), (RatedRecord,),
    ),
    Topic(
        "parked", "send", "Good events that something of the operator's kept from being rated, to be replayed.",
        "tenant/source", _EVENT, (ParkedEvent,),
    ),
    Topic(
        "dead-letters", "send", "Events that are wrong in themselves, with their bytes and headers.",
        "tenant", ("door", "position", "element", "id"), (DeadLetter,),
    ),
    Topic(
        "lifecycle", "send", "Suspended or resumed: a wallet, then each of its subscribers.",
        "tenant/wallet", ("tenant", "wallet", "subscriber", "status_version"), (LifecycleEvent,),
    ),
    Topic(
        "wallet-journal", "send", "Each change of a wallet that is not usage.",
        "tenant/wallet", ("tenant", "wallet", "epoch", "n", "source", "id"), (WalletEntry,),
    ),
    Topic(
        "notices", "send", "What platforms, companies and end users may want to hear of.",
        "tenant/wallet", ("tenant", "id"), (Notice,),
    ),
)  # fmt: skip


def document() -> dict[str, Any]:
    """The whole document."""
    structs = list(dict.fromkeys(struct for topic in TOPICS for struct in topic.structs))
    _, schemas = msgspec.json.schema_components(structs, schema_hook=_any, ref_template=_REF)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "rater topics",
            "version": WIRE_VERSION,
            "description": (
                "Usage in; rated records and events out. Delivery is at least once; the fields of `x-identity` tell a "
                "repeat. Times are Unix milliseconds (`_ms`), money is an integer of nanos, 10^-9 of the currency unit "
                "(`_nanos`); what is left out has its default. The names of the topics, and the prefix of those the "
                "engine writes, are settings (`[kafka]`)."
            ),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": JSON,
        "servers": {"kafka": {"host": "localhost:9092", "protocol": "kafka", "description": "`[kafka] bootstrap`."}},
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": {f"{topic.action}-{topic.name}": _operation(topic) for topic in TOPICS},
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "messages": {name: message for topic in TOPICS for name, message in _messages(topic).items()},
        },
    }


def _channel(topic: Topic) -> dict[str, Any]:
    address = topic.name if topic.action == "receive" else PREFIX + topic.name
    return {
        "address": address,
        "summary": topic.summary,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _messages(topic)},
        "bindings": {"kafka": {"topic": address, "bindingVersion": "0.5.0"}},
    }


def _operation(topic: Topic) -> dict[str, Any]:
    at = f"#/channels/{topic.name}"
    return {
        "action": topic.action,
        "channel": {"$ref": at},
        "summary": topic.summary,
        "messages": [{"$ref": f"{at}/messages/{name}"} for name in _messages(topic)],
    }


def _messages(topic: Topic) -> dict[str, Any]:
    """A message for each sort of content a topic has; one that stands on two topics has a name on each."""
    return {f"{topic.name}-{struct.__name__}": _message(topic, struct) for struct in topic.structs}


def _message(topic: Topic, struct: type[msgspec.Struct]) -> dict[str, Any]:
    is_cloudevent = struct is CloudEvent
    media = "application/cloudevents+json" if is_cloudevent else JSON
    message: dict[str, Any] = {
        "name": struct.__name__,
        "summary": (struct.__doc__ or "").strip().partition("\n")[0],
        "contentType": media,
        "payload": {"$ref": _REF.format(name=struct.__name__)},
        "bindings": {"kafka": {"key": {"type": "string", "description": topic.key}, "bindingVersion": "0.5.0"}},
        "x-identity": list(topic.identity),
    }
    if is_cloudevent:
        message["headers"] = {
            "type": "object",
            "required": ["content-type"],
            "properties": {"content-type": {"type": "string", "const": media}},
        }
    return message


def _any(kind: type) -> dict[str, Any]:
    """JSON that is passed on as it is (the data of a CloudEvent)."""
    assert kind is msgspec.Raw, f"{kind} has no JSON Schema"
    return {}
