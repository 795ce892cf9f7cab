"""Quotes: what the wallet would pay, explained, and no wallet is touched."""

from __future__ import annotations

from typing import Any

import pytest

from tests.streams.http.served import Client, Served, event


def usage(**fields: Any) -> dict[str, Any]:
    made = event("1", **fields)
    made.pop("source")
    return made


def test_a_quote_is_what_the_wallet_would_pay(api: Client) -> None:
    api.wallet("w", "10.00", "sim-1")
    call = usage(service="voice", message_count=None, duration_ms=132_000, called_number="+4930123456")
    (quote,) = api.post("/v1/quotes", {"usage": [call]}).ok()["quotes"]
    assert (quote["amount"], quote["currency"], quote["outcome"]) == ("1.37", "EUR", "priced")
    assert (quote["quantity"], quote["billable_quantity"], quote["unit"]) == (132_000, 132_000, "ms")
    assert quote["parts"][0]["explanation"][-1].endswith("1.37 EUR")
    assert api.balance("w") == "10.00"
    charged = api.post("/v1/usage", call | {"source": "feed"}).ok()
    assert charged["events"][0]["charged"] == "1.37"


def test_steps_go_on_from_event_to_event(api: Client) -> None:
    data = usage(sim=None, service="data", message_count=None, volume_bytes=50_000)
    answer = api.post("/v1/quotes", {"usage": [data, data, data], "plan": "payg"}).ok()
    assert [quote["amount"] for quote in answer["quotes"]] == ["0.10", "0.00", "0.10"]


def test_by_a_tariff_without_a_sim(api: Client) -> None:
    blocked, nowhere = (
        usage(sim=None, country="KP"),
        usage(sim=None, service="voice", message_count=None, duration_ms=1),
    )
    answer = api.post("/v1/quotes", {"usage": [usage(sim=None), blocked, nowhere], "tariff": "test-eur"}).ok()
    found = [(quote["outcome"], quote["amount"]) for quote in answer["quotes"]]
    assert found[:2] == [("priced", "0.10"), ("blocked", "0.10")]
    assert found[2][0] in ("priced", "no_rate")


@pytest.mark.parametrize(
    ("form", "status", "kind", "field"),
    [
        ({"usage": []}, 422, "invalid", "usage"),
        ({"usage": [usage(service="fax")], "plan": "payg"}, 422, "invalid", "/usage/0/service"),
        ({"usage": [usage(), usage(message_count=None)], "plan": "payg"}, 422, "invalid", "/usage/1/message_count"),
        ({"usage": [usage()], "plan": "nothing"}, 404, "not-found", "plan"),
        ({"usage": [usage()], "tariff": "nothing"}, 404, "not-found", "tariff"),
        ({"usage": [usage(sim="nobody")]}, 404, "not-found", "/usage/0"),
        ({"usage": [usage(sim=None)]}, 422, "invalid", "/usage/0/subscriber"),
        ({"usage": [usage()] * 101, "plan": "payg"}, 422, "invalid", "usage"),
    ],
    ids=["empty", "no service", "no quantity", "no plan", "no tariff", "no SIM", "nobody", "too many"],
)
def test_what_is_wrong_is_named(api: Client, form: dict[str, Any], status: int, kind: str, field: str) -> None:
    api.post("/v1/quotes", form).problem(status, kind, field)


def test_another_tenants_sim_is_unknown(served: Served, api: Client, tenant: str) -> None:
    served.key(f"{tenant}-b").wallet("w", "10.00", "theirs")
    api.post("/v1/quotes", {"usage": [usage(sim="theirs")]}).problem(404, "not-found", "/usage/0")


def test_the_catalogue_can_be_read(api: Client) -> None:
    assert api.get("/v1/tariffs").ok() == {"tariffs": ["test-eur"]}
    tariff = api.get("/v1/tariffs/test-eur").ok()
    assert (tariff["currency"], tariff["zones"], tariff["versions"][0]["blocked"]) == (
        "EUR",
        {"eu": ["DE", "FR"]},
        ["KP"],
    )
    api.get("/v1/tariffs/none").problem(404, "not-found")
