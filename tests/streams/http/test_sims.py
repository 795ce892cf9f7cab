"""SIMs over HTTP: what a key's first request meant stays what it meant, whatever came between."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.streams.http.served import Client, Served, event, verdict

ICCID = "8988303000000000017"


def test_a_sim_is_added_once(api: Client, tenant: str) -> None:
    api.wallet("w")
    form = {"sim": "tracker-7", "wallet": "w", "plan": "payg", "iccid": ICCID, "account": "acme"}
    added = api.post("/v1/sims", form, "add").ok(201)
    assert added == {
        "tenant": tenant, "sim": "tracker-7", "iccid": ICCID, "imsi": "", "msisdn": "", "status": "active",
        "holds": [], "repeated": False,
        "assignments": [{"from": "1970-01-01T00:00:00Z", "wallet": "w", "account": "acme", "plan": "payg"}],
    }  # fmt: skip
    assert api.post("/v1/sims", form, "add").ok(201) == added | {"repeated": True}
    api.post("/v1/sims", form, "other").problem(409, "conflict", "sim")
    api.post("/v1/sims", form, "other").problem(409, "conflict", "sim")
    assert api.get("/v1/sims/tracker-7").ok() == added
    assert verdict(api.post("/v1/usage", event("1", sim=None, iccid=ICCID)).ok()) == ("rated", "", "0.10")


def test_two_at_once_make_one_sim(api: Client) -> None:
    """Of two callers who want a SIM of that name one is told that it has it."""
    api.wallet("a")
    api.wallet("b")
    for number in range(10):
        with ThreadPoolExecutor(2) as pool:
            forms = [{"sim": f"s{number}", "wallet": wallet, "plan": "payg"} for wallet in ("a", "b")]
            keys = [f"{number}-{wallet}" for wallet in ("a", "b")]
            answers = list(pool.map(lambda form, key: api.post("/v1/sims", form, key), forms, keys))
        assert sorted(answer.status for answer in answers) == [201, 409], answers
        (made,) = (answer.body for answer in answers if answer.status == 201)
        assert api.get(f"/v1/sims/s{number}").ok() == made


def test_an_identifier_names_one_sim(api: Client) -> None:
    api.wallet("w")
    api.post("/v1/sims", {"sim": "a", "wallet": "w", "plan": "payg", "iccid": ICCID}, "a").ok(201)
    api.post("/v1/sims", {"sim": "b", "wallet": "w", "plan": "payg", "iccid": ICCID}, "b").problem(
        409, "conflict", "iccid"
    )
    api.get("/v1/sims/b").problem(404, "not-found")


@pytest.mark.parametrize(
    ("changes", "status", "kind", "field"),
    [
        ({"wallet": "nobody"}, 404, "not-found", "wallet"),
        ({"plan": "nothing"}, 404, "not-found", "plan"),
        ({"iccid": "123"}, 422, "invalid", "iccid"),
        ({"msisdn": "0049"}, 422, "invalid", "msisdn"),
        ({"from": "2026-11-01T00:00:00"}, 422, "invalid", "from"),
        ({"sim": "a/b"}, 422, "invalid", "sim"),
        ({"plan": None}, 422, "invalid", "plan"),
    ],
    ids=str,
)
def test_a_wrong_field_is_named(api: Client, changes: dict[str, Any], status: int, kind: str, field: str) -> None:
    api.wallet("w")
    form = {"sim": "s", "wallet": "w", "plan": "payg"} | changes
    api.post("/v1/sims", form, "k").problem(status, kind, field)
    api.get("/v1/sims/s").problem(404, "not-found")


def test_a_wallet_in_another_currency_than_the_plan_is_a_conflict(api: Client) -> None:
    api.post("/v1/wallets", {"wallet": "usd", "currency": "USD"}, "w").ok(201)
    api.post("/v1/sims", {"sim": "s", "wallet": "usd", "plan": "payg"}, "s").problem(409, "conflict", "plan")


def test_a_move_that_is_repeated_after_a_later_one_moves_nothing(api: Client) -> None:
    """The repeat carries no time, so "now" has to stay what it was."""
    api.wallet("a", "10.00", "sim-1")
    api.wallet("b")
    api.wallet("c")
    first = api.post("/v1/sims/sim-1/moves", {"wallet": "b"}, "to-b").ok(201)
    assert [assignment["wallet"] for assignment in first["assignments"]] == ["a", "b"]
    assert not first["repeated"]
    second = api.post("/v1/sims/sim-1/moves", {"wallet": "c"}, "to-c").ok(201)
    again = api.post("/v1/sims/sim-1/moves", {"wallet": "b"}, "to-b").ok(201)
    assert again == second | {"repeated": True}
    assert api.get("/v1/wallets/c/sims").ok()["sims"] == ["sim-1"]
    api.post("/v1/sims/sim-1/moves", {"wallet": "a"}, "to-b").problem(409, "conflict", "Idempotency-Key")
    api.post("/v1/usage", event("1", start_time="2026-10-31T10:00:00Z")).ok()
    assert (api.balance("a"), api.balance("c")) == ("9.90", "10.00"), "usage from before stays with the old wallet"


def test_a_move_to_another_wallet_is_not_made_ahead_of_time(api: Client) -> None:
    api.wallet("a", "10.00", "sim-1")
    api.wallet("b")
    ahead = api.post("/v1/sims/sim-1/moves", {"wallet": "b", "from": "2026-12-01T00:00:00Z"}, "k")
    assert "when it is due" in ahead.problem(409, "conflict", "from")
    api.post("/v1/sims/nobody/moves", {"wallet": "b"}, "k2").problem(404, "not-found")
    api.post("/v1/sims/sim-1/moves", {"wallet": "nobody"}, "k3").problem(404, "not-found", "wallet")


def test_a_hold_of_one_sim_that_is_repeated_after_it_moved_holds_nothing_again(api: Client) -> None:
    api.wallet("a", "10.00", "sim-1", "sim-2")
    for number in range(4):
        api.wallet(f"b{number}")
    held = api.post("/v1/sims/sim-1/holds", {"hold": "operator"}, "hold").ok(201)
    assert (held["sim"], held["wallet"], held["hold"]) == ("sim-1", "a", "operator")
    assert api.get("/v1/sims/sim-1").ok()["holds"] == ["operator"]
    assert api.get("/v1/sims/sim-2").ok()["status"] == "active"
    for number in range(4):
        api.post("/v1/sims/sim-1/moves", {"wallet": f"b{number}"}, f"move-{number}").ok(201)
        api.call("DELETE", "/v1/sims/sim-1/holds/operator", Idempotency_Key=f"release-{number}").ok()
        again = api.post("/v1/sims/sim-1/holds", {"hold": "operator"}, "hold").ok(201)
        assert again == held | {"repeated": True}
        assert api.get("/v1/sims/sim-1").ok()["holds"] == []


def test_a_name_made_up_to_look_like_another_tenants_sim_finds_nothing(
    served: Served, api: Client, tenant: str
) -> None:
    other = served.key(f"{tenant}-b")
    other.wallet("w", "10.00", "s")
    api.get(f"/v1/sims/x:subscriber:s?tenant={tenant}").problem(404, "not-found")
    api.get(f"/v1/sims/..%2F{tenant}-b%2Fs").problem(404, "not-found")
