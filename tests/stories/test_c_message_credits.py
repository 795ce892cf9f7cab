"""C: message credits. Free, Email, Omnichannel and Custom; volumes on a scale; orders with VAT; credits by country."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from rater.settings import PaymentSettings
from tests.stories.conftest import Theatre
from tests.streams.http.served import Answer
from tests.streams.payments.stripe_server import SECRET, StripeServer, stripe_beside


class Sender:
    """A customer in Germany who sends messages from "acme"."""

    def __init__(self, theatre: Theatre, stripe: StripeServer) -> None:
        self.theatre = theatre
        self.operator = theatre.operator
        self.stripe = stripe

    def form(self, plan: str, volume: int | None = None, **fields: Any) -> dict[str, Any]:
        item = {"plan": plan} if volume is None else {"plan": plan, "volume": volume}
        return {"sim": "acme", "item": item, "billing_country": "DE"} | fields

    def preview(self, plan: str, volume: int | None = None, **fields: Any) -> Any:
        return self.operator.post("/v1/orders/preview", self.form(plan, volume, **fields)).ok()

    def order(self, key: str, plan: str, volume: int | None = None, **fields: Any) -> Answer:
        return self.operator.post("/v1/orders", self.form(plan, volume, **fields), key)

    def send(self, at: str, kind: str, count: int = 1, to: str = "DE") -> str:
        """Send messages; answers why they were refused, if they were."""
        usage = {"service": "message", "kind": kind, "country": "DE", "destination_country": to}
        verdict = self.theatre.use("acme", at, message_count=count, **usage)
        assert verdict["charged"] == "0.00", "credits pay, or nothing does"
        return str(verdict.get("reason", ""))

    @property
    def credits(self) -> tuple[str, str]:
        """The plan, and the credits left."""
        found = self.theatre.subscription("acme")
        (unit,) = found["remaining"]
        return found["plan"], unit["left"]

    @property
    def balance(self) -> str:
        return self.theatre.balance("acme")

    def ends(self, order: str) -> dict[str, Any]:
        """An order once it is no longer pending."""
        for _ in range(200):
            found: dict[str, Any] = self.operator.get(f"/v1/orders/{order}").ok()
            if found["status"] != "pending":
                return found
            time.sleep(0.05)
        raise AssertionError(found)


def figures(found: dict[str, Any]) -> tuple[str, str, str]:
    return found["net"], found["vat"], found["total"]


@pytest.mark.slow
def test_a_sender_goes_from_the_free_plan_up_and_down(theatre: Theatre) -> None:
    """100 credits are free. 50,000 a month by email cost 49.00, 58.31 with German VAT, and so on in the steps below."""
    with stripe_beside() as stripe:
        theatre.served.settings = msgspec.structs.replace(
            theatre.served.settings, payments=PaymentSettings("sk_test_1", SECRET, stripe.url)
        )
        theatre.begin("2026-11-03T09:00:00+01:00")
        sender = Sender(theatre, stripe)
        _is_free(sender)
        _upgrades_from_the_balance(sender)
        _calculates(sender)
        _upgrades_by_card(sender)
        _sends_by_country(sender)
        _goes_down_at_the_next_period(sender)
        _pays_later(sender)
        _asks_for_a_quote(sender)


def _is_free(sender: Sender) -> None:
    """The free plan has fixed limits, with money in the wallet or not, and offers one thing: to leave it upwards."""
    sender.theatre.open("acme", "0.00")
    sender.theatre.add("acme", "acme", "credits-free")
    assert sender.credits == ("credits-free", "100")
    sender.theatre.clock("2026-11-03T09:30:00+01:00")
    assert sender.send("2026-11-03T08:30:00Z", "email", 98) == ""
    assert sender.send("2026-11-03T08:30:00Z", "email", 3) == "allowance_used_up"
    assert sender.credits == ("credits-free", "2"), "what is refused takes nothing"
    assert sender.theatre.subscription("acme")["actions"] == ["upgrade"]

    detail = sender.order("o-1", "credits-email", 1).problem(409, "conflict", "/item")
    assert "the balance must be positive before a change to plan credits-email" in detail
    detail = sender.order("o-1", "credits-email", 1, payment="card", payer_present=True).problem(
        409, "conflict", "/item"
    )
    assert detail.startswith("the balance must be positive")
    assert sender.operator.get("/v1/orders?sim=acme").ok()["orders"] == []


def _upgrades_from_the_balance(sender: Sender) -> None:
    """Net, VAT of the billing country, total; refused when short, with by how much; the balance before and after."""
    operator = sender.operator
    operator.post("/v1/wallets/acme/top-ups", {"amount": "58.30"}, "t-1").ok(201)
    preview = sender.preview("credits-email", 1)
    assert figures(preview) == ("49.00", "9.31", "58.31")
    assert (preview["balance"], preview["short"], preview["refused"]) == ("58.30", "0.01", True)
    assert figures(sender.preview("credits-email", 1, billing_country="US")) == ("49.00", "0.00", "49.00")
    detail = sender.order("o-2", "credits-email", 1).problem(409, "conflict", "payment")
    assert "acme has 58.30 available and is short by 0.01" in detail
    assert sender.credits == ("credits-free", "2")

    operator.post("/v1/wallets/acme/top-ups", {"amount": "41.70"}, "t-2").ok(201)
    preview = sender.preview("credits-email", 1)
    assert (preview["balance"], preview["balance_after"], preview["refusals"]) == ("100.00", "41.69", [])
    sender.order("o-3", "credits-email", 1, expected="58.30").problem(409, "conflict", "expected")
    for is_repeated in (False, True):
        order = sender.order("o-3b", "credits-email", 1, expected=preview["total"]).ok(201)
        assert (order["status"], order["charged"], order["repeated"]) == ("done", "58.31", is_repeated)
        assert (order["balance_before"], order["balance_after"]) == ("100.00", "41.69")
    assert (sender.credits, sender.balance) == (("credits-email", "50000"), "41.69")
    assert sender.theatre.subscription("acme")["actions"] == ["cancel", "change-volume", "downgrade", "upgrade"]


def _calculates(sender: Sender) -> None:
    """How many messages of a type to a country the credits buy."""
    asked = {"plan": "credits-omnichannel", "credits": "1000", "kind": "sms", "to": "IN"}
    (line,) = sender.operator.post("/v1/calculator", asked).ok()["lines"]
    assert (line["credits"], line["buys"]) == ("2.5", "400")
    asked = {"plan": "credits-omnichannel", "volume": 1, "kind": "whatsapp-utility", "to": "DE"}
    (line,) = sender.operator.post("/v1/calculator", asked).ok()["lines"]
    assert (line["credits"], line["buys"], line["left"]) == ("100/3", "3000", "0")


def _upgrades_by_card(sender: Sender) -> None:
    """An upgrade is at once, at its whole price and with new credits. A card that is declined changes nothing."""
    operator = sender.operator
    sender.theatre.clock("2026-11-03T09:40:00+01:00")
    detail = sender.order("o-4", "credits-omnichannel", 1, payment="card").problem(409, "conflict", "payment_method")
    assert "no saved payment method" in detail
    saved = {"customer": "cus_1", "payment_method": "pm_declined", "label": "Visa 0002"}
    methods = "/v1/wallets/acme/payment-methods"
    operator.call("PUT", f"{methods}/old", saved, Idempotency_Key="m-1").ok()
    order = sender.order("o-5", "credits-omnichannel", 1, payment="card").ok(201)
    assert (order["status"], order["reason"]) == ("failed", "payment_declined")
    assert (sender.credits, sender.balance) == (("credits-email", "50000"), "41.69")

    operator.call("PUT", f"{methods}/new", saved | {"payment_method": "pm_ok"}, Idempotency_Key="m-2").ok()
    form = {"payment": "card", "payment_method": "new"}
    preview = sender.preview("credits-omnichannel", 1, **form)
    assert (*figures(preview), preview["refused"]) == ("179.00", "34.01", "213.01", False)
    order = sender.order("o-6", "credits-omnichannel", 1, **form, expected="213.01").ok(201)
    assert (order["status"], order["charged"]) == ("done", "213.01")
    assert (order["balance_before"], order["balance_after"]) == ("254.70", "41.69"), "the card paid the wallet first"
    assert [intent["amount"] for intent in sender.stripe.paid] == [21301]
    assert sender.credits == ("credits-omnichannel", "100000")


def _sends_by_country(sender: Sender) -> None:
    """An email is 1 credit; SMS and the kinds of WhatsApp go by country."""
    sender.theatre.clock("2026-11-03T09:50:00+01:00")
    for kind, count, to, left in (
        ("email", 100, "DE", "99900"),
        ("sms", 40, "IN", "99800"),
        ("sms", 2, "DE", "99710"),
        ("sms", 1, "US", "99650"),
        ("whatsapp-marketing", 1, "FR", "99560"),
        ("whatsapp-utility", 3, "DE", "99460"),
        ("whatsapp-utility", 1, "US", "99410"),
        ("whatsapp-authentication", 2, "IN", "99395"),
        ("whatsapp-authentication", 1, "DE", "99345"),
    ):
        assert sender.send("2026-11-03T08:50:00Z", kind, count, to) == ""
        assert sender.credits == ("credits-omnichannel", left), (kind, to)
    assert sender.send("2026-11-03T08:50:00Z", "sms", 3_000) == "allowance_used_up"


def _goes_down_at_the_next_period(sender: Sender) -> None:
    """A downgrade, and a smaller volume, wait for the next period. Credits do not roll over."""
    theatre, operator = sender.theatre, sender.operator
    preview = sender.preview("credits-omnichannel", 0)
    assert (preview["total"], preview["at"][:15]) == ("0.00", "2026-12-03T08:4")
    order = sender.order("o-7", "credits-omnichannel", 0).ok(201)
    assert (order["status"], order["charged"], order["at"][:10]) == ("done", "0.00", "2026-12-03")
    assert sender.credits == ("credits-omnichannel", "99345"), "until then all is as before"
    operator.post("/v1/wallets/acme/top-ups", {"amount": "58.31"}, "t-3").ok(201)
    theatre.clock("2026-12-03T10:00:00+01:00")
    assert sender.credits == ("credits-omnichannel", "20000"), "what was left is gone"
    assert sender.balance == "61.00", "39.00 for the smaller volume"

    order = sender.order("o-8", "credits-email", 1).ok(201)
    assert (order["total"], order["at"][:10]) == ("0.00", "2027-01-03")
    theatre.clock("2027-01-03T10:00:00+01:00")
    assert (sender.credits, sender.balance) == (("credits-email", "50000"), "12.00")


def _pays_later(sender: Sender) -> None:
    """By UPI and by invoice an order is pending until it is paid; and then is made by itself, once."""
    operator, theatre = sender.operator, sender.theatre
    order = sender.order("o-9", "credits-email", 2, payment="upi").ok(201)
    assert (order["status"], figures(order)) == ("pending", ("89.00", "16.91", "105.91"))
    assert order["client_secret"] == "pi_3_secret"
    assert sender.credits == ("credits-email", "50000")
    sender.stripe.decide("pi_3", "succeeded")
    headers, body = sender.stripe.told("pi_3")
    for _ in range(2):
        signature = {"Stripe_Signature": headers["stripe-signature"]}
        theatre.served.anybody.call("POST", "/v1/payments/stripe/webhook", body, **signature).ok()
    order = sender.ends("o-9")
    assert (order["status"], order["charged"], order["balance_before"]) == ("done", "105.91", "117.91")
    assert (sender.credits, sender.balance) == (("credits-email", "100000"), "12.00")

    order = sender.order("o-10", "credits-omnichannel", 1, payment="invoice").ok(201)
    assert order["status"] == "pending"
    operator.post(f"/v1/payments/{order['payment_id']}/confirm", None, "paid-10").ok()
    assert sender.ends("o-10")["status"] == "done"
    assert (sender.credits, sender.balance) == (("credits-omnichannel", "100000"), "12.00")
    listed = operator.get("/v1/orders?sim=acme").ok()["orders"]
    assert [one["order"] for one in listed if one["status"] == "failed"] == ["o-5"]


def _asks_for_a_quote(sender: Sender) -> None:
    """The custom plan has no price: it cannot be ordered, and is asked for."""
    detail = sender.order("o-11", "credits-custom").problem(409, "conflict", "/item")
    assert "plan credits-custom is offered by quote only; ask for one" in detail
    form = {"sim": "acme", "plan": "credits-custom", "note": "a million a month"}
    asked = sender.operator.post("/v1/quote-requests", form, "q-1").ok(201)
    assert (asked["status"], asked["total"], asked["note"]) == ("requested", "0.00", "a million a month")
    form["plan"] = "credits-email"
    detail = sender.operator.post("/v1/quote-requests", form, "q-2").problem(409, "conflict", "plan")
    assert detail == "plan credits-email does not offer request-quote"
    for _ in range(200):  # the publisher brings them a moment later
        notices = [msgspec.json.decode(line)["type"] for line in sender.theatre.served.topic("notices")]
        if "quote.requested" in notices:
            break
        time.sleep(0.05)
    assert (notices.count("order.done"), notices.count("order.failed"), notices.count("quote.requested")) == (6, 1, 1)
