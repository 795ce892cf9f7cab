"""Numbers of a SIM over HTTP; the whole of it is played in tests/stories/test_e_minutes_and_numbers.py."""

from __future__ import annotations

from streams.http import claims
from tests.streams.http.served import Client, Served

NUMBERS = ("+12125550101", "+12125550102")


def test_a_repeat_whose_choice_was_given_back_is_answered_with_the_number_it_has(
    shop: Served, tenant: str, buyer: Client
) -> None:
    """Of two requests of one key that both had to choose anew, one gives back what the other has chosen and ordered."""
    buyer.post("/v1/wallets", {"wallet": "acme", "currency": "USD", "balance": "100.00"}, "open").ok(201)
    buyer.post("/v1/sims", {"sim": "line", "wallet": "acme", "plan": "minutes-pro"}, "add").ok(201)
    for number in NUMBERS:
        form = {"number": number, "country": "US", "capabilities": ["voice"], "addon": "phone-number"}
        buyer.post("/v1/numbers", form, f"add-{number}").ok(201)
    had = buyer.post("/v1/subscriptions/line/numbers", {"country": "US"}, "n").ok(201)
    balance = buyer.balance("acme")
    shop.with_redis(lambda redis: claims.Claims(redis).release(tenant, "n"))
    again = buyer.post("/v1/subscriptions/line/numbers", {"country": "US"}, "n").ok(201)
    assert again == had | {"repeated": True}
    assert buyer.balance("acme") == balance
