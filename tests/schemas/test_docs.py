"""docs/wire-formats.md: its examples decode, and its tables name every field there is."""

import re
from pathlib import Path

import msgspec
import pytest

from schemas.adapters.usage_json import UsageEvent
from schemas.checks import SPAN_MAX_MS
from schemas.commands import WalletCommand
from schemas.decode import ARRAY_MAX, RAW_MAX_BYTES, decoder
from schemas.generate import STRUCTS
from schemas.usage import Usage
from streams.topics import ALL

TEXT = (Path(__file__).parents[2] / "docs" / "wire-formats.md").read_text()
EXAMPLES = dict(re.findall(r"<!-- (\S+) -->\n```json\n(.*?)```", TEXT, re.DOTALL))


def example(format: str) -> Usage:
    (usage,) = decoder(format, "acme")(EXAMPLES[format].encode())
    assert isinstance(usage, Usage), usage
    return usage


def test_the_plain_example_and_its_cloudevent_are_the_same_event() -> None:
    assert example("usage") == example("cloudevents")


def test_the_emnify_example_decodes_to_the_bytes_it_says() -> None:
    assert example("emnify").volume_bytes == 219_933


def test_the_wallet_command_decodes() -> None:
    assert msgspec.json.decode(EXAMPLES["wallet-command"], type=WalletCommand).amount == "50.00"


@pytest.mark.parametrize("field", UsageEvent.__struct_fields__)
def test_every_field_of_a_usage_event_has_a_row(field: str) -> None:
    assert f"\n| `{field}` |" in TEXT


@pytest.mark.parametrize("topic", ALL)
def test_every_topic_has_a_row_and_its_schema_exists(topic: str) -> None:
    (schema,) = re.findall(rf"\n\| `{topic}` \|[^|]*\| `([a-z-]+)` \|", TEXT)
    assert schema in STRUCTS


def test_the_limits_are_those_of_the_code() -> None:
    assert (f"{ARRAY_MAX:,}", RAW_MAX_BYTES, SPAN_MAX_MS // 86_400_000) == ("5,000", 1024 * 1024, 731)
    assert TEXT.count("5,000") == 2
    assert "731 days" in TEXT
    assert "1 MiB" in TEXT
