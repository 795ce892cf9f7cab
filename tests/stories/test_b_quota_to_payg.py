"""B: a quota package becomes pay as you go that is settled by invoice."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.stories.conftest import Theatre

#: When the package ends for who asks in February, as the API writes it.
MARCH, APRIL = "2027-02-28T23:00:00Z", "2027-03-31T22:00:00Z"
ASKED = {"plan": "usage-invoiced"}
COMPANIES = {"acme": "alice", "beta": "carol", "gamma": "dora", "delta": "emil"}


class Office:
    """The operator's view of four companies on the old package."""

    def __init__(self, theatre: Theatre) -> None:
        self.theatre = theatre
        self.operator = theatre.operator

    def open(self) -> None:
        """Each has a line on the package, and what the fees from November to February come to in its wallet."""
        for name, owner in COMPANIES.items():
            form = {"account": name, "kind": "organisation", "owner": owner, "currency": "EUR", "country": "DE"}
            form["zone"] = "Europe/Berlin"
            self.operator.post("/v1/accounts", form, f"account-{name}").ok(201)
            self.theatre.open(name, "196.00")
            self.theatre.add(f"{name}-line", name, "quota-2019")

    def send(self, name: str, at: str, messages: int) -> str:
        """Messages within Germany; what they were charged."""
        fields = {"service": "message", "kind": "sms", "country": "DE", "message_count": messages}
        return str(self.theatre.use(f"{name}-line", at, **fields)["charged"])

    def ask(self, name: str, what: str, user: str = "", key: str = "", **form: Any) -> Any:
        """Ask about a change, or for it."""
        path = f"/v1/subscriptions/{name}-line/{what}"
        return self.operator.post(path, ASKED | form, key, **({"Rater_Acting_User": user} if user else {}))

    def details(self, name: str) -> None:
        """Payment details of a company are there."""
        path = f"/v1/accounts/{name}/payment-details"
        self.operator.call("PUT", path, {"present": True}, Idempotency_Key=f"details-{name}").ok()

    def invoices(self, name: str, count: int) -> list[dict[str, Any]]:
        """A company's invoices, the newest first, once there are so many and all have their lines."""
        found: list[dict[str, Any]] = []
        for _ in range(200):
            found = self.operator.get(f"/v1/invoices?wallet={name}").ok()["invoices"]
            if len(found) >= count and all(invoice["itemised"] for invoice in found):
                break
            time.sleep(0.1)
        assert len(found) == count, found
        return found

    def recorded(self, name: str, usages: int) -> None:
        """Return when so many usages are in the ledger, which is a moment behind."""
        for _ in range(300):
            entries = self.operator.get(f"/v1/wallets/{name}/history?limit=100").ok()["entries"]
            if sum(entry["kind"] == "usage" for entry in entries) == usages:
                return
            time.sleep(0.1)
        raise AssertionError("the ledger did not catch up")

    def has(self, name: str) -> tuple[str, list[str]]:
        """The plan, and the messages left of the quota."""
        found = self.theatre.subscription(f"{name}-line")
        return found["plan"], [one["left"] for one in found["remaining"]]


def lines(invoice: dict[str, Any]) -> list[tuple[str, str]]:
    return [(line["sort"], line["amount"]) for line in invoice["lines"]]


@pytest.mark.slow
def test_quota_packages_become_pay_as_you_go_by_invoice(theatre: Theatre, tmp_path: Path) -> None:
    """The package is 49 a month for 1,000 messages; a message within Germany costs 0.045 beyond it, and after it.

    acme and beta ask on February 10 and change on March 1. acme used 150 messages beyond its quota in February, so 6.75
    is invoiced on March 1; beta used none beyond it, so its first invoice comes on April 1. gamma is moved by the
    operator's bulk run; delta, which has no payment details, is switched by itself on April 1.
    """
    theatre.begin("2026-11-01T12:00:00+01:00")
    office = Office(theatre)
    office.open()
    assert [theatre.balance(name) for name in COMPANIES] == ["147.00"] * 4
    for month, messages in (("2026-11", 900), ("2026-12", 1000), ("2027-01", 800)):
        theatre.clock(f"{month}-10T12:00:00+01:00")
        for name in COMPANIES:
            assert office.send(name, f"{month}-10T11:00:00Z", messages) == "0.00", "it is within the quota"

    theatre.clock("2027-02-10T12:00:00+01:00")
    who_may_ask(office)
    what_it_would_mean(office)
    the_confirmation(office)

    theatre.clock("2027-02-20T12:00:00+01:00")
    assert office.send("acme", "2027-02-20T11:00:00Z", 1_150) == "6.75", "150 beyond the quota"
    assert office.send("beta", "2027-02-20T11:00:00Z", 600) == "0.00"
    assert office.has("beta") == ("quota-2019", ["400"]), "the quota stays until the end of the month"
    assert [theatre.balance(name) for name in ("acme", "beta")] == ["-6.75", "0.00"]

    theatre.clock("2027-03-01T00:00:01+01:00")
    assert office.has("acme") == office.has("beta") == ("usage-invoiced", [])
    (overage,) = office.invoices("acme", 1)
    assert (overage["total"], overage["until"], overage["status"]) == ("6.75", MARCH, "open")
    assert lines(overage) == [("usage", "6.75"), ("fee", "49.00"), ("brought-forward", "-49.00")]
    office.invoices("beta", 0)
    paid_once(office, overage["invoice"])

    theatre.clock("2027-03-10T12:00:00+01:00")
    assert office.send("acme", "2027-03-10T11:00:00Z", 200) == "9.00"
    assert office.send("beta", "2027-03-10T11:00:00Z", 100) == "4.50"
    the_bulk_run(theatre, office, tmp_path)

    theatre.clock("2027-04-01T00:00:01+02:00")
    assert {office.has(name)[0] for name in COMPANIES} == {"usage-invoiced"}
    march, _ = office.invoices("acme", 2)
    (first,) = office.invoices("beta", 1)
    assert [(one["total"], one["until"], lines(one)) for one in (march, first)] == [
        ("9.00", APRIL, [("usage", "9.00")]), ("4.50", APRIL, [("usage", "4.50")]),
    ]  # fmt: skip
    for name in ("gamma", "delta"):  # their package had a fee on March 1 that nobody had put money in for
        assert [one["total"] for one in office.invoices(name, 1)] == ["49.00"]


def who_may_ask(office: Office) -> None:
    """Only the owner; others are told who that is. And nobody changes the old package to anything else."""
    office.operator.call("PUT", "/v1/accounts/acme/roles/bob", {"role": "manager"}, Idempotency_Key="bob").ok()
    preview = office.ask("acme", "change/preview", "bob").ok()
    assert {"reason": "not_allowed", "detail": "only the owner (alice) may change plan quota-2019"} in preview[
        "refusals"
    ]
    said = office.ask("acme", "change", "bob", "bob-asks").problem(403, "not-allowed", "plan")
    assert said == "only the owner (alice) may change plan quota-2019"
    for user in ("alice", ""):
        said = office.ask("acme", "change", user, f"other-{user}", plan="sim-payg").problem(409, "conflict", "plan")
        assert said == "plan quota-2019 cannot be changed any more, only migrated to usage-invoiced"


def what_it_would_mean(office: Office) -> None:
    """The new terms, and 2,700 messages of three months by the new tariff: 121.50, or 40.50 a month."""
    office.recorded("acme", 3)
    preview = office.ask("acme", "change/preview", "alice", estimate_months=3).ok()
    assert (preview["at"], preview["charged_now"]) == (MARCH, "0.00")
    assert preview["kept"] == [{"allowance": "quota-messages", "left": "1000", "unit": "messages"}]
    terms = preview["terms"]
    assert (terms["plan"], terms["settlement"], terms["invoice_limit"]) == ("usage-invoiced", "invoice", "5000.00")
    assert [(month["month"], month["total"]) for month in preview["estimate"]["months"]] == [
        ("2026-11", "40.50"), ("2026-12", "45.00"), ("2027-01", "36.00"),
    ]  # fmt: skip
    assert preview["estimate"]["mean"] == "40.50"


def the_confirmation(office: Office) -> None:
    """It is checked that payment details are there; then the change is planned."""
    said = office.ask("acme", "change", "alice", "early").problem(409, "conflict", "plan")
    assert said == "plan usage-invoiced needs payment details; add them first"
    for name in ("acme", "beta"):
        office.details(name)
        confirmed = office.ask(name, "change", COMPANIES[name], f"change-{name}").ok()
        assert (confirmed["plan"], confirmed["planned"]["at"]) == ("quota-2019", MARCH)


def paid_once(office: Office, invoice: str) -> None:
    """A person says that it was paid, twice."""
    for key in ("paid", "paid", "paid-again"):
        answer = office.operator.post(f"/v1/invoices/{invoice}/pay", None, key).ok()
        assert (answer["status"], office.theatre.balance("acme")) == ("paid", "0.00")


def the_bulk_run(theatre: Theatre, office: Office, folder: Path) -> None:
    """A dry run changes nothing and says what would come; then gamma is planned for April 1, and delta refused."""
    office.details("gamma")
    for name in ("gamma", "delta"):
        office.recorded(name, 3)
    before = [office.theatre.subscription(f"{name}-line") for name in COMPANIES]
    run = ("plan", "migrate", "quota-2019", "--to", "usage-invoiced", "--tenant", "stage")
    said = theatre.run(*run, "--dry-run", "--report", str(folder / "dry.jsonl"))
    assert "2 on the plan: 1 refused, 1 would change" in said
    assert "estimated a month: 54.00 EUR" in said, "December to February: 1,800 messages each"
    rows = {row["subscriber"]: row for row in map(json.loads, (folder / "dry.jsonl").read_text().splitlines())}
    assert rows["gamma-line"]["when_ms"] == 1_806_530_400_000
    assert rows["delta-line"]["refusals"] == ["plan usage-invoiced needs payment details; add them first"]
    assert [office.theatre.subscription(f"{name}-line") for name in COMPANIES] == before

    said = theatre.run(*run, "--report", str(folder / "run.jsonl"))
    assert "2 on the plan: 1 planned, 1 refused" in said
    assert theatre.subscription("gamma-line")["planned"]["at"] == APRIL
    assert theatre.subscription("delta-line")["planned"] is None
    assert "1 planned already, 1 refused" in theatre.run(*run), "it may be run again"
