"""The calculator: what credits buy, with the figures of docs/plans.md, through the running API."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.streams.http.served import Client

PAGE = (Path(__file__).parents[3] / "docs" / "plans.md").read_text()
SORTS = {
    "email": {"kind": "email"},
    "SMS to India": {"kind": "sms", "to": "IN"},
    "SMS to Germany": {"kind": "sms", "to": "DE"},
    "WhatsApp (utility) to Germany": {"kind": "whatsapp-utility", "to": "DE"},
}


def ask(buyer: Client, **form: Any) -> list[dict[str, Any]]:
    """The lines of an answer, by the example plan for every channel unless said otherwise."""
    answer = buyer.post("/v1/calculator", {"plan": "credits-omnichannel"} | form).ok()
    return list(answer["lines"])


@pytest.mark.parametrize("sort", SORTS)
def test_the_figures_of_the_docs_page(buyer: Client, sort: str) -> None:
    row = re.search(rf"^\| {re.escape(sort)} \| (\S+) \| (\S+) \|$", PAGE, re.MULTILINE)
    assert row is not None
    (line,) = ask(buyer, credits="1000", **SORTS[sort])
    assert (line["credits"], line["buys"]) == (row[1], row[2].replace(",", ""))
    assert (line["unit"], line["per"]) == ("messages", "message")


def test_what_is_less_than_a_message_costs_is_left(buyer: Client) -> None:
    (line,) = ask(buyer, credits="1000", kind="sms", to="DE")
    assert (line["quantity"], line["left"]) == (22, "10")
    assert ask(buyer, credits="33.3", kind="whatsapp-utility", to="DE")[0]["quantity"] == 0


def test_without_a_sort_the_whole_table_is_answered(buyer: Client) -> None:
    lines = ask(buyer, credits="1000")
    assert [line["quantity"] for line in lines] == [1000, 22, 400, 16, 11, 30, 133, 20]
    assert lines[1]["match"]["to"] == ["DE"]


def test_with_a_country_alone_each_kind_has_the_line_that_answers_there(buyer: Client) -> None:
    lines = ask(buyer, credits="1000", to="IN")
    assert {line["kind"]: line["quantity"] for line in lines} == {
        "email": 1000, "sms": 400, "whatsapp-marketing": 20, "whatsapp-utility": 20, "whatsapp-authentication": 133,
    }  # fmt: skip


def test_the_credits_of_a_volume_or_of_the_plan_itself(buyer: Client) -> None:
    assert ask(buyer, volume=1, kind="email")[0]["quantity"] == 100_000
    assert ask(buyer, kind="email")[0]["quantity"] == 20_000


def test_what_the_credits_are_not_for_they_do_not_buy(buyer: Client) -> None:
    assert ask(buyer, kind="letter") == []
    assert ask(buyer, service="data") == []
    assert ask(buyer, plan="credits-email", kind="sms", to="DE") == []


@pytest.mark.parametrize(
    ("form", "status", "kind", "field"),
    [
        ({"plan": "moon"}, 404, "not-found", "plan"),
        ({"plan": "voice-a"}, 409, "conflict", "plan"),
        ({"plan": "voice-a", "allowance": "minutes"}, 422, "invalid", "allowance"),
        ({"allowance": "moon"}, 404, "not-found", "allowance"),
        ({"credits": "-1"}, 422, "invalid", "credits"),
        ({"credits": 1000}, 422, "invalid", "credits"),
        ({"volume": 2}, 422, "invalid", "volume"),
        ({"volume": 0, "credits": "1"}, 422, "invalid", "volume"),
        ({"service": "fax"}, 422, "invalid", "service"),
        ({"kinds": "sms"}, 422, "invalid", "kinds"),
    ],
)
def test_what_is_wrong_is_named(buyer: Client, form: dict[str, Any], status: int, kind: str, field: str) -> None:
    buyer.post("/v1/calculator", {"plan": "credits-omnichannel"} | form).problem(status, kind, field)
