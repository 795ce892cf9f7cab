"""Orders for a SIM: preview and order agree, what stands in the way refuses both, and who may order."""

from __future__ import annotations

from typing import Any

import pytest

from tests.streams.http.served import Client, Served

EMAIL = {"plan": "credits-email", "volume": 1}


@pytest.fixture
def sender(buyer: Client) -> Client:
    """A client with the SIM "s" on the free plan, whose wallet "acme" has 100.00."""
    buyer.post("/v1/wallets", {"wallet": "acme", "currency": "EUR", "balance": "100.00"}, "open").ok(201)
    buyer.post("/v1/sims", {"sim": "s", "wallet": "acme", "plan": "credits-free"}, "add").ok(201)
    return buyer


def form(item: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {"sim": "s", "item": item or EMAIL, "billing_country": "DE"} | fields


def preview(client: Client, item: dict[str, Any] | None = None, **fields: Any) -> Any:
    return client.post("/v1/orders/preview", form(item, **fields)).ok()


def order(client: Client, key: str, item: dict[str, Any] | None = None, **fields: Any) -> Any:
    return client.post("/v1/orders", form(item, **fields), key).ok(201)


def test_the_order_is_what_the_preview_of_the_same_form_said(sender: Client) -> None:
    for number, item in enumerate(
        [EMAIL, {"plan": "credits-email", "volume": 2}, {"plan": "credits-email", "volume": 0}]
    ):
        sender.post("/v1/wallets/acme/top-ups", {"amount": "200.00"}, f"top-{number}").ok(201)
        seen = preview(sender, item)
        made = order(sender, f"o-{number}", item, expected=seen["total"])
        names = ("net", "vat_country", "vat_percent", "vat", "total", "currency", "payment", "wallet", "lines")
        assert {name: seen[name] for name in names} == {name: made[name] for name in names}
        assert (made["status"], made["charged"]) == ("done", seen["total"])
        assert (seen["balance"], seen["balance_after"]) == (made["balance_before"], made["balance_after"])
        assert made["at"][:10] == seen["at"][:10]
    assert seen["total"] == "0.00", "less takes effect at the next period"


def test_a_repeat_finds_the_order_and_another_request_under_its_key_is_refused(sender: Client) -> None:
    first = order(sender, "o")
    assert order(sender, "o") == first | {"repeated": True}
    sender.post("/v1/orders", form(billing_country="US"), "o").problem(409, "conflict", "Idempotency-Key")
    assert sender.get("/v1/orders/o").ok() == first
    assert sender.balance("acme") == "41.69"


def test_what_stands_in_the_way_of_an_order_is_what_its_preview_says_and_nothing_is_kept(sender: Client) -> None:
    for item, reason in (
        ({"plan": "credits-free"}, "no_change"),
        ({"plan": "credits-custom"}, "quote_only"),
        ({"plan": "credits-email", "volume": 2}, "insufficient_balance"),
    ):
        seen = preview(sender, item)
        assert (seen["refused"], seen["refusals"][0]["reason"]) == (True, reason)
        answer = sender.post("/v1/orders", form(item), "refused").problem(
            409, "conflict", seen["refusals"][0]["field"] or "payment"
        )
        assert seen["refusals"][0]["detail"] in answer
    assert sender.get("/v1/orders?sim=s").ok()["orders"] == []
    assert order(sender, "refused")["status"] == "done", "the key stands for nothing yet"


def test_what_a_plan_does_not_offer_is_named(sender: Client) -> None:
    """The free plan can only be left upwards, and only the custom one is asked for."""
    detail = sender.post("/v1/subscriptions/s/cancel", None, "end").problem(409, "conflict", "plan")
    assert detail == "plan credits-free does not offer cancel"
    sender.post("/v1/orders", form({"addon": "none"}), "o-1").problem(404, "not-found", "/item/addon")
    asked = {"sim": "s", "plan": "credits-email"}
    detail = sender.post("/v1/quote-requests", asked, "q").problem(409, "conflict", "plan")
    assert detail == "plan credits-email does not offer request-quote"


def test_a_way_to_pay_that_is_not_there_is_refused(sender: Client) -> None:
    """This server has no account at Stripe."""
    for payment in ("card", "upi"):
        (refusal,) = preview(sender, payment=payment)["refusals"]
        assert (refusal["reason"], refusal["field"]) == ("not_payable", "payment")
    assert preview(sender, payment="invoice")["refusals"] == []


def test_an_invoice_that_is_called_off_fails_the_order(sender: Client) -> None:
    made = order(sender, "o", payment="invoice")
    assert (made["status"], made["balance_before"], made["balance_after"]) == ("pending", None, None)
    sender.post(f"/v1/payments/{made['payment_id']}/cancel", None, "off").ok()
    for _ in range(200):
        found = sender.get("/v1/orders/o").ok()
        if found["status"] != "pending":
            break
    assert (found["status"], found["reason"], found["charged"]) == ("failed", "payment_cancelled", "0.00")
    assert sender.balance("acme") == "100.00"


def test_orders_of_a_sim_come_in_pages_the_newest_first(sender: Client) -> None:
    for number in range(3):
        sender.post("/v1/quote-requests", {"sim": "s", "plan": "credits-custom"}, f"q-{number}").ok(201)
    page = sender.get("/v1/orders?sim=s&limit=2").ok()
    rest = sender.get(f"/v1/orders?sim=s&limit=2&cursor={page['next']}").ok()
    names = [one["order"] for one in [*page["orders"], *rest["orders"]]]
    assert (sorted(names), len(page["orders"]), rest["next"]) == (["q-0", "q-1", "q-2"], 2, "")
    sender.get("/v1/orders").problem(422, "invalid", "sim")
    sender.get("/v1/orders?sim=none").problem(404, "not-found")


@pytest.mark.parametrize(
    ("fields", "status", "kind", "field"),
    [
        ({"sim": "none"}, 404, "not-found", ""),
        ({"item": {}}, 422, "invalid", "/item/plan"),
        ({"item": {"plan": "moon"}}, 404, "not-found", "/item/plan"),
        ({"item": {"plan": "credits-email"}}, 422, "invalid", "/item/volume"),
        ({"item": {"plan": "voice-a"}}, 409, "conflict", "/item/plan"),
        ({"item": {"addon": "x", "volume": 1}}, 422, "invalid", "/item/volume"),
        ({"item": {"addon": "x", "plan": "credits-email"}}, 409, "conflict", "/item/plan"),
        ({"billing_country": "JP"}, 422, "invalid", "billing_country"),
        ({"expected": "58.30"}, 409, "conflict", "expected"),
        ({"payment": "cash"}, 422, "invalid", "payment"),
    ],
)
def test_what_is_wrong_is_named(sender: Client, fields: dict[str, Any], status: int, kind: str, field: str) -> None:
    sender.post("/v1/orders", form() | fields, "wrong").problem(status, kind, field)
    if field != "expected":
        sender.post("/v1/orders/preview", form() | fields).problem(status, kind, field)


def test_an_order_is_named_so_that_it_can_stand_in_an_address(sender: Client) -> None:
    sender.post("/v1/orders", form(), "a/b").problem(422, "invalid", "Idempotency-Key")


def test_who_may_order_the_plan_says(shop: Served, tenant: str, buyer: Client) -> None:
    """A reader of the account is told who may; a manager may."""
    account = {"account": "acme", "kind": "organisation", "owner": "alice", "currency": "EUR", "country": "DE"}
    buyer.post("/v1/accounts", account, "make").ok(201)
    buyer.post("/v1/wallets", {"wallet": "acme", "currency": "EUR", "balance": "100.00"}, "open").ok(201)
    buyer.post("/v1/sims", {"sim": "s", "wallet": "acme", "plan": "credits-free"}, "add").ok(201)
    for user, role in (("rita", "reader"), ("max", "manager")):
        buyer.call("PUT", f"/v1/accounts/acme/roles/{user}", {"role": role}, Idempotency_Key=user).ok()
    as_reader = {"Rater_Acting_User": "rita"}
    detail = buyer.post("/v1/orders", form(), "o-1", **as_reader).problem(403, "not-allowed", "/item")
    assert detail == "only the owner (alice) or a manager may change plan credits-free"
    made = buyer.post("/v1/orders", form(), "o-2", Rater_Acting_User="max").ok(201)
    assert made["status"] == "done"
    stranger = shop.key(tenant, "admin", account="other")
    stranger.get("/v1/orders/o-2").problem(404, "not-found")
    stranger.get("/v1/orders?sim=s").problem(404, "not-found")
    stranger.post("/v1/orders", form(), "o-2").problem(404, "not-found")  # not even as a repeat, word for word


def test_a_plan_in_another_currency_is_neither_ordered_nor_changed_to(sender: Client) -> None:
    """Its fee would be taken from the wallet as if it were in the wallet's own."""
    sender.post("/v1/orders", form({"plan": "minutes-pro"}), "o").problem(409, "conflict", "/item/plan")
    change = {"plan": "minutes-pro"}
    sender.post("/v1/subscriptions/s/change/preview", change).problem(409, "conflict", "plan")
    said = sender.post("/v1/subscriptions/s/change", change, "c").problem(409, "conflict", "plan")
    assert said == "it is sold in USD, the wallet is kept in EUR"
    assert sender.balance("acme") == "100.00"


def test_who_has_a_sim_now_does_not_see_what_was_ordered_for_it_by_another_account(
    shop: Served, tenant: str, sender: Client
) -> None:
    order(sender, "o-1")
    sender.post("/v1/wallets", {"wallet": "other", "currency": "EUR", "balance": "100.00"}, "open-other").ok(201)
    sender.post("/v1/sims/s/moves", {"wallet": "other", "account": "other", "plan": "credits-free"}, "move").ok(201)
    new = shop.key(tenant, "manage", account="other")
    order(new, "o-2")
    assert [one["order"] for one in new.get("/v1/orders?sim=s").ok()["orders"]] == ["o-2"]
    assert {one["order"] for one in sender.get("/v1/orders?sim=s").ok()["orders"]} == {"o-1", "o-2"}
