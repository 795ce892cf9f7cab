"""Invoices over HTTP: looked at within reach, said to be paid by the operator alone, and paid by card once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from rater.settings import PaymentSettings
from streams.embedded.parts import EmbeddedParts
from tests.streams.http.served import Client, Served, event
from tests.streams.payments.stripe_server import SECRET, StripeServer, stripe_beside


@pytest.fixture(scope="module")
def stripe() -> Iterator[StripeServer]:
    """A server that speaks Stripe, in a thread of its own."""
    with stripe_beside() as server:
        yield server


@pytest.fixture(scope="module")
def till(tmp_path_factory: pytest.TempPathFactory, stripe: StripeServer) -> Iterator[Served]:
    """A running server that sells the example plans, with an account at Stripe."""
    served = Served(tmp_path_factory.mktemp("invoices"), examples=True)
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
    """A client of a tenant."""
    return till.key(tenant)


def save_card(client: Client, wallet: str) -> None:
    """A card that pays without the payer."""
    card = {"customer": "cus_1", "payment_method": "pm_ok", "label": "Visa 4242"}
    client.call("PUT", f"/v1/wallets/{wallet}/payment-methods/visa", card, Idempotency_Key=f"save-{wallet}").ok()


def owed(client: Client, wallet: str, messages: int) -> dict[str, Any]:
    """The invoice of a SIM that used so many messages at 0.045 and was cancelled."""
    client.post("/v1/wallets", {"wallet": wallet, "currency": "EUR"}, f"open-{wallet}").ok(201)
    form = {"sim": f"{wallet}-sim", "wallet": wallet, "plan": "usage-invoiced", "from": "2026-10-20T00:00:00Z"}
    client.post("/v1/sims", form, f"add-{wallet}").ok(201)
    usage = event(wallet, f"{wallet}-sim", kind="sms", message_count=messages)
    client.post("/v1/usage", [usage]).ok()
    client.post(f"/v1/subscriptions/{wallet}-sim/cancel", None, f"end-{wallet}").ok()
    for _ in range(200):
        found = client.get(f"/v1/invoices?wallet={wallet}").ok()["invoices"]
        if found and found[0]["itemised"]:
            return found[0]  # type: ignore[no-any-return]
        time.sleep(0.05)
    raise AssertionError("there is no invoice")


def test_an_invoice_is_listed_shown_and_paid_once(client: Client) -> None:
    invoice = owed(client, "acme", 100)
    assert (invoice["total"], invoice["status"], invoice["currency"]) == ("4.50", "open", "EUR")
    assert [(line["sort"], line["service"], line["quantity"]) for line in invoice["lines"]] == [
        ("usage", "message", 100)
    ]
    path = f"/v1/invoices/{invoice['invoice']}"
    assert client.get(path).ok() == invoice
    assert client.get("/v1/invoices").ok() == {"invoices": [invoice], "next": ""}
    for key in ("p-1", "p-1", "p-2"):
        paid = client.post(f"{path}/pay", None, key).ok()
        assert (paid["status"], client.balance("acme")) == ("paid", "0.00")
    client.post(f"{path}/cancel", None, "c-1").problem(409, "conflict", "invoice")
    client.post(f"{path}/payments", {"payer_present": True}, "r-1").problem(409, "conflict", "invoice")


def test_lists_come_in_pages(client: Client) -> None:
    made = [owed(client, name, 10)["invoice"] for name in ("a", "b", "c")]
    first = client.get("/v1/invoices?limit=2").ok()
    rest = client.get(f"/v1/invoices?limit=2&cursor={first['next']}").ok()
    assert sorted(one["invoice"] for page in (first, rest) for one in page["invoices"]) == made
    assert rest["next"] == ""


def test_a_cancelled_invoice_is_neither_paid_nor_open(client: Client) -> None:
    path = f"/v1/invoices/{owed(client, 'acme', 100)['invoice']}"
    for _ in range(2):
        assert client.post(f"{path}/cancel", None, "c-1").ok()["status"] == "cancelled"
    client.post(f"{path}/pay", None, "p-1").problem(409, "conflict", "invoice")
    assert client.balance("acme") == "-4.50", "what it was over stays owed"


def test_who_owes_it_looks_at_it_but_does_not_say_that_it_was_paid(till: Served, client: Client, tenant: str) -> None:
    invoice = owed(client, "acme", 100)["invoice"]
    own = till.key(tenant, "manage", account="acme")
    assert own.get("/v1/invoices?wallet=acme").ok()["invoices"][0]["invoice"] == invoice
    assert own.get("/v1/invoices").ok() == own.get("/v1/invoices?wallet=acme").ok()
    own.post(f"/v1/invoices/{invoice}/pay", None, "p-1").problem(403, "not-allowed")
    details = own.call("PUT", "/v1/accounts/acme/payment-details", {"present": True}, Idempotency_Key="d")
    details.problem(403, "not-allowed", "account")
    for stranger in (till.key(tenant, "admin", account="other"), till.key(f"{tenant}-b", "admin")):
        stranger.get(f"/v1/invoices/{invoice}").problem(404, "not-found")
        assert stranger.get("/v1/invoices").ok() == {"invoices": [], "next": ""}
        stranger.get("/v1/invoices?wallet=acme").problem(404, "not-found", "wallet")
        stranger.post(f"/v1/invoices/{invoice}/pay", None, "p-1").problem(404, "not-found")
        stranger.post(f"/v1/invoices/{invoice}/payments", {}, "p-1").problem(404, "not-found")
    assert client.balance("acme") == "-4.50"


def test_an_invoice_is_paid_by_card_once(client: Client, stripe: StripeServer) -> None:
    invoice = owed(client, "acme", 100)["invoice"]
    client.post(f"/v1/invoices/{invoice}/payments", {}, "none").problem(409, "conflict", "payment_method")
    save_card(client, "acme")
    before = len(stripe.paid)
    for _ in range(2):
        paid = client.post(f"/v1/invoices/{invoice}/payments", {}, "r-1").ok(201)
        assert (paid["status"], paid["amount"], paid["balance"]) == ("confirmed", "4.50", "0.00")
        assert paid["purpose"] == {"kind": "invoice", "name": invoice, "plan": ""}
    for _ in range(200):
        if client.get(f"/v1/invoices/{invoice}").ok()["status"] == "paid":
            break
        time.sleep(0.05)
    assert (client.balance("acme"), len(stripe.paid)) == ("0.00", before + 1)


def test_one_payment_of_an_invoice_is_under_way_at_a_time(client: Client, stripe: StripeServer) -> None:
    invoice = owed(client, "acme", 100)["invoice"]
    present = {"payer_present": True}
    first = client.post(f"/v1/invoices/{invoice}/payments", present, "r-1").ok(201)
    assert (first["status"], bool(first["client_secret"])) == ("pending", True)
    said = client.post(f"/v1/invoices/{invoice}/payments", present, "r-2").problem(409, "conflict", "invoice")
    assert said == f"payment {first['payment']} of it is under way"
    client.post(f"/v1/payments/{first['payment']}/cancel", None, "stop").ok()
    client.post(f"/v1/invoices/{invoice}/payments", present, "r-3").ok(201)


def test_an_invoice_that_a_payment_has_paid_is_not_charged_again_before_it_is_marked(
    client: Client, stripe: StripeServer
) -> None:
    """The mark comes a moment after the money: a second request between them finds the payment of the first."""
    for number in range(3):
        wallet = f"acme-{number}"
        invoice = owed(client, wallet, 100)["invoice"]
        save_card(client, wallet)
        before = len(stripe.paid)
        client.post(f"/v1/invoices/{invoice}/payments", {}, f"{wallet}-1").ok(201)
        client.post(f"/v1/invoices/{invoice}/payments", {}, f"{wallet}-2").problem(409, "conflict", "invoice")
        assert len(stripe.paid) == before + 1


def test_requests_at_once_to_pay_an_invoice_charge_it_once(client: Client, stripe: StripeServer) -> None:
    for number in range(3):
        wallet = f"acme-{number}"
        invoice = owed(client, wallet, 100)["invoice"]
        save_card(client, wallet)
        before = len(stripe.paid)

        def pay(
            key: int, path: str = f"/v1/invoices/{invoice}/payments", wallet: str = wallet
        ) -> int:  # each has a connection of its own
            return client.post(path, {}, f"{wallet}-{key}").status

        with ThreadPoolExecutor(8) as threads:
            statuses = list(threads.map(pay, range(8)))
        assert set(statuses) <= {201, 409}
        assert len(stripe.paid) <= before + 1
        for _ in range(200):
            if client.get(f"/v1/invoices/{invoice}").ok()["status"] == "paid":
                break
            again = client.post(f"/v1/invoices/{invoice}/payments", {}, f"{wallet}-again")
            assert again.status in (201, 409)
            time.sleep(0.05)
        assert (client.balance(wallet), len(stripe.paid)) == ("0.00", before + 1)
