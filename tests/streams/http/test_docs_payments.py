"""docs/payments.md: its commands work as typed and come to the figures it names; its tables are complete."""

from __future__ import annotations

import json
import re

import msgspec
import pytest

from streams.http import auto_refill, payment_methods, payments, refills
from streams.http.payment_forms import NewAutoRefill
from streams.payments.stripe_provider import _DISPUTE_EVENTS, _INTENT_EVENTS
from tests.pages import ROOT, blocks, checkout, play

TEXT = (ROOT / "docs" / "payments.md").read_text()
(COMMANDS,) = blocks(TEXT)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the commands under "Trying it" print, a line each."""
    return play(COMMANDS, checkout(tmp_path_factory.mktemp("docs")))


@pytest.mark.slow
def test_each_command_answers_as_told(said: list[str]) -> None:
    _, _, offers, paid, again, held, sent, confirmed, filled, listed, _, refilled, ends, organisation = map(
        json.loads, said
    )
    assert [offer["offer"] for offer in offers["offers"]] == ["small", "medium", "large"]
    assert (paid["status"], paid["amount"], paid["balance_now"]) == ("confirmed", "25.00", "27.50")
    assert again == paid | {"repeated": True}
    assert (held["balance"], sent["status"], confirmed["status"]) == ("27.50", "pending", "confirmed")
    assert (filled["balance"], len(listed["payments"])) == ("147.50", 2)
    assert (refilled["status"], refilled["day_spent"]) == ("waiting", "10.00")
    assert (ends["balance"], organisation["balance"]) == ("157.50", "65.00")
    assert all(balance in TEXT for balance in (ends["balance"], organisation["balance"]))


def test_every_endpoint_is_named_with_its_scope() -> None:
    head, _, _ = TEXT.partition("## A payment")
    modules = (auto_refill, payment_methods, payments, refills)
    for endpoint in [endpoint for module in modules for endpoint in module.ENDPOINTS]:
        path = endpoint.path.removeprefix("/v1")
        rows = [row for row in head.splitlines() if row.startswith("| `") and endpoint.method in row and path in row]
        assert rows, (endpoint.method, endpoint.path)
    assert re.search(r"confirm` \| admin \|", head)


def test_every_field_of_auto_refill_and_every_event_of_stripe_is_named() -> None:
    _, _, table = TEXT.partition("## Auto-refill")
    for field in msgspec.structs.fields(NewAutoRefill):
        assert f"`{field.encode_name}`" in table
    for event in (*_INTENT_EVENTS, "charge.refunded", *_DISPUTE_EVENTS):
        assert f"`{event}`" in TEXT
