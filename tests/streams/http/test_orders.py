"""Order previews: net, VAT, total, the balance now and after, and by how much it is short. Nothing is charged."""

from __future__ import annotations

from typing import Any

import pytest

from tests.streams.http.served import Client, Served

EMAIL = {"plan": "credits-email", "volume": 1}


def order(buyer: Client, *items: dict[str, Any], **form: Any) -> dict[str, Any]:
    """The preview of an order of these, of 50,000 email credits unless said otherwise, billed to Germany."""
    made = {"wallet": "acme", "items": list(items) or [EMAIL], "billing_country": "DE"} | form
    answer: dict[str, Any] = buyer.post("/v1/orders/preview", made).ok()
    return answer


def figures(answer: dict[str, Any]) -> tuple[str, ...]:
    """Net, VAT, total, balance after, short."""
    return tuple(answer[name] for name in ("net", "vat", "total", "balance_after", "short"))


def open_wallet(buyer: Client, balance: str, currency: str = "EUR", name: str = "acme") -> None:
    buyer.post("/v1/wallets", {"wallet": name, "currency": currency, "balance": balance}, f"open-{name}").ok(201)


def test_the_balance_pays_and_is_shown_before_and_after(buyer: Client) -> None:
    open_wallet(buyer, "100.00")
    answer = order(buyer)
    assert figures(answer) == ("49.00", "9.31", "58.31", "41.69", "0.00")
    assert (answer["vat_percent"], answer["balance"], answer["refused"], answer["refusals"]) == (
        "19", "100.00", False, [],
    )  # fmt: skip
    assert answer["lines"] == [{"item": 0, "name": "credits-email", "net": "49.00", "note": "49.00 a period"}]
    assert buyer.balance("acme") == "100.00"


def test_it_is_refused_when_short_and_says_by_how_much_unless_another_method_pays(buyer: Client) -> None:
    open_wallet(buyer, "58.30")
    answer = order(buyer)
    assert figures(answer) == ("49.00", "9.31", "58.31", "58.30", "0.01")
    assert answer["refused"] is True
    assert [refusal["reason"] for refusal in answer["refusals"]] == ["insufficient_balance"]
    assert "short by 0.01" in answer["refusals"][0]["detail"]
    card = order(buyer, payment="card")
    assert (card["refused"], card["balance_after"], card["short"]) == (False, "58.30", "0.01")


def test_vat_is_that_of_the_billing_country(buyer: Client) -> None:
    open_wallet(buyer, "100.00")
    assert figures(order(buyer, billing_country="US"))[:3] == ("49.00", "0.00", "49.00")
    assert figures(order(buyer, billing_country="CH"))[:3] == ("49.00", "3.97", "52.97")


def test_a_credit_limit_is_available_too(buyer: Client) -> None:
    open_wallet(buyer, "8.31")
    buyer.call("PUT", "/v1/wallets/acme/floor", {"floor": "-50.00"}, Idempotency_Key="floor").ok()
    answer = order(buyer)
    assert (answer["available"], answer["available_after"], answer["balance_after"]) == ("58.31", "0.00", "-50.00")
    assert not answer["refused"]


def test_a_plan_with_its_activation_add_ons_and_their_up_front_fees(buyer: Client) -> None:
    open_wallet(buyer, "100.00", "USD")
    items = {"plan": "minutes-pro"}, {"plan": "minutes-pro", "addon": "phone-number", "count": 3}
    answer = order(buyer, *items, billing_country="US")
    assert [(line["item"], line["name"], line["net"], line["note"]) for line in answer["lines"]] == [
        (0, "minutes-pro", "29.00", "29.00 a period"),
        (0, "activation", "5.00", ""),
        (1, "phone-number", "6.00", "2.00 a period"),
        (1, "phone-number up front", "3.00", ""),
    ]
    assert figures(answer) == ("43.00", "0.00", "43.00", "57.00", "0.00")


def test_a_refill_costs_its_price_and_cannot_be_paid_from_what_it_fills(buyer: Client) -> None:
    open_wallet(buyer, "500.00")
    large = {"plan": "sim-payg", "refill": "large"}
    answer = order(buyer, large)
    assert [(refusal["reason"], refusal["field"]) for refusal in answer["refusals"]] == [("not_payable", "/items/0")]
    answer = order(buyer, large, payment="card")
    assert (answer["net"], answer["total"], answer["refused"]) == ("100.00", "119.00", False)
    assert answer["lines"][0]["note"] == "the wallet is given 120.00"


def test_a_fee_that_waits_for_the_first_usage_is_not_due_yet(buyer: Client) -> None:
    open_wallet(buyer, "0")
    answer = order(buyer, {"plan": "sim-payg"})
    assert (answer["total"], answer["refused"]) == ("0.00", False)
    assert answer["lines"][0]["note"] == "1.00 a period, from the first usage or a later date on"


def test_what_is_sold_by_quote_or_not_offered_is_refused(buyer: Client) -> None:
    open_wallet(buyer, "100.00")
    answer = order(buyer, {"plan": "credits-custom"})
    assert [refusal["reason"] for refusal in answer["refusals"]] == ["quote_only"]


@pytest.mark.parametrize(
    ("form", "status", "kind", "field"),
    [
        ({"wallet": "none"}, 404, "not-found", "wallet"),
        ({"wallet": ""}, 422, "invalid", "wallet"),
        ({"sim": "s"}, 422, "invalid", "wallet"),
        ({"items": []}, 422, "invalid", "items"),
        ({"items": [EMAIL, {"plan": "moon"}]}, 404, "not-found", "/items/1/plan"),
        ({"items": [{"plan": "credits-email"}]}, 422, "invalid", "/items/0/volume"),
        ({"items": [{"plan": "credits-email", "volume": 3}]}, 422, "invalid", "/items/0/volume"),
        ({"items": [{"plan": "voice-a"}]}, 409, "conflict", "/items/0/plan"),
        ({"items": [{"plan": "sim-payg", "volume": 0}]}, 422, "invalid", "/items/0/volume"),
        ({"items": [{"plan": "sim-payg", "refill": "huge"}]}, 404, "not-found", "/items/0/refill"),
        ({"items": [{"plan": "sim-payg", "addon": "x"}]}, 404, "not-found", "/items/0/addon"),
        ({"items": [{"plan": "sim-payg", "addon": "x", "refill": "large"}]}, 422, "invalid", "/items/0/refill"),
        ({"items": [{"plan": "sim-payg", "refill": "large", "volume": 1}]}, 422, "invalid", "/items/0/volume"),
        ({"items": [{"plan": "sim-payg", "count": 2}]}, 422, "invalid", "/items/0/count"),
        ({"billing_country": "UK"}, 422, "invalid", "billing_country"),
        ({"billing_country": "JP"}, 422, "invalid", "billing_country"),
        ({"payment": "cash"}, 422, "invalid", "payment"),
    ],
)
def test_what_is_wrong_is_named(buyer: Client, form: dict[str, Any], status: int, kind: str, field: str) -> None:
    open_wallet(buyer, "100.00")
    made = {"wallet": "acme", "items": [EMAIL], "billing_country": "DE"} | form
    buyer.post("/v1/orders/preview", made).problem(status, kind, field)


def test_a_country_without_a_rate_is_told_what_to_write(buyer: Client) -> None:
    open_wallet(buyer, "100.00")
    form = {"wallet": "acme", "items": [EMAIL], "billing_country": "JP"}
    assert "no VAT rate for JP on 2026-11-01" in buyer.post("/v1/orders/preview", form).problem(
        422, "invalid", "billing_country"
    )


def test_another_tenants_wallet_and_another_accounts_are_not_there(shop: Served, buyer: Client, tenant: str) -> None:
    open_wallet(buyer, "100.00")
    form = {"wallet": "acme", "items": [EMAIL], "billing_country": "DE"}
    stranger = shop.key(f"{tenant}-b")
    stranger.post("/v1/orders/preview", form).problem(404, "not-found", "wallet")
    stranger.post(f"/v1/orders/preview?tenant={tenant}", form).problem(403, "not-allowed", "tenant")
    shop.key(tenant, "read", account="other").post("/v1/orders/preview", form).problem(404, "not-found", "wallet")
    shop.key(tenant, "ingest").post("/v1/orders/preview", form).problem(403, "not-allowed", "Authorization")
