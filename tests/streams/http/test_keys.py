"""Closed by default: no key, a wrong scope, another tenant's or another account's key get nothing, at any endpoint."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from rater.cli import main
from streams.http.app import ENDPOINTS
from streams.http.endpoint import Endpoint, NoForm
from streams.http.keys import SCOPES, Scope
from tests.streams.http.served import Answer, Client, Served, event, serving

by_name = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")

#: A body that each endpoint takes.
BODIES: dict[str, Any] = {
    "/v1/usage": event("1"),
    "/v1/quotes": {"usage": [{name: value for name, value in event("1").items() if name != "source"}]},
    "/v1/wallets": {"wallet": "mine", "currency": "EUR"},
    "/v1/wallets/{wallet}/top-ups": {"amount": "5.00"},
    "/v1/wallets/{wallet}/floor": {"floor": "-5.00"},
    "/v1/wallets/{wallet}/holds": {"hold": "operator"},
    "/v1/sims": {"sim": "sim-9", "wallet": "theirs", "plan": "payg"},
    "/v1/sims/{sim}/moves": {"wallet": "theirs"},
    "/v1/sims/{sim}/holds": {"hold": "operator"},
    "/v1/subscriptions/{sim}/change/preview": {"plan": "payg"},
    "/v1/subscriptions/{sim}/change": {"plan": "payg"},
    "/v1/subscriptions/{sim}/add-ons": {"addon": "number"},
    "/v1/subscriptions/{sim}/add-ons/{order}/auto-pay": {"auto_pay": False},
    "/v1/subscriptions/{sim}/numbers": {"number": "+12125550100"},
    "/v1/numbers": {"number": "+12125550101", "capabilities": ["voice"], "addon": "number"},
    "/v1/webhooks": {"url": "http://127.0.0.1:9/in"},
    "/v1/webhooks/{webhook}": {"status": "disabled"},
    "/v1/webhooks/{webhook}/replay": {"since": "2026-11-01T00:00:00Z"},
    "/v1/rules": {"metric": "sim_card.usage", "threshold": "1 MB"},
    "/v1/calculator": {"plan": "payg", "credits": "10"},
    "/v1/orders/preview": {"wallet": "theirs", "items": [{"plan": "payg"}], "billing_country": "DE"},
    "/v1/orders": {"sim": "sim-1", "item": {"plan": "payg"}, "billing_country": "DE"},
    "/v1/quote-requests": {"sim": "sim-1", "plan": "payg"},
    "/v1/estimates": {"wallet": "theirs", "plan": "payg"},
    "/v1/accounts": {
        "account": "new", "kind": "company", "parent": "theirs", "owner": "bob", "currency": "EUR", "country": "DE",
    },
    "/v1/accounts/{account}": {"display_name": "new"},
    "/v1/accounts/{account}/roles/{user}": {"role": "manager"},
    "/v1/invoices/{invoice}/payments": {},
    "/v1/accounts/{account}/payment-details": {"present": True},
    "/v1/accounts/{account}/owner": {"owner": "bob"},
    "/v1/accounts/{account}/wallets": {"wallet": "another"},
    "/v1/transfers": {"from_wallet": "theirs", "to_wallet": "mine", "amount": "1.00"},
    "/v1/wallets/{wallet}/refills": {"offer": "large", "plan": "offers", "method": "invoice"},
    "/v1/wallets/{wallet}/auto-refill": {"offer": "large", "plan": "offers", "method": "invoice", "threshold": "5.00"},
    "/v1/wallets/{wallet}/payment-methods/{name}": {"payment_method": "pm_1"},
}  # fmt: skip
#: Endpoints that are about the caller's own: another tenant's object cannot even be named there.
OWN = {
    "POST /v1/usage", "POST /v1/wallets", "GET /v1/tariffs", "GET /v1/plans", "POST /v1/webhooks", "GET /v1/webhooks",
    "POST /v1/rules", "GET /v1/rules", "GET /v1/accounts", "GET /v1/payments", "POST /v1/numbers", "GET /v1/numbers",
    "GET /v1/invoices",
}  # fmt: skip
#: What a key of an account makes or lists is that account's.
OWN_ACCOUNT = {
    "POST /v1/wallets", "POST /v1/webhooks", "GET /v1/webhooks", "POST /v1/rules", "GET /v1/rules",
    "GET /v1/payments", "GET /v1/invoices",
}  # fmt: skip
#: The inventory of phone numbers is the operator's, and what can be ordered of it for all accounts.
INVENTORY = {"POST /v1/numbers": 403, "DELETE /v1/numbers/{number}": 403, "GET /v1/numbers": 200}
#: The catalogue belongs to all tenants.
SHARED = {"GET /v1/tariffs", "GET /v1/tariffs/{tariff}", "GET /v1/plans", "GET /v1/plans/{plan}", "POST /v1/calculator"}
#: What the owner of a test made, by a name that only the answer told.
made: dict[str, str] = {}


def call(client: Client, endpoint: Endpoint, parameters: str = "") -> Answer:
    names = {"wallet": "theirs", "sim": "sim-1", "hold": "operator", "tariff": "test-eur", "plan": "payg",
             "account": "theirs", "user": "bob", "transfer": "sent", "order": "o-1", "name": "card",
             "invoice": "theirs-1", "number": "+12125550100"}  # fmt: skip
    names |= {"webhook": "we_1", "delivery": "msg_1", "rule": "ru_1", "payment": made.get("payment", "none")}
    path = endpoint.path.format_map(names) + parameters
    if endpoint.path == "/v1/orders" and endpoint.method == "GET":
        path += f"{'&' if parameters else '?'}sim=sim-1"
    body = BODIES[endpoint.path] if endpoint.media_types else None
    return client.call(endpoint.method, path, body, **({"Idempotency_Key": "k"} if endpoint.keyed else {}))


def state(client: Client) -> list[Any]:
    paths = (
        "/v1/wallets/theirs", "/v1/sims/sim-1", "/v1/wallets/theirs/sims", "/v1/accounts/theirs",
        "/v1/accounts/theirs/wallets", "/v1/accounts", "/v1/wallets/theirs/payment-methods",
        "/v1/payments?wallet=theirs", f"/v1/payments/{made['payment']}", "/v1/orders?sim=sim-1", "/v1/orders/o-1",
    )  # fmt: skip
    return [client.get(path).ok() for path in paths]


@pytest.fixture
def owner(served: Served, tenant: str) -> Client:
    """A tenant with an organisation "theirs", whose wallet pays for "sim-1", that has the order "o-1".

    It sent "sent", and waits for an invoice.
    """
    client = served.key(tenant)
    client.wallet("theirs", "11.00", "sim-1")
    client.wallet("till", "0")
    form = {"account": "theirs", "kind": "organisation", "owner": "alice", "currency": "EUR", "country": "DE"}
    client.post("/v1/accounts", form, "make").ok(201)
    client.post("/v1/transfers", {"from_wallet": "theirs", "to_wallet": "till", "amount": "1.00"}, "sent").ok(201)
    refill = {"offer": "large", "plan": "offers", "method": "invoice"}
    made["payment"] = client.post("/v1/wallets/theirs/refills", refill, "refill").ok(201)["payment"]
    client.call("PUT", "/v1/wallets/theirs/auto-refill", refill | {"threshold": "1"}, Idempotency_Key="auto").ok()
    order = {"sim": "sim-1", "item": {"plan": "offers"}, "billing_country": "DE"}
    client.post("/v1/orders", order, "o-1").ok(201)
    return client


@by_name
def test_without_a_key_nothing_is_answered(served: Served, endpoint: Endpoint) -> None:
    answer = call(served.anybody, endpoint)
    answer.problem(401, "no-key", "Authorization")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    for wrong in ("rk_000000000000_" + "A" * 43, "rk_x", "", "Bearer"):
        call(Client(served.anybody.port, headers={"Authorization": f"Bearer {wrong}"}), endpoint).problem(
            401, "no-key", "Authorization"
        )


@by_name
def test_a_key_may_do_what_its_scopes_say(served: Served, owner: Client, tenant: str, endpoint: Endpoint) -> None:
    allowed: dict[Scope, set[str]] = {
        "ingest": {"ingest"}, "read": {"read"}, "manage": {"read", "manage"},
        "admin": {"ingest", "read", "manage", "admin"},
    }  # fmt: skip
    for scope in SCOPES:
        answer = call(served.key(tenant, scope), endpoint)
        if endpoint.scope in allowed[scope]:
            assert answer.status not in (401, 403), answer.raw
        else:
            answer.problem(403, "not-allowed", "Authorization")


@by_name
def test_another_tenants_key_reaches_nothing(served: Served, owner: Client, tenant: str, endpoint: Endpoint) -> None:
    before = state(owner)
    stranger = served.key(f"{tenant}-stranger", *(("admin",) if endpoint.scope == "admin" else ()))
    call(stranger, endpoint, f"?tenant={tenant}").problem(403, "not-allowed", "tenant")
    answer = call(stranger, endpoint)
    name = f"{endpoint.method} {endpoint.path}"
    if name not in OWN | SHARED:
        assert answer.status == 404, answer.raw
        assert answer.body["type"] == "urn:rater:problem:not-found"
    assert name in SHARED or b"10.00" not in answer.raw
    assert state(owner) == before


@by_name
def test_a_key_of_another_account_reaches_nothing(
    served: Served, owner: Client, tenant: str, endpoint: Endpoint
) -> None:
    before = state(owner)
    answer = call(served.key(tenant, "admin", account="mine"), endpoint)
    name = f"{endpoint.method} {endpoint.path}"
    if name not in SHARED | OWN_ACCOUNT:
        assert answer.status == INVENTORY.get(name, 404), answer.raw
    assert state(owner) == before


def test_a_key_of_an_account_reaches_its_own(served: Served, owner: Client, tenant: str) -> None:
    company = served.key(tenant, "admin", account="theirs")
    assert company.balance("theirs") == "10.00"
    assert company.get("/v1/sims/sim-1").ok()["status"] == "active"
    company.post("/v1/sims", {"sim": "sim-2", "wallet": "theirs", "plan": "payg"}, "k").ok(201)
    other = {"sim": "sim-3", "wallet": "theirs", "plan": "payg", "account": "else"}
    company.post("/v1/sims", other, "k2").problem(404, "not-found", "account")
    company.post("/v1/wallets", {"wallet": "else", "currency": "EUR"}, "k3").problem(403, "not-allowed", "wallet")


def test_an_admin_key_without_a_tenant_names_it(served: Served, owner: Client, tenant: str) -> None:
    admin = served.key("", "admin")
    assert admin.get(f"/v1/wallets/theirs?tenant={tenant}").ok()["balance"] == "10.00"
    admin.get("/v1/wallets/theirs").problem(422, "invalid", "tenant")
    admin.get("/v1/wallets/theirs?tenant=a%2Fb").problem(422, "invalid", "tenant")


def test_every_form_has_a_body_here() -> None:
    """So that a new endpoint is tried by the tests above."""
    assert set(BODIES) == {endpoint.path for endpoint in ENDPOINTS if endpoint.raw or endpoint.form is not NoForm}


Rater = Callable[..., Result]


@pytest.fixture
def rater(served: Served) -> Rater:
    def run(*command: str) -> Result:
        return CliRunner().invoke(main, ["--data", str(served.data), *command], env={"RATER_ENGINE_SHARDS": "4"})

    return run


def test_a_key_is_made_listed_and_revoked(served: Served, rater: Rater, owner: Client, tenant: str) -> None:
    made = rater("key", "create", "--tenant", tenant, "--scope", "read", "--scope", "ingest", "--note", "billing")
    token = made.stdout.strip()
    client = Client(served.anybody.port, token)
    assert client.balance("theirs") == "10.00"
    assert token.split("_")[2] not in rater("key", "list", "--json").output, "the secret is kept nowhere"
    listed = [orjson.loads(line) for line in rater("key", "list", "--json").output.splitlines()]
    (found,) = [key for key in listed if key["note"] == "billing" and key["tenant"] == tenant]
    assert (found["scopes"], found["revoked"]) == (["read", "ingest"], "")
    assert f"{found['key']}  {tenant}  read,ingest" in rater("key", "list").output
    assert rater("key", "revoke", found["key"]).exit_code == 0
    for _ in range(60):
        if client.get("/v1/plans").status == 401:
            break
        time.sleep(0.1)
    client.get("/v1/plans").problem(401, "no-key", "Authorization")
    assert "revoked 20" in rater("key", "list").output


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["create", "--scope", "read"], "tenant: only an admin key may be without one"),
        (["create", "--scope", "admin", "--account", "a"], "tenant: only an admin key may be without one"),
        (["create", "--scope", "read", "--tenant", "a/b"], 'tenant: "a/b" must be a name'),
        (["revoke", "nothing"], "key: there is no nothing"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(rater: Rater, command: list[str], says: str) -> None:
    result = rater("key", *command)
    assert result.exit_code == 1
    assert f"Error: {says}" in result.output


def test_a_key_that_asks_too_often_is_told_when_to_come_back(tmp_path: Any) -> None:
    with serving(tmp_path, requests_per_second=2) as served:
        hasty, patient = served.key("t"), served.key("t")
        answers = [hasty.get("/v1/plans") for _ in range(20)]
        refused = [answer for answer in answers if answer.status != 200]
        assert len(answers) - len(refused) >= 4, "two seconds' worth at once"
        refused[0].problem(429, "too-many")
        assert refused[0].headers["retry-after"] == "1"
        patient.get("/v1/plans").ok()
        time.sleep(1.1)
        hasty.get("/v1/plans").ok()
