"""Wallets over HTTP: each change once for its key, and the wallet as it stands."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.streams.http.served import Client, Served, event


def test_a_wallet_from_its_opening_to_its_refill(api: Client, tenant: str) -> None:
    opened = api.post("/v1/wallets", {"wallet": "acme", "currency": "EUR", "balance": "0.10"}, "open").ok(201)
    assert (opened["balance_before"], opened["balance_after"], opened["kind"]) == ("0.00", "0.10", "create")
    api.post("/v1/sims", {"sim": "sim-1", "wallet": "acme", "plan": "payg"}, "sim").ok(201)
    api.post("/v1/usage", event("1")).ok()
    assert api.get("/v1/wallets/acme").ok() == {
        "tenant": tenant, "wallet": "acme", "currency": "EUR", "balance": "0.00", "floor": "0.00", "available": "0.00",
        "status": "held", "holds": ["balance"],
    }  # fmt: skip
    assert api.get("/v1/sims/sim-1").ok()["status"] == "held"
    refilled = api.post("/v1/wallets/acme/top-ups", {"amount": "12.000000001", "note": "card"}, "refill").ok(201)
    assert (refilled["balance_before"], refilled["balance_after"]) == ("0.00", "12.000000001")
    assert api.get("/v1/sims/sim-1").ok()["status"] == "active"


def test_a_key_that_comes_again_changes_nothing_and_is_told_the_same(api: Client) -> None:
    api.wallet("w", "1.00")
    first = api.post("/v1/wallets/w/top-ups", {"amount": "5.00"}, "k").ok(201)
    api.post("/v1/wallets/w/top-ups", {"amount": "1.00"}, "k2").ok(201)
    again = api.post("/v1/wallets/w/top-ups", b'{ "note": "", "amount": "5.00" }', "k").ok(201)
    assert again == first | {"repeated": True}
    assert api.balance("w") == "7.00"


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/v1/wallets/w/top-ups", {"amount": "5.01"}),
        ("/v1/wallets/w/top-ups", {"amount": "5.00", "note": "other"}),
        ("/v1/wallets/w/holds", {"hold": "fraud"}),
        ("/v1/wallets", {"wallet": "new", "currency": "EUR"}),
        ("/v1/sims", {"sim": "new", "wallet": "w", "plan": "payg"}),
        *((f"/v1/wallets/w{number}/top-ups", {"amount": "5.00"}) for number in range(6)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_key_for_something_else_is_a_conflict(api: Client, path: str, form: dict[str, Any]) -> None:
    """Also for another wallet, in whichever shard that lives."""
    api.wallet("w", "1.00")
    if path.startswith("/v1/wallets/w") and path[13] != "/":
        api.wallet(path.split("/")[3], "1.00")
    api.post("/v1/wallets/w/top-ups", {"amount": "5.00"}, "k").ok(201)
    detail = api.post(path, form, "k").problem(409, "conflict", "Idempotency-Key")
    assert "the first one stands" in detail
    assert api.balance("w") == "6.00"


def test_the_same_key_of_another_tenant_is_another_key(served: Served, api: Client, tenant: str) -> None:
    other = served.key(f"{tenant}-b")
    for client in (api, other):
        client.wallet("w", "1.00")
        client.post("/v1/wallets/w/top-ups", {"amount": "5.00"}, "k").ok(201)
    assert api.balance("w") == other.balance("w") == "6.00"


@pytest.mark.parametrize("key", ["", " ", "x" * 129, "tab\there"], ids=["none", "blank", "long", "tab"])
def test_a_change_without_a_proper_key_is_refused(api: Client, key: str) -> None:
    api.wallet("w", "1.00")
    headers = {"Idempotency_Key": key} if key else {}
    api.call("POST", "/v1/wallets/w/top-ups", {"amount": "5.00"}, **headers).problem(422, "invalid", "Idempotency-Key")
    assert api.balance("w") == "1.00"


@pytest.mark.parametrize(
    ("path", "form", "field"),
    [
        ("/v1/wallets/w/top-ups", {"amount": 5}, "amount"),
        ("/v1/wallets/w/top-ups", {"amount": 5.01}, "amount"),
        ("/v1/wallets/w/top-ups", {"amount": "-5"}, "amount"),
        ("/v1/wallets/w/top-ups", {"amount": "0.0000000001"}, "amount"),
        ("/v1/wallets/w/top-ups", {"amount": "1e3"}, "amount"),
        ("/v1/wallets/w/top-ups", {"amount": "5\n"}, "amount"),
        ("/v1/wallets/w/top-ups", {}, "amount"),
        ("/v1/wallets/w/top-ups", {"amount": "5", "amuont": "5"}, "amuont"),
        ("/v1/wallets/w/holds", {"hold": "balance"}, "hold"),
        ("/v1/wallets", {"wallet": "a/b", "currency": "EUR"}, "wallet"),
        ("/v1/wallets", {"wallet": "x", "currency": "EURO"}, "currency"),
        ("/v1/wallets", {"wallet": "x", "currency": "XXX"}, "currency"),
        ("/v1/wallets", {"wallet": "x", "currency": "EUR", "floor": 0}, "floor"),
    ],
    ids=str,
)
def test_a_wrong_field_is_named(api: Client, path: str, form: dict[str, Any], field: str) -> None:
    api.wallet("w", "1.00")
    api.post(path, form, "k").problem(422, "invalid", field)
    assert api.balance("w") == "1.00"


def test_what_is_not_there_is_not_found(api: Client) -> None:
    for path in ("/v1/wallets/nobody", "/v1/wallets/nobody/sims", "/v1/wallets/nobody/history", "/v1/wallets/a%2Fb"):
        api.get(path).problem(404, "not-found")
    api.post("/v1/wallets/nobody/top-ups", {"amount": "1"}, "k").problem(404, "not-found")


def test_a_wallet_is_opened_once(api: Client) -> None:
    api.wallet("w", "1.00")
    again = api.post("/v1/wallets", {"wallet": "w", "currency": "EUR", "balance": "9.00"}, "another")
    assert "has w already" in again.problem(409, "conflict", "wallet")
    api.post("/v1/wallets", {"wallet": "w", "currency": "USD"}, "a-third").problem(409, "conflict", "currency")
    assert api.balance("w") == "1.00"


def test_a_balance_past_the_ledger_is_refused(api: Client) -> None:
    api.wallet("w", "999999999.00")
    for number in range(8):
        api.post("/v1/wallets/w/top-ups", {"amount": "999999999"}, str(number)).ok(201)
    assert "would pass" in api.post("/v1/wallets/w/top-ups", {"amount": "999999999"}, "9").problem(
        422, "invalid", "amount"
    )
    assert api.balance("w") == "8999999991.00"


def test_holds_and_the_floor(api: Client) -> None:
    api.wallet("w", "1.00", "sim-1")
    assert api.post("/v1/wallets/w/holds", {"hold": "fraud"}, "h").ok(201)["hold"] == "fraud"
    assert api.get("/v1/wallets/w").ok()["holds"] == ["fraud"]
    assert api.get("/v1/sims/sim-1").ok()["holds"] == ["parent"]
    api.call("DELETE", "/v1/wallets/w/holds/fraud", Idempotency_Key="r").ok()
    assert api.call("DELETE", "/v1/wallets/w/holds/fraud", Idempotency_Key="r").ok()["repeated"]
    api.call("DELETE", "/v1/wallets/w/holds/balance", Idempotency_Key="b").problem(404, "not-found")
    moved = api.call("PUT", "/v1/wallets/w/floor", {"floor": "-100"}, Idempotency_Key="f").ok()
    assert moved["floor"] == "-100.00"
    shown = api.get("/v1/wallets/w").ok()
    assert (shown["status"], shown["floor"], shown["available"]) == ("active", "-100.00", "101.00")


def test_sims_and_history_come_in_pages(api: Client) -> None:
    sims = [f"sim-{number}" for number in range(7)]
    api.wallet("w", "10.00", *sims)
    api.post("/v1/usage", [event(str(number), sim=f"sim-{number}") for number in range(7)]).ok()
    assert pages(api, "/v1/wallets/w/sims", "sims", limit=3) == sims
    for _ in range(100):
        if len(pages(api, "/v1/wallets/w/history", "entries", limit=100)) == 15:
            break
        time.sleep(0.1)
    found = pages(api, "/v1/wallets/w/history", "entries", limit=4)
    assert [entry["number"] for entry in found] == [f"1.{number}" for number in range(15, 0, -1)]
    assert (found[0]["kind"], found[0]["cause"], found[0]["amount"]) == ("usage", "feed/6", "-0.10")
    assert (found[0]["balance_after"], found[-1]["balance_after"]) == ("9.30", "10.00")
    for wrong in ("nonsense!", "bm9uc2Vuc2U"):
        api.get(f"/v1/wallets/w/history?cursor={wrong}").problem(422, "invalid", "cursor")
    api.get("/v1/wallets/w/sims?limit=0").problem(422, "invalid", "limit")
    api.get("/v1/wallets/w/sims?size=3").problem(422, "invalid", "size")


def pages(api: Client, path: str, name: str, limit: int) -> list[Any]:
    """All of a list, page by page."""
    found: list[Any] = []
    cursor = ""
    while True:
        page = api.get(f"{path}?limit={limit}&cursor={cursor}").ok()
        assert len(page[name]) <= limit
        found += page[name]
        cursor = page["next"]
        if not cursor:
            return found
