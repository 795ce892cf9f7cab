"""Rules over HTTP: made, looked at, deleted, and heard of when usage passes them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.streams.http.served import Client, event
from tests.streams.http.test_webhooks import named, of_type, wait_for
from tests.streams.webhooks.receiver import receiving_beside


def test_a_rule_triggers_once_when_usage_passes_it(api: Client) -> None:
    with receiving_beside() as receiver:
        webhook = named(api, receiver, events=["rule.*"])
        form = {"metric": "sim_card.remaining_usage", "threshold": "1 message", "limit": "3 messages"}
        rule = api.post("/v1/rules", form, "rule").ok(201)
        assert rule["type"] == "rule.sim_card.remaining_usage.triggered"
        api.wallet("acme", "10.00", "sim-1")
        time.sleep(2.5)  # the installation's first rule counts from about a second after it was made
        for n in range(4):
            api.post("/v1/usage", event(str(n))).ok()
        api.post("/v1/usage", event("1")).ok()
        (got,) = wait_for(lambda: of_type(receiver, rule["type"]))
        message = got.verified(webhook["secret"])
        assert message["data"] == {
            "account": "acme", "wallet": "acme", "sim": "sim-1", "rule": rule["id"], "period": "2026-10-01",
            "unit": "messages", "limit": 3, "remaining": 1, "used": 2, "threshold": 1,
        }  # fmt: skip
        time.sleep(1.0)
        assert len(of_type(receiver, rule["type"])) == 1


def test_a_rule_is_made_once_shown_listed_and_deleted(api: Client) -> None:
    form = {"metric": "pool.remaining_usage", "threshold": "2.5 GiB", "allowance": "pool", "account": "acme"}
    rule = api.post("/v1/rules", form, "rule").ok(201)
    assert api.post("/v1/rules", form, "rule").ok(201) == rule | {"repeated": True}
    assert api.get(f"/v1/rules/{rule['id']}").ok() == rule
    other = api.post("/v1/rules", form | {"threshold": "1 GB"}, "rule-2").ok(201)
    first = api.get("/v1/rules?limit=1").ok()
    second = api.get(f"/v1/rules?limit=1&cursor={first['next']}").ok()
    assert sorted(found["id"] for found in first["rules"] + second["rules"]) == sorted([rule["id"], other["id"]])
    assert second["next"] == ""
    assert api.call("DELETE", f"/v1/rules/{rule['id']}", Idempotency_Key="d").ok() == {"id": rule["id"]}
    assert api.call("DELETE", f"/v1/rules/{rule['id']}", Idempotency_Key="d").ok()["repeated"] is True
    api.get(f"/v1/rules/{rule['id']}").problem(404, "not-found")
    api.post("/v1/rules", form, "rule").problem(404, "not-found")


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"metric": "sim_card.usage", "threshold": "5 parsecs"}, "threshold"),
        ({"metric": "sim_card.usage", "threshold": "0 MB"}, "threshold"),
        ({"metric": "sim_card.usage", "threshold": "0.5 B"}, "threshold"),
        ({"metric": "sim_card.usage", "threshold": "5"}, "threshold"),
        ({"metric": "sim_card.usage", "threshold": "5 MB", "allowance": "a"}, "allowance"),
        ({"metric": "sim_card.usage", "threshold": "5 MB", "limit": "6 MB"}, "limit"),
        ({"metric": "sim_card.remaining_usage", "threshold": "5 MB"}, "limit"),
        ({"metric": "sim_card.remaining_usage", "threshold": "5 MB", "limit": "6 min"}, "limit"),
        ({"metric": "pool.usage", "threshold": "5 MB"}, "allowance"),
        ({"metric": "pool.usage", "threshold": "5 MB", "allowance": "a", "sim": "sim-1"}, "sim"),
        ({"metric": "usage", "threshold": "5 MB"}, "metric"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(api: Client, form: dict[str, Any], field: str) -> None:
    api.post("/v1/rules", form, "k").problem(422, "invalid", field)
