"""Plans over HTTP: every term a customer may know, exact; each version by its time."""

from __future__ import annotations

import pytest

from rater.plans.model import Plan
from streams.http.forms_plans import PlanVersion
from tests.rater.plans.examples import FILES
from tests.streams.http.served import Client, Served


def only(api: Client, plan: str) -> dict:
    """The one version of a plan."""
    answer = api.get(f"/v1/plans/{plan}").ok()
    assert answer["in_force"] == "1"
    (version,) = answer["versions"]
    return version


def test_nothing_of_a_plan_is_left_out():
    """A field that is added to the model has to be shown, or be named here."""
    shown_as = {"name": "plan", "effective_from_ms": "effective_from", "recurring": "recurring_fee",
                "activation_nanos": "activation_fee", "floor_nanos": "floor", "invoice_limit_nanos": "invoice_limit",
                "capacity": "entitlements"}  # fmt: skip
    fields = {shown_as.get(name, name) for name in Plan.__struct_fields__}
    assert fields == set(PlanVersion.__struct_fields__)


def test_the_terms_of_a_plan_of_minutes_are_shown_whole(buyer):
    plan = only(buyer, "minutes-pro")
    assert (plan["kind"], plan["currency"], plan["settlement"]) == ("subscription", "USD", "prepaid")
    assert (plan["recurring_fee"], plan["activation_fee"]) == (
        {"price": "29.00", "starts": {"at": "assignment"}}, "5.00",
    )  # fmt: skip
    assert plan["billing"] == {"months": 1, "by": "anniversary", "starts": {"at": "assignment"}}
    assert plan["validity"]["renews"] == "always"
    (minutes,) = plan["allowances"]
    assert (minutes["quantity"], minutes["unit"], minutes["priority"]) == ("59400000", "ms", 1)
    assert minutes["roll_over"] == {"periods": 1, "maximum": "18000000"}
    bundle, number = plan["addons"]
    assert (bundle["price"], bundle["allowances"][0]["expires_months"], bundle["recurring"]) == ("12.00", 3, False)
    assert (number["upfront"], number["hold_days"]) == ("1.00", 14)
    assert (number["is_number"], number["quarantine_days"]) == (True, 30)
    assert plan["entitlements"]["capacity"]["concurrent_calls"] == 10
    assert plan["leaving"]["upgrade"] == {"at": "at-once"}
    assert plan["leaving"]["asked_by"] == ["manager", "owner"]


def test_a_scale_and_a_table_of_credits_are_shown_with_exact_prices(buyer):
    plan = only(buyer, "credits-omnichannel")
    assert plan["scale"]["volumes"][1] == {"volume": 1, "quantity": "100000", "price": "179.00"}
    costs = {(line["match"]["kinds"][0], *line["match"]["to"]): line["credits"] for line in
             plan["allowances"][0]["costs"]}  # fmt: skip
    assert costs["sms", "IN"] == "2.5"
    assert costs["whatsapp-utility", "DE", "FR"] == "100/3"


def test_refills_and_what_a_change_means_are_shown(buyer):
    assert only(buyer, "sim-payg")["refills"][2] == {
        "name": "large", "price": "100.00", "balance": "120.00", "paid_by": ["card", "invoice", "parent"],
        "given": "confirmed",
    }  # fmt: skip
    leaving = only(buyer, "quota-2019")["leaving"]
    assert (leaving["frozen"], leaving["migrate_to"], leaving["migrate_from"]) == (
        True, "usage-invoiced", "2027-03-31T22:00:00Z",
    )  # fmt: skip
    custom = only(buyer, "credits-custom")
    assert (custom["currency"], custom["joining"]["quote_only"], custom["actions"]) == ("EUR", True, ["request-quote"])


def test_the_list_has_what_is_in_force_at_a_time_in_pages(buyer):
    def names(**query: str) -> list[str]:
        found, cursor = [], ""
        while True:
            asked = "&".join(f"{name}={value}" for name, value in {**query, "limit": "3", "cursor": cursor}.items())
            answer = buyer.get(f"/v1/plans?{asked}").ok()
            assert len(answer["plans"]) <= 3
            found += [plan["plan"] for plan in answer["plans"]]
            cursor = answer["next"]
            if not cursor:
                return found

    everything = names()
    assert everything == sorted(everything)
    assert len(everything) == len(FILES) + len(["offers", "payg"])
    assert names(at="2020-01-01T00:00:00Z") == ["quota-2019"]


def test_versions_stand_in_order_of_time_and_the_present_one_is_named(served: Served, api: Client):
    answer = api.get("/v1/plans/payg").ok()
    assert (answer["plan"], answer["in_force"]) == ("payg", "1")
    (version,) = answer["versions"]
    assert (version["tariff"], version["currency"]) == ("test-eur", "EUR")
    assert version["entitlements"]["services"] == ["data", "message", "voice"]
    assert version["effective_from"] == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("path", "status", "kind", "field"),
    [
        ("/v1/plans/none", 404, "not-found", ""),
        ("/v1/plans?at=0.5", 422, "invalid", "at"),
        ("/v1/plans?at=yesterday", 422, "invalid", "at"),
        ("/v1/plans?at=2026-01-01T00:00:00", 422, "invalid", "at"),
        ("/v1/plans?cursor=x", 422, "invalid", "cursor"),
        ("/v1/plans?since=2026", 422, "invalid", "since"),
    ],
)
def test_what_is_wrong_is_named(api: Client, path: str, status: int, kind: str, field: str):
    api.get(path).problem(status, kind, field)
