"""E: minutes plans, add-on bundles by tier, and phone numbers with a recurring fee."""

from __future__ import annotations

import time
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.stories.conftest import Theatre, instant

CALL = {"service": "voice", "called_number": "+12125550199", "country": "US"}
MIN = 60_000
PLAIN, ABLE, OTHER = "+12125550100", "+12125550101", "+12125550102"


def day(text: str) -> str:
    """The day of an instant where the plan is sold; the clock of the story goes on between its steps."""
    return instant(text).astimezone(ZoneInfo("America/New_York")).date().isoformat()


class Stage:
    """What the story asks and tells of numbers."""

    def __init__(self, theatre: Theatre) -> None:
        self.theatre = theatre
        self.operator = theatre.operator

    def add(self, number: str, *capabilities: str) -> None:
        form = {"number": number, "country": "US", "capabilities": capabilities, "addon": "phone-number"}
        assert self.operator.post("/v1/numbers", form, f"add-{number}").ok(201)["state"] == "available"

    def order(self, sim: str, key: str, **form: Any) -> Any:
        return self.operator.post(f"/v1/subscriptions/{sim}/numbers", form, key)

    def number(self, sim: str, place: int = 0) -> dict[str, Any]:
        return self.operator.get(f"/v1/subscriptions/{sim}/numbers").ok()["numbers"][place]  # type: ignore[no-any-return]

    def refill(self, wallet: str, amount: str, key: str, until: str) -> None:
        """Money comes in, and a moment later what waited for it is paid."""
        self.operator.post(f"/v1/wallets/{wallet}/top-ups", {"amount": amount}, key).ok(201)
        for _ in range(200):
            if self.theatre.balance(wallet) == until:
                return
            time.sleep(0.05)
        raise AssertionError(f"{wallet} has {self.theatre.balance(wallet)}")

    def settles(self, number: str, state: str) -> dict[str, Any]:
        """The inventory follows the subscriptions a moment later."""
        for _ in range(200):
            found = self.operator.get(f"/v1/numbers/{number}").ok()
            if found["state"] == state:
                return found  # type: ignore[no-any-return]
            time.sleep(0.05)
        raise AssertionError(f"{number} is not {state}")

    def told(self, kind: str) -> list[dict[str, Any]]:
        """What the notices say of numbers."""
        return [one["data"] for one in self.theatre.notices(kind) if "number" in one["data"]]


@pytest.mark.slow
def test_a_minutes_plan_with_a_bundle_and_a_number_that_is_held_and_released(theatre: Theatre) -> None:
    """Of 990 minutes 258 are used: 26.06 %. A bundle of 300 is used after them. A number that can do SMS is ordered.

    A month later the plan is paid and the number is not: it is on hold, and paid after a refill. With auto-pay off it
    is on hold again, though there is money, is released after 14 days, and rests for 30 before another can have it.
    """
    theatre.begin("2026-11-10T12:00:00-05:00")
    operator, stage = theatre.operator, Stage(theatre)
    theatre.open("acme", "50.00", "USD")
    theatre.add("line", "acme", "minutes-pro")
    assert theatre.balance("acme") == "16.00", "29.00 for the month and 5.00 for the activation"

    theatre.clock("2026-11-12T12:00:00-05:00")
    theatre.use("line", "2026-11-12T10:00:00Z", **CALL, duration_ms=258 * MIN)
    seen = theatre.subscription("line")
    assert (seen["plan"], seen["status"]) == ("minutes-pro", "active")
    assert seen["remaining"] == [{"unit": "min", "total": "990", "left": "732", "used_percent": "26.06"}]
    assert seen["next_billing"]["amount"] == "29.00"
    assert day(seen["next_billing"]["at"]) == "2026-12-10"
    assert day(seen["valid_until"]) == "2027-11-10"
    assert seen["capacity"] == {
        "channels": None, "connections": None, "concurrent_calls": 10, "numbers": 3, "queue_priority": 1,
    }  # fmt: skip

    order = {"wallet": "acme", "billing_country": "US", "items": [{"plan": "minutes-pro", "addon": "bundle-300"}]}
    assert operator.post("/v1/orders/preview", order).ok()["total"] == "12.00"
    seen = operator.post("/v1/subscriptions/line/add-ons", {"addon": "bundle-300"}, "bundle").ok(201)
    assert (seen["charged"], theatre.balance("acme")) == ("12.00", "4.00")
    assert seen["remaining"] == [{"unit": "min", "total": "1290", "left": "1032", "used_percent": "20.00"}]
    theatre.use("line", "2026-11-12T16:00:00Z", **CALL, duration_ms=740 * MIN)
    own, bundle = theatre.subscription("line")["allowances"]
    assert (own["allowance"], own["left"], bundle["allowance"], bundle["left"]) == ("minutes", "0", "bundle-300", "292")
    assert day(bundle["until_time"]) == "2027-02-12", "three months"

    stage.add(PLAIN, "voice")
    stage.add(ABLE, "voice", "sms")
    stage.add(OTHER, "voice", "sms", "mms")
    found = operator.get("/v1/numbers?country=US&capabilities=sms,voice&limit=1").ok()
    assert [one["number"] for one in found["numbers"]] == [ABLE]
    found = operator.get(f"/v1/numbers?country=US&capabilities=sms,voice&limit=1&cursor={found['next']}").ok()
    assert ([one["number"] for one in found["numbers"]], found["next"]) == ([OTHER], "")

    order["items"] = [{"plan": "minutes-pro", "addon": "phone-number"}]
    preview = operator.post("/v1/orders/preview", order).ok()
    assert [(line["name"], line["net"]) for line in preview["lines"]] == [
        ("phone-number", "2.00"), ("phone-number up front", "1.00"),
    ]  # fmt: skip
    assert (preview["total"], preview["balance"], preview["balance_after"]) == ("3.00", "4.00", "1.00")
    wrong = stage.order("line", "wrong", number=PLAIN, capabilities=["sms", "voice"])
    assert wrong.problem(409, "conflict", "capabilities") == f"{PLAIN} has voice, not sms"
    for is_repeated in (False, True):
        had = stage.order("line", "number", number=ABLE, capabilities=["sms", "voice"]).ok(201)
        assert (had["number"], had["state"], had["charged"], had["repeated"]) == (ABLE, "active", "3.00", is_repeated)
    assert had["next"]["amount"] == "2.00"
    assert theatre.balance("acme") == "1.00"

    theatre.open("other", "30.00", "USD")
    theatre.add("phone", "other", "minutes-basic")
    assert stage.order("phone", "taken", number=ABLE).problem(409, "conflict", "number") == f"{ABLE} is taken"
    first = stage.order("phone", "any", country="US", capabilities=["mms"], auto_pay=False).ok(201)
    assert (first["number"], first["auto_pay"]) == (OTHER, False)
    second = stage.order("phone", "second", country="US").problem(409, "conflict", "number")
    assert second == f"plan minutes-basic allows 1 number, it has {OTHER}; release one first"
    assert operator.get("/v1/numbers?country=US").ok()["numbers"][0]["number"] == PLAIN, "it is there still"

    stage.refill("acme", "29.00", "refill-1", "30.00")
    theatre.clock("2026-12-10T13:00:00-05:00")
    assert theatre.balance("acme") == "1.00"
    assert theatre.subscription("line")["remaining"][0]["left"] == "1282", "990 and the bundle's 292"
    assert day(theatre.subscription("line")["next_billing"]["at"]) == "2027-01-10"
    assert day(stage.number("line")["next"]["at"]) == "2026-12-12", "a month after its order"

    theatre.clock("2026-12-12T13:00:00-05:00")
    held = stage.number("line")
    assert (held["state"], held["next"]) == ("on-hold", None)
    assert day(held["release_at"]) == "2026-12-26"
    said = {one["number"]: one["reason"] for one in stage.told("addon.on_hold")}
    assert said == {ABLE: "unpaid", OTHER: "auto_pay_off"}

    stage.refill("acme", "1.50", "refill-2", "0.50")
    assert stage.number("line")["state"] == "active"

    path = f"/v1/subscriptions/line/add-ons/{had['order']}/auto-pay"
    operator.call("PUT", path, {"auto_pay": False}, Idempotency_Key="by-hand").ok()
    stage.refill("acme", "40.00", "refill-3", "40.50")
    theatre.clock("2027-01-12T13:00:00-05:00")
    assert (stage.number("line")["state"], theatre.balance("acme")) == ("on-hold", "11.50")
    assert stage.told("addon.on_hold")[-1]["reason"] == "auto_pay_off"

    theatre.clock("2027-01-26T13:00:00-05:00")
    assert operator.get("/v1/subscriptions/line/numbers").ok() == {"numbers": [], "allowed": 3}
    assert theatre.balance("acme") == "11.50", "nothing is charged for it any more"
    gone = {one["number"]: one["reason"] for one in stage.told("addon.released")}
    assert gone == {OTHER: "unpaid", ABLE: "unpaid"}
    resting = stage.settles(ABLE, "resting")
    assert day(resting["available_from"]) == "2027-02-25"
    stage.order("phone", "early", number=ABLE).problem(409, "conflict", "number")

    theatre.clock("2027-02-25T13:00:00-05:00")
    stage.refill("other", "20.00", "refill-4", "11.00")
    assert stage.order("phone", "late", number=ABLE).ok(201)["charged"] == "3.00"
    operator.call("DELETE", "/v1/subscriptions/phone/add-ons/late", Idempotency_Key="enough").ok()
    assert stage.settles(ABLE, "resting")["sim"] == ""
    assert stage.told("addon.released")[-1]["reason"] == "asked"
