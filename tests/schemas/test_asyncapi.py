"""The AsyncAPI document says of every topic what is on it, and is whole in itself.

It was found valid by the JSON Schema of AsyncAPI 3.0.0 (npm: @asyncapi/specs 6.11.1), which is too large to stand here;
what that schema asks of the parts used is asked again below.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rater.settings import KafkaSettings
from schemas.asyncapi import PREFIX, TOPICS, document
from schemas.generate import FOLDER, STRUCTS
from streams.topics import ALL

DOCUMENT: dict[str, Any] = json.loads((FOLDER / "asyncapi.json").read_text())
DOCS = (Path(__file__).parents[2] / "docs" / "wire-formats.md").read_text()
#: What AsyncAPI 3.0 allows in each object that is used here, and what it requires.
ALLOWED = {
    "": {"asyncapi", "info", "defaultContentType", "servers", "channels", "operations", "components"},
    "channel": {"address", "summary", "messages", "bindings"},
    "operation": {"action", "channel", "summary", "messages"},
    "message": {"name", "summary", "contentType", "payload", "headers", "bindings", "x-identity"},
}


def references(part: Any) -> Iterator[str]:
    """Every $ref below a part."""
    if isinstance(part, dict):
        if "$ref" in part:
            assert set(part) == {"$ref"}, "a reference stands alone"
            yield part["$ref"]
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def resolved(reference: str) -> Any:
    """What a reference points at."""
    part: Any = DOCUMENT
    assert reference.startswith("#/")
    for step in reference[2:].split("/"):
        part = part[step]
    return resolved(part["$ref"]) if isinstance(part, dict) and "$ref" in part else part


def test_it_is_current() -> None:
    assert json.loads(json.dumps(document())) == DOCUMENT


def test_every_topic_that_is_read_or_written_has_a_channel_and_an_operation() -> None:
    settings = KafkaSettings()
    read, written = {settings.usage_topic, settings.commands_topic}, {settings.prefix + topic for topic in ALL}
    addresses = {channel["address"]: name for name, channel in DOCUMENT["channels"].items()}
    assert set(addresses) == read | written
    actions = {resolved(op["channel"]["$ref"])["address"]: op["action"] for op in DOCUMENT["operations"].values()}
    assert actions == dict.fromkeys(read, "receive") | dict.fromkeys(written, "send")
    assert settings.prefix == PREFIX


def test_every_struct_of_the_wire_is_on_a_topic() -> None:
    described = set(DOCUMENT["components"]["schemas"])
    # The data of a CloudEvent is passed on as it is; a webhook's message goes to no topic.
    alone = {"CloudEventData", "WebhookMessage"}
    assert {struct.__name__ for struct in STRUCTS.values()} - alone == described


def test_every_reference_leads_somewhere_and_nothing_is_left_over() -> None:
    found = set(references(DOCUMENT))
    assert all(resolved(reference) for reference in found)
    for sort in ("schemas", "messages"):
        assert {f"#/components/{sort}/{name}" for name in DOCUMENT["components"][sort]} <= found


def test_its_objects_have_what_the_specification_allows_and_no_more() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert set(DOCUMENT) == ALLOWED[""]
    assert {"title", "version"} <= set(DOCUMENT["info"])
    for channel in DOCUMENT["channels"].values():
        assert set(channel) == ALLOWED["channel"]
        assert channel["bindings"]["kafka"]["topic"] == channel["address"]
    for operation in DOCUMENT["operations"].values():
        assert set(operation) == ALLOWED["operation"]
        names = {reference["$ref"].rpartition("/")[2] for reference in operation["messages"]}
        assert names == set(resolved(operation["channel"]["$ref"])["messages"])
    for message in DOCUMENT["components"]["messages"].values():
        assert set(message) | {"headers"} == ALLOWED["message"]
    # Keywords of the newer dialect would mean nothing to readers of the older one that AsyncAPI builds on.
    assert not re.search(r'"(\$defs|prefixItems|unevaluatedProperties)"', json.dumps(DOCUMENT))


def test_what_tells_a_repeat_are_fields_of_the_message() -> None:
    for message in DOCUMENT["components"]["messages"].values():
        assert set(message["x-identity"]) <= set(resolved(message["payload"]["$ref"])["properties"])


@pytest.mark.parametrize("topic", [topic for topic in TOPICS if topic.action == "send"], ids=lambda topic: topic.name)
def test_the_docs_page_says_the_same_key_and_identity(topic: Any) -> None:
    (row,) = re.findall(rf"^\| `{topic.name}` \|.*\| ([^|]+) \| ([^|]+) \|$", DOCS, re.MULTILINE)
    assert row == (topic.key, ", ".join(topic.identity))
