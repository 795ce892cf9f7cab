"""A: pay as you go of a SIM platform, from the first byte to refills by everybody's means."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from rater.settings import PaymentSettings, WebhookSettings
from tests.stories.conftest import Theatre
from tests.streams.payments.stripe_server import SECRET, stripe_beside
from tests.streams.webhooks.receiver import Receiver, receiving_beside

MB = 1_000_000


def wait_for(what: Callable[[], bool]) -> None:
    for _ in range(200):
        if what():
            return
        time.sleep(0.05)
    raise AssertionError("it does not come")


class Platform:
    """A SIM of the company north, whose organisation is acme, and what its webhook hears."""

    def __init__(self, theatre: Theatre, receiver: Receiver) -> None:
        self.theatre = theatre
        self.operator = theatre.operator
        self.receiver = receiver
        self.secret = ""

    def found(self) -> None:
        """Two accounts with a wallet each, a SIM, and an endpoint that hears of the company."""
        place = {"owner": "alice", "currency": "EUR", "country": "DE", "zone": "Europe/Berlin"}
        post = self.operator.post
        post("/v1/accounts", place | {"account": "acme", "kind": "organisation"}, "a-1").ok(201)
        post("/v1/accounts", place | {"account": "north", "kind": "company", "parent": "acme"}, "a-2").ok(201)
        self.theatre.open("acme", "500.00")
        self.theatre.open("north", "3.00")
        self.theatre.add("tracker", "north", "sim-payg")
        made = post("/v1/webhooks", {"url": self.receiver.url, "account": "north"}, "hook").ok(201)
        self.secret = made["secret"]

    def data(self, at: str, megabytes: int, country: str = "DE") -> tuple[str, str]:
        """Send usage; answers what became of it."""
        verdict = self.theatre.use("tracker", at, service="data", country=country, volume_bytes=megabytes * MB)
        return verdict["fate"], verdict.get("reason") or verdict["charged"]

    def heard(self) -> list[str]:
        """Types of the messages since the last look; each signature is good."""
        got, self.receiver.got = self.receiver.got, []
        return [one.verified(self.secret)["type"] for one in got]

    def hears(self, *types: str) -> None:
        wait_for(lambda: set(types) <= {msgspec.json.decode(one.body)["type"] for one in self.receiver.got})
        self.heard()

    @property
    def status(self) -> tuple[str, list[str]]:
        sim = self.operator.get("/v1/sims/tracker").ok()
        return sim["status"], sim["holds"]

    def balance(self, wallet: str = "north") -> str:
        return self.theatre.balance(wallet)

    def refill(self, offer: str, method: str, key: str, **fields: Any) -> Any:
        form = {"offer": offer, "method": method} | fields
        return self.operator.post("/v1/wallets/north/refills", form, key).ok(201)


@pytest.mark.slow
def test_a_sim_is_sold_used_up_refilled_and_goes_on(theatre: Theatre) -> None:
    """Data per MB by country; the fee begins with the first usage; service stops at zero; refills by all means."""
    with receiving_beside() as receiver, stripe_beside() as stripe:
        theatre.served.settings = msgspec.structs.replace(
            theatre.served.settings,
            webhooks=WebhookSettings(allow_private=True),
            payments=PaymentSettings("sk_test_1", SECRET, stripe.url),
        )
        theatre.begin("2026-11-10T09:00:00+00:00")
        north = Platform(theatre, receiver)
        north.found()
        _used_from_the_first_byte_to_zero(north)
        _refilled_by_hand_from_the_wallet_above(north)
        _goes_on_while_there_is_a_balance(north)
        _refills_by_itself_as_often_as_it_may(north)
        _refilled_by_invoice_and_by_card(north)
        _expires_without_a_balance_and_begins_anew_with_a_refill(north)


def _used_from_the_first_byte_to_zero(north: Platform) -> None:
    assert north.balance() == "3.00", "no activation fee, and the monthly fee begins with the first usage"
    north.theatre.clock("2026-11-12T10:00:00+00:00")
    assert north.data("2026-11-12T10:00:00Z", 100) == ("rated", "0.70"), "the first 100 MB at 0.0070"
    assert north.balance() == "1.30", "the fee of 1.00 went first"
    assert north.data("2026-11-12T10:01:00Z", 1, "KP") == ("refused", "region_blocked")
    assert north.data("2026-11-12T10:02:00Z", 250) == ("rated", "1.00"), "then at 0.0040"
    assert north.data("2026-11-12T10:03:00Z", 100) == ("rated", "0.30"), "the last event takes what is left of 0.40"
    assert (north.balance(), north.status) == ("0.00", ("held", ["parent"]))
    assert north.data("2026-11-12T10:04:00Z", 1) == ("refused", "suspended")
    north.hears("sim.first_usage", "wallet.zero", "sim.suspended")


def _refilled_by_hand_from_the_wallet_above(north: Platform) -> None:
    for is_repeated in (False, True):
        paid = north.refill("medium", "parent", "by-hand")
        assert (paid["status"], paid["amount"], paid["balance"]) == ("confirmed", "25.00", "27.50")
        assert paid["repeated"] is is_repeated
    assert (north.balance(), north.balance("acme")) == ("27.50", "475.00")
    assert north.status == ("active", [])
    north.hears("payment.confirmed", "wallet.refilled", "wallet.resumed", "sim.resumed")
    assert north.data("2026-11-12T10:05:00Z", 10) == ("rated", "0.04")


def _goes_on_while_there_is_a_balance(north: Platform) -> None:
    before = north.theatre.subscription("tracker")
    assert before["valid_until"] == "2026-12-12T10:00:00Z"
    north.theatre.clock("2026-12-12T12:00:00+00:00")
    after = north.theatre.subscription("tracker")
    assert (after["status"], after["valid_until"]) == ("active", "2027-01-12T10:00:00Z")
    assert north.balance() == "26.46", "27.46 less the fee of the second month"


def _refills_by_itself_as_often_as_it_may(north: Platform) -> None:
    terms = {"offer": "small", "method": "parent", "threshold": "5.00", "day_max": "10.00", "cool_down_s": 0}
    path = "/v1/wallets/north/auto-refill"
    north.operator.call("PUT", path, terms, Idempotency_Key="auto").ok()
    assert north.data("2026-12-12T12:00:00Z", 1_000) == ("rated", "4.30")
    assert north.data("2026-12-12T12:01:00Z", 6_900) == ("rated", "17.25"), "past 1 GB at 0.0025"
    wait_for(lambda: north.balance() == "14.91")
    assert north.balance("acme") == "465.00"
    assert north.data("2026-12-12T12:02:00Z", 4_100) == ("rated", "10.25")
    time.sleep(2.5)
    assert (north.balance(), north.balance("acme")) == ("4.66", "465.00"), "10.00 a day is all it may"
    north.theatre.clock("2026-12-13T00:30:00+01:00")
    wait_for(lambda: north.balance() == "14.66")
    assert north.balance("acme") == "455.00"
    north.operator.call("PUT", path, terms | {"enabled": False}, Idempotency_Key="auto-off").ok()


def _refilled_by_invoice_and_by_card(north: Platform) -> None:
    assert north.data("2026-12-12T23:40:00Z", 6_000) == ("rated", "14.66")
    sent = north.refill("large", "invoice", "by-invoice")
    assert (sent["status"], north.balance(), north.status[0]) == ("pending", "0.00", "held")
    north.operator.call("POST", f"/v1/payments/{sent['payment']}/confirm", Idempotency_Key="paid").ok()
    assert (north.balance(), north.status) == ("120.00", ("active", []))
    card = {"customer": "cus_1", "payment_method": "pm_ok", "label": "Visa 4242"}
    north.operator.call("PUT", "/v1/wallets/north/payment-methods/visa", card, Idempotency_Key="visa").ok()
    assert north.refill("small", "card", "by-card")["status"] == "confirmed"
    assert north.balance() == "130.00"


def _expires_without_a_balance_and_begins_anew_with_a_refill(north: Platform) -> None:
    assert north.data("2026-12-12T23:45:00Z", 60_000) == ("rated", "130.00")
    north.theatre.clock("2027-01-20T10:00:00+00:00")
    sim = north.theatre.subscription("tracker")
    assert (sim["status"], sim["valid_until"]) == ("expired", None)
    assert "expired" in north.status[1]
    north.hears("sim.expired")
    assert north.refill("small", "parent", "after-all")["status"] == "confirmed"
    wait_for(lambda: north.status == ("active", []))
    sim = north.theatre.subscription("tracker")
    assert (sim["status"], sim["valid_until"][:10]) == ("active", "2027-02-20")
    assert north.balance() == "9.00", "10.00 less the fee of the month that has begun"
