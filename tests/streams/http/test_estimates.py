"""Estimates through the running API: real usage of whole months, by another plan, with the figures checked by hand."""

from __future__ import annotations

import time
from fractions import Fraction
from typing import Any

import pytest

from tests.streams.http.served import Client, Served, event


def send(api: Client, sim: str, *usages: dict[str, Any]) -> None:
    """Usage of a SIM; returns when the ledger has it all."""
    made = [event(f"{sim}-{number}", sim, **fields) for number, fields in enumerate(usages)]
    answer = api.post("/v1/usage", made).ok()
    assert answer["fates"] == {"rated": len(usages)}, answer
    wallet = api.get(f"/v1/sims/{sim}").ok()["assignments"][-1]["wallet"]
    for _ in range(600):
        entries = api.get(f"/v1/wallets/{wallet}/history?limit=1000").ok()["entries"]
        if {f"feed/{sim}-{number}" for number in range(len(usages))} <= {entry["cause"] for entry in entries}:
            return
        time.sleep(0.05)
    raise AssertionError("the ledger did not catch up")


def messages(count: int, when: str, **fields: Any) -> dict[str, Any]:
    return {"message_count": count, "kind": "sms", "start_time": when, "end_time": when} | fields


def add_sim(api: Client, sim: str, wallet: str, plan: str) -> None:
    api.post("/v1/sims", {"sim": sim, "wallet": wallet, "plan": plan}, f"add-{sim}").ok(201)


@pytest.fixture
def acme(buyer: Client) -> Client:
    """A tenant whose wallet pays for a SIM with messages in three months, and another with a few."""
    buyer.post("/v1/wallets", {"wallet": "acme", "currency": "EUR", "balance": "10000.00"}, "open").ok(201)
    for sim in ("sim-1", "sim-2"):
        add_sim(buyer, sim, "acme", "usage-invoiced")
    send(
        buyer, "sim-1", messages(900, "2026-08-10T10:00:00Z"), messages(900, "2026-09-10T10:00:00Z"),
        messages(200, "2026-09-20T10:00:00Z"), messages(1000, "2026-10-10T10:00:00Z"),
        messages(7, "2026-10-31T22:59:59Z"), messages(50, "2026-10-31T23:00:00Z"),
    )  # fmt: skip
    send(buyer, "sim-2", messages(10, "2026-10-11T10:00:00Z"))
    return buyer


def estimate(api: Client, **form: Any) -> dict[str, Any]:
    answer: dict[str, Any] = api.post("/v1/estimates", {"plan": "quota-2019", "wallet": "acme"} | form).ok()
    return answer


def months(answer: dict[str, Any]) -> list[tuple[str, int, str, str]]:
    return [(month["month"], month["events"], month["fee"], month["usage"]) for month in answer["months"]]


@pytest.mark.parametrize("whose", [{"wallet": "acme"}, {"wallet": "", "account": "acme"}])
def test_three_months_of_real_usage_by_a_quota_package(acme: Client, whose: dict[str, str]) -> None:
    """1,000 messages each at 49.00 a SIM; what is beyond is an SMS at home. November's first message is not in it."""
    quote = {"usage": [event("1", None, kind="sms")], "tariff": "world-eur"}
    quote["usage"][0].pop("source")
    price = Fraction(acme.post("/v1/quotes", quote).ok()["quotes"][0]["amount"])
    answer = estimate(acme, **whose)
    assert [(month["month"], month["events"], month["fee"]) for month in answer["months"]] == [
        ("2026-08", 1, "98.00"), ("2026-09", 2, "98.00"), ("2026-10", 3, "98.00"),
    ]  # fmt: skip
    assert [Fraction(month["usage"]) for month in answer["months"]] == [0, 100 * price, 7 * price]
    assert all(Fraction(m["total"]) == Fraction(m["fee"]) + Fraction(m["usage"]) for m in answer["months"])
    mean_cents = 9800 + 107 * price * 100 / 3
    assert Fraction(answer["mean"]) * 100 == int(mean_cents + Fraction(1, 2))
    assert (answer["from"], answer["until"]) == ("2026-07-31T22:00:00Z", "2026-10-31T23:00:00Z")
    assert (answer["sims"], answer["unpriced_events"], answer["zone"]) == (2, 0, "Europe/Berlin")


def test_of_one_sim_and_of_the_account_as_a_whole(acme: Client) -> None:
    one = estimate(acme, wallet="", sim="sim-2", months=1)
    assert months(one) == [("2026-10", 1, "49.00", "0.00")]
    whole = estimate(acme, months=1, per="account")
    assert (whole["months"][0]["fee"], whole["months"][0]["covered_events"]) == ("49.00", 1)


def test_an_estimate_is_what_the_same_usage_was_charged_where_the_plan_is_the_same(acme: Client) -> None:
    entries = acme.get("/v1/wallets/acme/history?limit=100").ok()["entries"]
    charged = {entry["cause"]: -Fraction(entry["amount"]) for entry in entries if entry["kind"] == "usage"}
    found = estimate(acme, plan="usage-invoiced")
    del charged["feed/sim-1-5"]  # November's
    assert sum(Fraction(month["usage"]) for month in found["months"]) == sum(charged.values())
    assert [month["fee"] for month in found["months"]] == ["0.00"] * 3


def test_what_the_plan_has_no_price_for_is_named(acme: Client) -> None:
    answer = estimate(acme, plan="sim-payg", months=1)
    assert answer["unpriced"] == []
    call = {"service": "voice", "message_count": None, "duration_ms": 60_000, "called_number": "+4930123456",
            "start_time": "2026-10-12T10:00:00Z", "end_time": "2026-10-12T10:01:00Z"}  # fmt: skip
    add_sim(acme, "phone", "acme", "usage-invoiced")
    send(acme, "phone", call)
    (unpriced,) = estimate(acme, plan="sim-payg", months=1)["unpriced"]
    assert (unpriced["reason"], unpriced["service"], unpriced["events"], unpriced["quantity"], unpriced["unit"]) == (
        "not_entitled", "voice", 1, 60_000, "ms",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("form", "status", "kind", "field"),
    [
        ({"plan": "moon"}, 404, "not-found", "plan"),
        ({"plan": "credits-email"}, 422, "invalid", "volume"),
        ({"volume": 0}, 422, "invalid", "volume"),
        ({"wallet": "none"}, 404, "not-found", "wallet"),
        ({"wallet": "", "account": "none"}, 404, "not-found", "account"),
        ({"wallet": "", "sim": "none"}, 404, "not-found", ""),
        ({"wallet": ""}, 422, "invalid", "account"),
        ({"sim": "sim-1"}, 422, "invalid", "account"),
        ({"months": 0}, 422, "invalid", "months"),
        ({"months": 13}, 422, "invalid", "months"),
        ({"per": "month"}, 422, "invalid", "per"),
    ],
)
def test_what_is_wrong_is_named(buyer: Client, form: dict[str, Any], status: int, kind: str, field: str) -> None:
    buyer.post("/v1/wallets", {"wallet": "acme", "currency": "EUR"}, "open").ok(201)
    buyer.post("/v1/estimates", {"plan": "quota-2019", "wallet": "acme"} | form).problem(status, kind, field)


def test_another_tenants_usage_and_another_accounts_are_not_there(shop: Served, acme: Client, tenant: str) -> None:
    stranger, other = shop.key(f"{tenant}-b"), shop.key(tenant, "read", account="other")
    for whose, field in (({"wallet": "acme"}, "wallet"), ({"account": "acme"}, "account"), ({"sim": "sim-1"}, "")):
        form = {"plan": "quota-2019"} | whose
        stranger.post("/v1/estimates", form).problem(404, "not-found", field)
        stranger.post(f"/v1/estimates?tenant={tenant}", form).problem(403, "not-allowed", "tenant")
        other.post("/v1/estimates", form).problem(404, "not-found", field)
    own = shop.key(tenant, "read", account="acme").post("/v1/estimates", {"plan": "quota-2019", "account": "acme"})
    assert own.ok()["sims"] == 2
