"""D: voice service plans. A change takes effect at once; the fee is shared by the days after it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.stories.conftest import Theatre


@pytest.mark.slow
def test_an_account_changes_its_voice_plan_in_the_middle_of_a_month(theatre: Theatre) -> None:
    """Plan A costs 5 a month. On the 15th of November the account moves to plan B at 12.

    It is charged 6 then (15 of 30 days), 11 in total for November, and 12 on December 1. 400 unused minutes of A are
    forfeited, B's 2,000 count from now. A had 5 channels plus 4 bought; B has 2: there are 6 afterwards.
    """
    theatre.begin("2026-11-01T12:00:00-04:00")
    operator = theatre.operator
    theatre.open("acme", "50.00", "USD")
    theatre.add("line", "acme", "voice-a")
    assert theatre.balance("acme") == "45.00", "plan A's fee is charged at its start"
    for number in range(4):
        operator.post("/v1/subscriptions/line/add-ons", {"addon": "channel"}, f"channel-{number}").ok(201)
    assert theatre.subscription("line")["capacity"]["channels"] == 9

    theatre.clock("2026-11-10T09:00:00-05:00")
    call = {"service": "voice", "called_number": "+12125550100", "country": "US", "duration_ms": 600 * 60_000}
    assert theatre.use("line", "2026-11-10T02:00:00Z", **call)["charged"] == "0.00"

    theatre.clock("2026-11-15T12:00:00-05:00")
    before = Decimal(theatre.balance("acme"))
    form = {"plan": "voice-b"}
    preview = operator.post("/v1/subscriptions/line/change/preview", form).ok()
    assert preview["refusals"] == []
    assert (preview["charged_now"], preview["month_total"], preview["next_fee"]["amount"]) == ("6.00", "11.00", "12.00")
    assert preview["forfeited"] == [{"allowance": "minutes", "left": "400", "unit": "min"}]
    assert preview["granted"] == [{"allowance": "minutes", "left": "2000", "unit": "min"}]
    assert preview["capacity"]["channels"] == 6

    for is_repeated in (False, True):
        after = operator.post("/v1/subscriptions/line/change", form | {"expected": "6.00"}, "to-b").ok()
        assert (after["charged"], after["repeated"]) == ("6.00", is_repeated)
        assert (after["plan"], after["capacity"]["channels"]) == ("voice-b", 6)
        assert after["remaining"] == [{"unit": "min", "total": "2000", "left": "2000", "used_percent": "0.00"}]
    assert before - Decimal(theatre.balance("acme")) == 6

    theatre.clock("2026-12-01T00:00:01-05:00")
    assert before - Decimal(theatre.balance("acme")) == 6 + 12 + 4, "plan B's fee, and four channels at 1.00"
