"""Payments over HTTP: refills by card, invoice and from above, methods, auto-refill, and Stripe's webhook."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rater.settings import PaymentSettings
from streams.embedded.parts import EmbeddedParts
from tests.streams.http.served import Client, Served, event
from tests.streams.payments.stripe_server import SECRET, StripeServer, stripe_beside

OFFER = {"plan": "offers", "offer": "large"}


@pytest.fixture(scope="module")
def stripe() -> Iterator[StripeServer]:
    """A server that speaks Stripe, in a thread of its own."""
    with stripe_beside() as server:
        yield server


@pytest.fixture(scope="module")
def till(tmp_path_factory: pytest.TempPathFactory, stripe: StripeServer) -> Iterator[Served]:
    """A running server with an account at Stripe."""
    served = Served(tmp_path_factory.mktemp("payments"))
    account = PaymentSettings("sk_test_1", SECRET, stripe.url)
    served.settings = msgspec.structs.replace(served.settings, payments=account)
    with EmbeddedParts(served.data):
        served.start()
        try:
            yield served
        finally:
            served.kill()


@pytest.fixture
def client(till: Served, tenant: str) -> Client:
    """A client of a tenant with an empty wallet "acme"."""
    made = till.key(tenant)
    made.wallet("acme", "0")
    return made


def save(client: Client, method: str = "pm_ok", key: str = "save", **fields: Any) -> Any:
    form = {"customer": "cus_1", "payment_method": method, "label": "Visa 4242"} | fields
    return client.call("PUT", "/v1/wallets/acme/payment-methods/visa", form, Idempotency_Key=key).ok()


def refill(client: Client, key: str = "r-1", status: int = 201, **fields: Any) -> Any:
    return client.post("/v1/wallets/acme/refills", OFFER | {"method": "card"} | fields, key).ok(status)


def put(client: Client, key: str = "a-1", **fields: Any) -> Any:
    form = {"plan": "offers", "offer": "small", "method": "card", "threshold": "5.00"} | fields
    return client.call("PUT", "/v1/wallets/acme/auto-refill", form, Idempotency_Key=key)


def tell(till: Served, webhook: tuple[dict[str, str], bytes]) -> Any:
    headers, body = webhook
    return till.anybody.call("POST", "/v1/payments/stripe/webhook", body, Stripe_Signature=headers["stripe-signature"])


def wait_for(what: Callable[[], bool]) -> None:
    for _ in range(200):
        if what():
            return
        time.sleep(0.05)
    raise AssertionError("it does not come")


def test_offers_are_those_of_the_plan_that_is_named_or_of_the_wallets_sims(client: Client) -> None:
    assert client.get("/v1/wallets/acme/refill-offers").ok() == {"offers": []}
    named = client.get("/v1/wallets/acme/refill-offers?plan=offers").ok()["offers"]
    assert named[1] == {
        "plan": "offers", "offer": "large", "price": "100.00", "balance": "120.00", "currency": "EUR",
        "paid_by": ["card", "invoice", "parent"], "given": "confirmed",
    }  # fmt: skip
    client.post("/v1/sims", {"sim": "s-1", "wallet": "acme", "plan": "offers"}, "s-1").ok(201)
    assert client.get("/v1/wallets/acme/refill-offers").ok()["offers"] == named
    client.get("/v1/wallets/acme/refill-offers?plan=none").problem(404, "not-found", "plan")


def test_a_refill_by_a_saved_card_is_paid_once_for_its_key(client: Client, stripe: StripeServer) -> None:
    save(client)
    before = len(stripe.paid)
    paid = refill(client)
    assert (paid["status"], paid["amount"], paid["balance"], paid["balance_now"]) == (
        "confirmed", "100.00", "120.00", "120.00",
    )  # fmt: skip
    assert refill(client) == paid | {"repeated": True}
    assert client.balance("acme") == "120.00"
    assert len(stripe.paid) == before + 1
    client.post("/v1/wallets/acme/refills", OFFER | {"method": "invoice"}, "r-1").problem(
        409, "conflict", "Idempotency-Key"
    )
    assert client.get(f"/v1/payments/{paid['payment']}").ok() == paid
    wait_for(lambda: len(client.get("/v1/wallets/acme/history").ok()["entries"]) > 1)  # the first is its opening
    entry = client.get("/v1/wallets/acme/history").ok()["entries"][0]
    assert (entry["cause"], entry["amount"]) == (f"payment/{paid['payment']}", "120.00")


def test_a_card_that_is_declined_is_answered_as_a_payment(client: Client) -> None:
    save(client, "pm_declined")
    declined = refill(client)
    assert (declined["status"], declined["reason"], client.balance("acme")) == (
        "declined", "insufficient_funds", "0.00",
    )  # fmt: skip


def test_the_payer_pays_in_the_browser_and_the_webhook_tells(
    till: Served, client: Client, stripe: StripeServer
) -> None:
    waiting = refill(client, payer_present=True)
    assert (waiting["status"], waiting["client_secret"]) == ("pending", f"{waiting['reference']}_secret")
    assert client.get(f"/v1/payments/{waiting['payment']}").ok()["client_secret"] == "", "for who made it alone"
    stripe.decide(waiting["reference"], "succeeded")
    webhook = stripe.told(waiting["reference"])
    tell(till, (webhook[0], webhook[1] + b" ")).problem(400, "malformed", "Stripe-Signature")
    till.anybody.call("POST", "/v1/payments/stripe/webhook", b"{}").problem(400, "malformed", "Stripe-Signature")
    assert client.balance("acme") == "0.00"
    for _ in range(2):
        assert tell(till, webhook).ok() == {"taken": True}
    assert client.balance("acme") == "120.00"
    assert tell(till, stripe.webhook("customer.created", {"id": "cus_1", "object": "customer"})).ok() == {
        "taken": False
    }
    assert tell(till, stripe.refund(waiting["reference"], 5_000)).ok() == {"taken": True}
    shown = client.get(f"/v1/payments/{waiting['payment']}").ok()
    assert (shown["refunded"], shown["balance_now"], client.balance("acme")) == ("50.00", "60.00", "60.00")


def test_stripe_is_told_to_send_again_what_cannot_be_dealt_with_now(
    till: Served, client: Client, stripe: StripeServer
) -> None:
    save(client, "pm_later")
    pending = refill(client)
    stripe.faults.append("busy")
    answer = tell(till, stripe.told(pending["reference"]))
    answer.problem(503, "unavailable")
    assert answer.headers["retry-after"] == "60"


def test_an_invoice_is_confirmed_with_an_admin_key_only(till: Served, client: Client, tenant: str) -> None:
    sent = refill(client, method="invoice")
    confirm = f"/v1/payments/{sent['payment']}/confirm"
    assert (sent["status"], client.balance("acme")) == ("pending", "0.00")
    client.call("POST", confirm, Idempotency_Key="c-1").problem(403, "not-allowed", "Authorization")
    admin = till.key(tenant, "admin")
    first = admin.call("POST", confirm, Idempotency_Key="c-1").ok()
    assert (first["status"], client.balance("acme")) == ("confirmed", "120.00")
    assert admin.call("POST", confirm, Idempotency_Key="c-1").ok() == first | {"repeated": True}
    admin.call("POST", f"/v1/payments/{sent['payment']}/cancel", Idempotency_Key="c-2").problem(
        409, "conflict", "payment"
    )


def test_an_invoice_that_gave_at_once_is_cancelled(client: Client) -> None:
    sent = refill(client, method="invoice", offer="trusted")
    assert (sent["balance_now"], client.balance("acme")) == ("50.00", "50.00")
    cancelled = client.call("POST", f"/v1/payments/{sent['payment']}/cancel", Idempotency_Key="c-1").ok()
    assert (cancelled["status"], cancelled["balance_now"], client.balance("acme")) == ("cancelled", "0.00", "0.00")


def test_a_company_is_refilled_from_its_organisations_wallet(till: Served, client: Client, tenant: str) -> None:
    """Which wallet is above is known from the accounts; the company's key need not reach it."""
    client.wallet("org", "150.00")
    client.wallet("other", "150.00")
    place = {"owner": "alice", "currency": "EUR", "country": "DE"}
    client.post("/v1/accounts", place | {"account": "org", "kind": "organisation"}, "o-1").ok(201)
    company = place | {"account": "acme", "kind": "company", "parent": "org"}
    client.post("/v1/accounts", company, "o-2").ok(201)
    key = till.key(tenant, "manage", account="acme")
    paid = refill(key, method="parent")
    assert (paid["status"], paid["parent_wallet"], client.balance("org"), client.balance("acme")) == (
        "confirmed", "org", "50.00", "120.00",
    )  # fmt: skip
    short = refill(key, "r-2", method="parent")
    assert (short["status"], short["reason"]) == ("declined", "insufficient_balance")
    form = OFFER | {"method": "parent", "parent_wallet": "other"}
    key.post("/v1/wallets/acme/refills", form, "r-3").problem(404, "not-found", "parent_wallet")


def test_without_an_organisation_the_wallet_that_pays_is_named(client: Client) -> None:
    client.wallet("rich", "150.00")
    assert refill(client, method="parent", parent_wallet="rich")["status"] == "confirmed"
    form = OFFER | {"method": "parent"}
    post = client.post
    post("/v1/wallets/acme/refills", form, "r-2").problem(422, "invalid", "parent_wallet")
    post("/v1/wallets/acme/refills", form | {"parent_wallet": "acme"}, "r-3").problem(422, "invalid", "parent_wallet")
    post("/v1/wallets/acme/refills", form | {"parent_wallet": "no"}, "r-4").problem(404, "not-found", "parent_wallet")


@pytest.mark.parametrize(
    ("form", "status", "kind", "field"),
    [
        ({"offer": "none"}, 404, "not-found", "offer"),
        ({"plan": "none"}, 404, "not-found", "plan"),
        ({"offer": "company"}, 409, "conflict", "method"),
        ({}, 409, "conflict", "payment_method"),
        ({"payment_method": "none"}, 409, "conflict", "payment_method"),
        ({"method": "cash"}, 422, "invalid", "method"),
    ],
)
def test_a_refill_that_makes_no_sense_names_the_field(
    client: Client, form: dict[str, Any], status: int, kind: str, field: str
) -> None:
    answer = client.post("/v1/wallets/acme/refills", OFFER | {"method": "card"} | form, "k")
    answer.problem(status, kind, field)


def test_without_an_account_at_stripe_nothing_is_paid_by_card(served: Served, api: Client) -> None:
    api.wallet("acme", "0")
    form = OFFER | {"method": "card", "payer_present": True}
    api.post("/v1/wallets/acme/refills", form, "k").problem(409, "conflict", "method")
    served.anybody.call("POST", "/v1/payments/stripe/webhook", b"{}").problem(404, "not-found")


def test_payments_are_listed_in_pages_and_by_account(till: Served, client: Client, tenant: str) -> None:
    client.wallet("other", "0")
    for number in range(3):
        refill(client, f"r-{number}", method="invoice")
    client.post("/v1/wallets/other/refills", OFFER | {"method": "invoice"}, "o").ok(201)
    first = client.get("/v1/payments?limit=3").ok()
    rest = client.get(f"/v1/payments?limit=3&cursor={first['next']}").ok()
    assert (len(first["payments"]), len(rest["payments"]), rest["next"]) == (3, 1, "")
    assert len({payment["payment"] for payment in first["payments"] + rest["payments"]}) == 4
    assert len(client.get("/v1/payments?wallet=acme").ok()["payments"]) == 3
    company = till.key(tenant, "read", account="other")
    assert [payment["wallet"] for payment in company.get("/v1/payments").ok()["payments"]] == ["other"]
    company.get("/v1/payments?wallet=acme").problem(404, "not-found", "wallet")
    of = {payment["wallet"]: payment["payment"] for payment in first["payments"] + rest["payments"]}
    company.get(f"/v1/payments/{of['other']}").ok()
    company.get(f"/v1/payments/{of['acme']}").problem(404, "not-found")


def test_methods_are_saved_and_an_old_request_that_is_repeated_changes_nothing(client: Client) -> None:
    assert client.get("/v1/wallets/acme/payment-methods").ok()["methods"] == []
    (method,) = save(client)["methods"]
    assert method == {
        "name": "visa", "label": "Visa 4242", "customer": "cus_1", "payment_method": "pm_ok", "default": True,
    }  # fmt: skip
    save(client, "pm_new", "again", label="Visa 1881")
    assert save(client)["repeated"]
    path = "/v1/wallets/acme/payment-methods"
    assert client.get(path).ok()["methods"][0]["payment_method"] == "pm_new"
    sepa = {"payment_method": "pm_sepa", "default": True}
    both = client.call("PUT", f"{path}/sepa", sepa, Idempotency_Key="sepa").ok()["methods"]
    assert [(found["name"], found["default"]) for found in both] == [("visa", False), ("sepa", True)]
    for _ in range(2):
        left = client.call("DELETE", f"{path}/sepa", Idempotency_Key="gone").ok()["methods"]
        assert [(found["name"], found["default"]) for found in left] == [("visa", False)]
    client.call("DELETE", f"{path}/sepa", Idempotency_Key="again-2").problem(404, "not-found")
    number = {"payment_method": "4242424242424242"}
    client.call("PUT", f"{path}/visa", number, Idempotency_Key="number").problem(422, "invalid", "payment_method")


def test_an_account_says_whether_payment_details_are_there(client: Client) -> None:
    place = {"owner": "alice", "currency": "EUR", "country": "DE"}
    client.post("/v1/accounts", place | {"account": "acme", "kind": "organisation"}, "o-1").ok(201)

    def is_there() -> bool:
        return bool(client.get("/v1/accounts/acme").ok()["has_payment_details"])

    assert not is_there()
    save(client)
    assert is_there()
    client.call("DELETE", "/v1/wallets/acme/payment-methods/visa", Idempotency_Key="gone").ok()
    assert not is_there()


def test_a_wallet_that_usage_makes_low_is_refilled_by_itself(till: Served, client: Client) -> None:
    """From the event over the wallet's notice to the card and back: nobody does anything."""
    save(client)
    client.post("/v1/wallets/acme/top-ups", {"amount": "5.05"}, "t-1").ok(201)
    client.post("/v1/sims", {"sim": "s-1", "wallet": "acme", "plan": "offers"}, "s-1").ok(201)
    waiting = put(client).ok()
    assert (waiting["status"], waiting["threshold"], waiting["zone"]) == ("waiting", "5.00", "UTC")
    time.sleep(1.5)
    assert client.balance("acme") == "5.05"
    client.post("/v1/usage", event("1", "s-1")).ok()
    wait_for(lambda: client.balance("acme") == "15.95")
    wait_for(lambda: client.get("/v1/wallets/acme/auto-refill").ok()["status"] == "waiting")
    shown = client.get("/v1/wallets/acme/auto-refill").ok()
    assert (shown["day"], shown["day_spent"], shown["month_spent"]) == ("2026-11-01", "10.00", "10.00")
    (paid,) = client.get("/v1/payments").ok()["payments"]
    assert (paid["purpose"]["kind"], paid["status"]) == ("auto-refill", "confirmed")
    assert any(b'"payment.confirmed"' in line for line in till.topic("notices"))


def test_setting_auto_refill_again_with_an_old_key_changes_nothing(client: Client) -> None:
    client.get("/v1/wallets/acme/auto-refill").problem(404, "not-found")
    save(client)
    put(client, enabled=False).ok()
    assert put(client, "a-2", threshold="7", enabled=False).ok()["threshold"] == "7.00"
    old = put(client, enabled=False).ok()
    assert (old["threshold"], old["repeated"], old["status"]) == ("7.00", True, "disabled")


def test_an_account_is_not_closed_while_its_wallet_is_refilled_by_itself(client: Client) -> None:
    """It would be charged later, when a back-off or a cap is over."""
    account = {"account": "acme", "kind": "organisation", "owner": "alice", "currency": "EUR", "country": "DE"}
    client.post("/v1/accounts", account, "make").ok(201)
    put(client, method="invoice").ok()
    wait_for(lambda: client.get("/v1/wallets/acme/auto-refill").ok()["status"] == "in_flight")
    said = client.call("DELETE", "/v1/accounts/acme", None, Idempotency_Key="c-1").problem(409, "conflict", "account")
    assert said == "wallet acme of acme is refilled by itself; disable its auto-refill first"
    put(client, "a-2", method="invoice", enabled=False).ok()
    client.call("DELETE", "/v1/accounts/acme", None, Idempotency_Key="c-2").problem(409, "conflict", "account")
    asked = client.get("/v1/wallets/acme/auto-refill").ok()["payment"]
    client.post(f"/v1/payments/{asked}/cancel", None, "stop").ok()
    wait_for(lambda: client.get("/v1/wallets/acme/auto-refill").ok()["status"] == "disabled")
    assert client.call("DELETE", "/v1/accounts/acme", None, Idempotency_Key="c-3").ok()["closed"]


@pytest.mark.parametrize(
    ("form", "status", "kind", "field"),
    [
        ({"day_max": "9.99"}, 422, "invalid", "day_max"),
        ({"month_max": "9.99"}, 422, "invalid", "month_max"),
        ({"zone": "Mars/Olympus"}, 422, "invalid", "zone"),
        ({"zone": "/etc/passwd"}, 422, "invalid", "zone"),
        ({"offer": "none"}, 404, "not-found", "offer"),
        ({"payment_method": "none"}, 409, "conflict", "payment_method"),
        ({"threshold": "-1"}, 422, "invalid", "threshold"),
        ({"declines_max": 0}, 422, "invalid", "declines_max"),
    ],
)
def test_auto_refill_that_makes_no_sense_names_the_field(
    client: Client, form: dict[str, Any], status: int, kind: str, field: str
) -> None:
    save(client)
    put(client, **form).problem(status, kind, field)


def unanswered(client: Client) -> None:
    with pytest.raises((OSError, HTTPException)):
        refill(client)


def test_a_payment_goes_on_in_the_next_process_after_a_crash(tmp_path: Path, stripe: StripeServer, tenant: str) -> None:
    """Killed while it waits for Stripe, started again on its data an hour later: nobody repeats the request."""
    served = Served(tmp_path)
    account = PaymentSettings("sk_test_1", SECRET, stripe.url)
    engine = msgspec.structs.replace(served.settings.intake, clock=None)
    served.settings = msgspec.structs.replace(served.settings, payments=account, intake=engine)
    with EmbeddedParts(served.data):
        served.start()
        client = served.key(tenant)
        client.wallet("acme", "0")
        save(client)
        stripe.delay_s, made = 2.0, len(stripe.calls)
        try:
            call = threading.Thread(target=unanswered, args=(client,))
            call.start()
            wait_for(lambda: len(stripe.calls) > made)
            served.kill()
            call.join()
            time.sleep(2.5)
        finally:
            stripe.delay_s = 0.0
        (served.data / "clock").write_text(str(3_600_000))
        served.start()
        try:
            wait_for(lambda: client.balance("acme") == "120.00")
            assert client.get("/v1/payments").ok()["payments"][0]["status"] == "confirmed"
        finally:
            served.stop()
