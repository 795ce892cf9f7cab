"""docs/webhooks.md: its commands work as typed with its receiver, and its schedule is the one that is kept."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from schemas.webhook import WebhookMessage
from streams.webhooks.delivery import GAPS_MS
from tests.pages import ROOT, blocks, checkout, play, terminal

TEXT = (ROOT / "docs" / "webhooks.md").read_text()
MIN_MS, HOUR_MS = 60_000, 3_600_000


@pytest.mark.slow
def test_the_receiver_hears_what_the_page_says(tmp_path: Path) -> None:
    serve, receive, commands, rule = blocks(TEXT)
    script = terminal(serve) + terminal(receive, "heard") + commands + rule + "sleep 3\n"
    said = play(script, checkout(tmp_path))
    webhook, validated, *_, deliveries, replay, made = map(json.loads, said)
    assert (webhook["status"], webhook["error"]) == ("pending", "answered 401")
    assert validated["status"] == "enabled"
    told = {"wallet.zero", "sim.suspended", "wallet.refilled", "wallet.resumed", "sim.resumed"}
    named = set(re.findall(r"`([a-z.]+)`", TEXT.partition("The receiver prints")[2].partition(", in about")[0]))
    assert named == told | {"webhook.validation"}
    types = [line.partition(" ")[0] for line in (tmp_path / "heard").read_text().splitlines()]
    assert types.count("webhook.validation") == 1
    assert {kind: types.count(kind) for kind in told} == dict.fromkeys(told, 2)
    states = [(found["type"], found["state"]) for found in deliveries["deliveries"]]
    assert ("webhook.validation", "failed") in states
    assert told <= {kind for kind, state in states if state == "delivered"}
    assert replay["replayed"] >= 5
    assert made["type"] == "rule.sim_card.remaining_usage.triggered"


def test_the_schedule_is_the_one_that_is_kept() -> None:
    units = {"s": 1_000, "min": MIN_MS, "h": HOUR_MS}
    (gaps,) = re.findall(r"^\| after the one before \| (.*) \|$", TEXT, re.MULTILINE)
    assert [int(n) * units[unit] for n, unit in (cell.split() for cell in gaps.split(" | "))] == list(GAPS_MS)
    (since,) = re.findall(r"^\| since the first \| (.*) \|$", TEXT, re.MULTILINE)
    for place, cell in enumerate(since.split(" | ")):
        number, unit = cell.split()
        assert float(number) == pytest.approx(sum(GAPS_MS[: place + 1]) / units[unit], abs=0.051)


def test_the_message_that_is_shown_is_one() -> None:
    (shown,) = blocks(TEXT, "json")
    assert msgspec.json.decode(shown, type=WebhookMessage).type == "wallet.zero"
