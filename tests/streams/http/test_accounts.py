"""Accounts over HTTP: made once, changed by whom it is for, and never seen by who is beside them."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from tests.streams.http.served import Client, Served, event
from tests.streams.http.test_wallets import pages


def organisation(api: Client, name: str = "acme", owner: str = "alice") -> None:
    form = {"account": name, "kind": "organisation", "owner": owner, "currency": "EUR", "country": "DE"}
    api.post("/v1/accounts", form, f"make-{name}").ok(201)


def company(api: Client, name: str, parent: str = "acme", owner: str = "carol") -> None:
    form = {"account": name, "kind": "company", "parent": parent, "owner": owner, "currency": "EUR", "country": "DE"}
    api.post("/v1/accounts", form, f"make-{name}").ok(201)


def as_user(api: Client, user: str) -> Client:
    return replace(api, headers={"Rater-Acting-User": user})


@pytest.fixture
def tree(api: Client) -> Client:
    """acme (alice) with the companies north and south (carol), each with a wallet and a SIM; and acme's own wallet."""
    organisation(api)
    for name in ("north", "south"):
        company(api, name)
        api.wallet(name, "10.00", f"sim-{name}")
    api.wallet("acme", "10.00")
    return api


def test_an_account_from_its_making_to_its_end(api: Client, tenant: str) -> None:
    organisation(api)
    form = {
        "account": "north", "kind": "company", "parent": "acme", "owner": "carol", "currency": "EUR", "country": "DE",
        "display_name": "North Ltd", "zone": "Europe/Berlin",
    }  # fmt: skip
    made = api.post("/v1/accounts", form, "k1").ok(201)
    assert made == {
        "tenant": tenant, "account": "north", "kind": "company", "parent": "acme", "display_name": "North Ltd",
        "zone": "Europe/Berlin", "country": "DE", "currency": "EUR", "owner": "carol", "roles": {},
        "has_payment_details": False, "closed": False, "version": 1, "repeated": False,
    }  # fmt: skip
    assert api.post("/v1/accounts", form, "k1").ok(201) == made | {"repeated": True}
    changed = api.call("PATCH", "/v1/accounts/north", {"zone": "Asia/Tokyo"}, Idempotency_Key="k2").ok()
    assert (changed["zone"], changed["display_name"], changed["version"]) == ("Asia/Tokyo", "North Ltd", 2)
    assert api.get("/v1/accounts/north").ok() == changed
    closed = api.call("DELETE", "/v1/accounts/north", Idempotency_Key="k3").ok()
    assert closed["closed"]
    assert api.call("DELETE", "/v1/accounts/north", Idempotency_Key="k3").ok() == closed | {"repeated": True}
    detail = api.call("PATCH", "/v1/accounts/north", {"zone": "UTC"}, Idempotency_Key="k4").problem(
        409, "conflict", "account"
    )
    assert "north is closed" in detail


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({"zone": "Europe/Atlantis"}, 422, "zone"),
        ({"country": "XX"}, 422, "country"),
        ({"currency": "EURO"}, 422, "currency"),
        ({"owner": "al ice"}, 422, "owner"),
        ({"parent": ""}, 422, "parent"),
        ({"parent": "nobody"}, 404, "parent"),
        ({"parent": "south"}, 409, "parent"),
        ({"kind": "organisation"}, 422, "parent"),
        ({"account": "north"}, 409, "account"),
        ({"account": "a/b"}, 422, "account"),
    ],
    ids=str,
)
def test_a_wrong_field_is_named(tree: Client, fields: dict[str, str], status: int, field: str) -> None:
    form = {"account": "new", "kind": "company", "parent": "acme", "owner": "o", "currency": "EUR", "country": "DE"}
    kinds = {404: "not-found", 409: "conflict", 422: "invalid"}
    tree.post("/v1/accounts", form | fields, "k").problem(status, kinds[status], field)
    tree.get("/v1/accounts/new").problem(404, "not-found")


def test_a_change_under_a_key_is_made_once_whatever_came_after_it(tree: Client) -> None:
    def give(role: str, key: str) -> dict[str, object]:
        body = tree.call("PUT", "/v1/accounts/north/roles/erin", {"role": role}, Idempotency_Key=key).ok()
        assert isinstance(body, dict)
        return body

    give("manager", "k1")
    tree.call("DELETE", "/v1/accounts/north/roles/erin", Idempotency_Key="k2").ok()
    again = give("manager", "k1")
    assert (again["roles"], again["repeated"]) == ({}, True)
    answer = tree.call("PUT", "/v1/accounts/north/roles/erin", {"role": "reader"}, Idempotency_Key="k1")
    answer.problem(409, "conflict", "Idempotency-Key")


def test_who_may_not_is_told_who_may(tree: Client) -> None:
    stranger, carol, alice = as_user(tree, "mallory"), as_user(tree, "carol"), as_user(tree, "alice")
    change = {"display_name": "x"}
    detail = stranger.call("PATCH", "/v1/accounts/north", change, Idempotency_Key="a").problem(
        403, "not-allowed", "account"
    )
    assert detail == (
        "only the owner (carol) or a manager, or the owner (alice) or a manager of its organisation acme, "
        "may change north"
    )
    carol.call("PATCH", "/v1/accounts/north", change, Idempotency_Key="b").ok()
    alice.call("PATCH", "/v1/accounts/north", {"display_name": "y"}, Idempotency_Key="c").ok()
    detail = carol.call("PATCH", "/v1/accounts/acme", change, Idempotency_Key="d").problem(
        403, "not-allowed", "account"
    )
    assert detail == "only the owner (alice) or a manager may change acme"
    stranger.get("/v1/accounts/north").problem(403, "not-allowed")


def test_ownership_is_transferred_by_the_owner_who_becomes_a_manager(tree: Client) -> None:
    carol, dave = as_user(tree, "carol"), as_user(tree, "dave")
    tree.call("PUT", "/v1/accounts/north/roles/dave", {"role": "manager"}, Idempotency_Key="a").ok()
    detail = dave.call("PUT", "/v1/accounts/north/owner", {"owner": "dave"}, Idempotency_Key="b").problem(
        403, "not-allowed", "account"
    )
    assert "only the owner (carol)" in detail
    moved = carol.call("PUT", "/v1/accounts/north/owner", {"owner": "dave"}, Idempotency_Key="c").ok()
    assert (moved["owner"], moved["roles"]) == ("dave", {"carol": "manager"})
    again = carol.call("PUT", "/v1/accounts/north/owner", {"owner": "dave"}, Idempotency_Key="c").ok()
    assert again == moved | {"repeated": True}, "though carol may not do it any more"
    assert tree.get("/v1/accounts/north/roles").ok() == {
        "account": "north", "people": {"dave": "owner", "carol": "manager"}, "organisation": {"alice": "owner"},
    }  # fmt: skip


def test_a_reader_reads_and_a_manager_manages_at_every_endpoint(tree: Client) -> None:
    for user, role in (("erin", "reader"), ("bob", "manager")):
        tree.call("PUT", f"/v1/accounts/north/roles/{user}", {"role": role}, Idempotency_Key=user).ok()
    erin, bob = as_user(tree, "erin"), as_user(tree, "bob")
    for client in (erin, bob):
        assert client.balance("north") == "10.00"
        assert client.get("/v1/sims/sim-north").ok()["status"] == "active"
        assert client.get("/v1/wallets/south").problem(403, "not-allowed").startswith("only the owner (carol)")
    sim = {"sim": "new", "wallet": "north", "plan": "payg"}
    erin.post("/v1/sims", sim, "e").problem(403, "not-allowed", "wallet")
    bob.post("/v1/sims", sim, "b").ok(201)
    erin.post("/v1/usage", event("1", sim="sim-north")).problem(403, "not-allowed")
    bob.post("/v1/usage", event("1", sim="sim-north")).ok()


def test_money_from_outside_is_not_for_a_person_to_add(tree: Client) -> None:
    """Or a company's manager would fill up its wallet for nothing."""
    carol = as_user(tree, "carol")
    for method, path, form in (
        ("POST", "/v1/wallets/north/top-ups", {"amount": "5"}),
        ("PUT", "/v1/wallets/north/floor", {"floor": "-5"}),
        ("POST", "/v1/wallets/north/holds", {"hold": "fraud"}),
        ("POST", "/v1/wallets", {"wallet": "new", "currency": "EUR", "balance": "5"}),
    ):
        detail = carol.call(method, path, form, Idempotency_Key="k").problem(403, "not-allowed")
        assert detail.startswith("only the operator may")


def test_only_the_operators_keys_name_a_person(served: Served, tree: Client, tenant: str) -> None:
    bound = as_user(served.key(tenant, account="acme"), "alice")
    bound.get("/v1/accounts/acme").problem(403, "not-allowed", "Rater-Acting-User")
    as_user(served.key(tenant, "read"), "alice").get("/v1/accounts/acme").problem(
        403, "not-allowed", "Rater-Acting-User"
    )
    as_user(tree, "a b").get("/v1/accounts/acme").problem(422, "invalid", "Rater-Acting-User")


def test_a_key_of_a_person_acts_by_the_persons_role(served: Served, tree: Client, tenant: str) -> None:
    carol = served.key(tenant, "manage", account="north", user="carol")
    assert carol.balance("north") == "10.00"
    carol.post("/v1/wallets/north/top-ups", {"amount": "5"}, "k").problem(403, "not-allowed")
    carol.get("/v1/accounts/south").problem(404, "not-found")
    mallory = served.key(tenant, "admin", account="north", user="mallory")
    mallory.get("/v1/wallets/north").problem(403, "not-allowed")


def test_an_organisations_key_reaches_its_companies_and_a_companys_key_no_sibling(
    served: Served, tree: Client, tenant: str
) -> None:
    organisation(tree, "other", "zoe")
    tree.wallet("other", "10.00")
    acme, north = served.key(tenant, account="acme"), served.key(tenant, account="north")
    for wallet in ("acme", "north", "south"):
        assert acme.balance(wallet) == "10.00"
    acme.post("/v1/usage", [event("1", sim="sim-north"), event("2", sim="sim-south")]).ok()
    acme.get("/v1/sims/sim-south").ok()
    acme.get("/v1/wallets/other").problem(404, "not-found")
    acme.get("/v1/accounts/other").problem(404, "not-found")
    assert north.balance("north") == "9.90"
    for path in (
        "/v1/wallets/south", "/v1/wallets/acme", "/v1/accounts/south", "/v1/accounts/acme", "/v1/accounts/south/roles",
        "/v1/accounts/south/wallets", "/v1/sims/sim-south", "/v1/accounts?organisation=acme",
    ):  # fmt: skip
        north.get(path).problem(404, "not-found")
    north.post("/v1/usage", event("3", sim="sim-south")).problem(404, "not-found")
    assert names(acme) == ["acme", "north", "south"]
    assert names(north) == ["north"]
    assert names(tree) == ["acme", "north", "other", "south"]
    assert names(as_user(tree, "carol")) == ["north", "south"]


def names(client: Client) -> list[str]:
    return [account["account"] for account in pages(client, "/v1/accounts", "accounts", limit=2)]


def test_a_company_made_by_an_organisations_key_takes_nothing_that_is_there(
    served: Served, tree: Client, tenant: str
) -> None:
    """A name under which a wallet or a SIM stands already would bring them along."""
    tree.wallet("beta", "10.00")
    tree.post("/v1/sims", {"sim": "s", "wallet": "beta", "plan": "payg", "account": "gamma"}, "s").ok(201)
    acme = served.key(tenant, account="acme")
    form = {"kind": "company", "parent": "acme", "owner": "carol", "currency": "EUR", "country": "DE"}
    for name in ("beta", "gamma"):
        detail = acme.post("/v1/accounts", form | {"account": name}, name).problem(409, "conflict", "account")
        assert "only the operator" in detail
    acme.post("/v1/accounts", form | {"account": "delta"}, "delta").ok(201)
    acme.post("/v1/accounts", {**form, "kind": "organisation", "account": "own", "parent": ""}, "own").problem(
        403, "not-allowed", "kind"
    )
    tree.post("/v1/accounts", form | {"account": "beta"}, "beta-2").ok(201)
    assert acme.balance("beta") == "10.00", "the operator said so"


def test_a_wallet_belongs_to_the_account_it_was_opened_for(served: Served, tree: Client, tenant: str) -> None:
    north, south = served.key(tenant, account="north"), served.key(tenant, account="south")
    opened = north.post("/v1/accounts/north/wallets", {"wallet": "north-2"}, "k").ok(201)
    assert (opened["account"], opened["wallet"]["balance"], opened["repeated"]) == ("north", "0.00", False)
    assert north.post("/v1/accounts/north/wallets", {"wallet": "north-2"}, "k").ok(201)["repeated"]
    assert north.balance("north-2") == "0.00"
    south.get("/v1/wallets/north-2").problem(404, "not-found")
    assert pages(north, "/v1/accounts/north/wallets", "wallets", limit=1) == ["north", "north-2"]
    north.post("/v1/sims", {"sim": "n2", "wallet": "north-2", "plan": "payg"}, "sim").ok(201)
    assert north.get("/v1/sims/n2").ok()["assignments"][0]["account"] == "north"
    south.get("/v1/sims/n2").problem(404, "not-found")
    taken = north.post("/v1/accounts/north/wallets", {"wallet": "south"}, "k2")
    taken.problem(409, "conflict", "wallet")
    for currency in ("", "EURO"):
        north.post("/v1/accounts/north/wallets", {"wallet": "n3", "currency": currency}, "k3").problem(
            422, "invalid", "currency"
        )
    dollars = north.post("/v1/accounts/north/wallets", {"wallet": "n3", "currency": "USD"}, "k3")
    dollars.problem(409, "conflict", "currency")


def test_a_wallet_that_is_there_is_claimed_by_the_operator_once(served: Served, tree: Client, tenant: str) -> None:
    tree.wallet("purse", "3.00", "sim-purse")
    north = served.key(tenant, account="north")
    north.call("PUT", "/v1/accounts/north/wallets/purse", Idempotency_Key="n").problem(404, "not-found")
    claimed = tree.call("PUT", "/v1/accounts/north/wallets/purse", Idempotency_Key="a").ok()
    assert (claimed["wallet"]["balance"], claimed["repeated"]) == ("3.00", False)
    assert north.balance("purse") == "3.00"
    assert north.get("/v1/sims/sim-purse").ok()["sim"] == "sim-purse", "its SIMs come along"
    detail = tree.call("PUT", "/v1/accounts/south/wallets/purse", Idempotency_Key="b").problem(
        409, "conflict", "wallet"
    )
    assert "belongs to the account north" in detail
    old = served.key(tenant, account="purse")
    old.get("/v1/wallets/purse").problem(404, "not-found")


def test_what_stands_in_the_way_of_closing_is_said(tree: Client) -> None:
    def refused(name: str) -> str:
        return tree.call("DELETE", f"/v1/accounts/{name}", Idempotency_Key=f"c-{name}").problem(
            409, "conflict", "account"
        )

    assert "open company, north" in refused("acme")
    assert "stands at 10.00 EUR" in refused("north")
    tree.post("/v1/transfers", {"from_wallet": "north", "to_wallet": "acme", "amount": "10"}, "t").ok(201)
    assert "pays for SIM sim-north" in refused("north")
    tree.post("/v1/sims/sim-north/moves", {"wallet": "south"}, "m").ok(201)
    tree.call("DELETE", "/v1/accounts/north", Idempotency_Key="c-2").ok()


def test_the_zone_of_the_account_is_that_of_its_sims(served: Served, tree: Client, tenant: str) -> None:
    tree.call("PATCH", "/v1/accounts/north", {"zone": "Asia/Tokyo"}, Idempotency_Key="z").ok()
    tree.post("/v1/sims", {"sim": "tokyo", "wallet": "north", "plan": "payg"}, "s").ok(201)
    stored = served.with_redis(lambda redis: redis.get(f"d:{tenant}:subscriber:tokyo"))
    assert b'"zone":"Asia/Tokyo"' in stored


def wait_for(client: Client, transfer: str, status: str) -> None:
    for _ in range(100):
        if client.get(f"/v1/transfers/{transfer}").ok()["status"] == status:
            return
        time.sleep(0.05)
    raise AssertionError(client.get(f"/v1/transfers/{transfer}").body)


def test_a_transfer_is_made_once_and_seen_from_both_sides(served: Served, tree: Client, tenant: str) -> None:
    acme, north, south = (served.key(tenant, account=name) for name in ("acme", "north", "south"))
    form = {"from_wallet": "acme", "to_wallet": "north", "amount": "4.00", "note": "for november"}
    made = acme.post("/v1/transfers", form, "t-1").ok(201)
    assert (made["transfer"], made["amount"], made["repeated"]) == ("t-1", "4.00", False)
    again = acme.post("/v1/transfers", form, "t-1").ok(201)
    assert again["repeated"]
    wait_for(acme, "t-1", "done")
    assert (tree.balance("acme"), tree.balance("north")) == ("6.00", "14.00")
    assert north.get("/v1/transfers/t-1").ok()["note"] == "for november"
    south.get("/v1/transfers/t-1").problem(404, "not-found")
    north.post("/v1/transfers", form, "t-2").problem(404, "not-found", "from_wallet")
    south.post("/v1/transfers", form | {"from_wallet": "south"}, "t-3").problem(404, "not-found", "to_wallet")
    as_user(tree, "carol").post("/v1/transfers", form, "t-4").problem(403, "not-allowed", "from_wallet")
    as_user(tree, "carol").post("/v1/transfers", form | {"from_wallet": "north", "to_wallet": "south"}, "t-5").ok(201)


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({"amount": "0"}, 422, "amount"),
        ({"amount": "10.01"}, 422, "amount"),
        ({"amount": "-1"}, 422, "amount"),
        ({"to_wallet": "acme"}, 409, "to_wallet"),
        ({"to_wallet": "dollars"}, 409, "to_wallet"),
        ({"to_wallet": "nobody"}, 404, "to_wallet"),
        ({"from_wallet": "held"}, 409, "from_wallet"),
    ],
    ids=str,
)
def test_a_transfer_that_cannot_be_is_refused(tree: Client, fields: dict[str, str], status: int, field: str) -> None:
    tree.post("/v1/wallets", {"wallet": "dollars", "currency": "USD"}, "usd").ok(201)
    tree.wallet("held", "10.00")
    tree.post("/v1/wallets/held/holds", {"hold": "fraud"}, "hold").ok(201)
    form = {"from_wallet": "acme", "to_wallet": "north", "amount": "1.00"} | fields
    kinds = {404: "not-found", 409: "conflict", 422: "invalid"}
    tree.post("/v1/transfers", form, "t").problem(status, kinds[status], field)
    assert [tree.balance(wallet) for wallet in ("acme", "north", "held")] == ["10.00"] * 3
