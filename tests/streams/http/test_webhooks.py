"""Endpoints are named, validated, changed and looked after over HTTP; what happens reaches them, signed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from streams.http import rules, webhook_deliveries, webhooks
from streams.http.endpoint import Endpoint
from tests.streams.http.served import Client, Served, event, serving
from tests.streams.webhooks.receiver import Got, Receiver, receiving_beside

OURS = (*webhooks.ENDPOINTS, *webhook_deliveries.ENDPOINTS, *rules.ENDPOINTS)
SINCE = "2026-01-01T00:00:00Z"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving_beside() as made:
        yield made


def wait_for(condition: Callable[[], Any], seconds: float = 15.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.02)
    return found


def named(api: Client, receiver: Receiver, key: str = "name", **form: Any) -> dict[str, Any]:
    """An endpoint that has answered the validation message."""
    made: dict[str, Any] = api.post("/v1/webhooks", {"url": receiver.url} | form, key).ok(201)
    return made


def types(receiver: Receiver, secret: str) -> list[str]:
    return [got.verified(secret)["type"] for got in receiver.got]


def of_type(receiver: Receiver, kind: str) -> list[Got]:
    return [got for got in receiver.got if f'"type":"{kind}"'.encode() in got.body]


def test_a_sim_that_is_suspended_at_zero_and_resumed_by_a_top_up_is_told_of_both(
    api: Client, receiver: Receiver
) -> None:
    webhook = named(api, receiver)
    assert webhook["status"] == "enabled"
    api.wallet("acme", "0.05", "sim-1")
    api.post("/v1/usage", event("1")).ok()
    wait_for(lambda: of_type(receiver, "sim.suspended") and of_type(receiver, "wallet.zero"))
    api.post("/v1/wallets/acme/top-ups", {"amount": "20.00"}, "order-77").ok(201)
    wait_for(lambda: of_type(receiver, "sim.resumed") and of_type(receiver, "wallet.refilled"))
    (suspended,) = of_type(receiver, "sim.suspended")
    message = suspended.verified(webhook["secret"])
    assert message["data"] | {"sim": "sim-1", "wallet": "acme", "holds": ["parent"]} == message["data"]
    (resumed,) = of_type(receiver, "sim.resumed")
    assert resumed.verified(webhook["secret"])["data"]["holds"] == []
    (refilled,) = of_type(receiver, "wallet.refilled")
    assert refilled.verified(webhook["secret"])["data"]["amount"] == "20.00"
    assert sorted(types(receiver, webhook["secret"])) == [
        "sim.resumed", "sim.suspended", "wallet.refilled", "wallet.resumed", "wallet.zero", "webhook.validation",
    ]  # fmt: skip
    log = wait_for(lambda: _delivered(api, webhook["id"], 6))
    assert {delivery["attempts"][0]["status"] for delivery in log} == {204}


def _delivered(api: Client, webhook: str, count: int) -> list[dict[str, Any]]:
    log: list[dict[str, Any]] = api.get(f"/v1/webhooks/{webhook}/deliveries").ok()["deliveries"]
    return log if [delivery["state"] for delivery in log] == ["delivered"] * count else []


def test_nothing_is_sent_before_the_validation_message_was_answered(api: Client, receiver: Receiver) -> None:
    receiver.then = 401
    webhook = named(api, receiver)
    assert (webhook["status"], webhook["error"]) == ("pending", "answered 401")
    assert types(receiver, webhook["secret"]) == ["webhook.validation"]
    api.wallet("acme", "1.00")
    api.post("/v1/wallets/acme/top-ups", {"amount": "1.00"}, "top-up").ok(201)
    path = f"/v1/webhooks/{webhook['id']}"
    wait_for(lambda: len(api.get(f"{path}/deliveries").ok()["deliveries"]) == 2)
    api.post(f"{path}/test", None, "test").problem(409, "conflict", "webhook")
    assert api.call("PATCH", path, {"status": "enabled"}, Idempotency_Key="p").problem(409, "conflict", "status")
    assert api.post(f"{path}/validate", None, "v-1").ok()["error"] == "answered 401"
    assert len(receiver.got) == 2
    receiver.then = 204
    assert api.post(f"{path}/validate", None, "v-2").ok()["status"] == "enabled"
    states = [(found["type"], found["state"]) for found in api.get(f"{path}/deliveries").ok()["deliveries"]]
    assert sorted(states) == [
        ("wallet.refilled", "missed"), ("webhook.validation", "delivered"), ("webhook.validation", "failed"),
        ("webhook.validation", "failed"),
    ]  # fmt: skip
    assert api.post(f"{path}/replay", {"since": SINCE}, "r").ok() == {"replayed": 1}
    wait_for(lambda: of_type(receiver, "wallet.refilled"))


def test_a_secret_is_shown_to_the_request_that_made_it_and_to_no_other(api: Client, receiver: Receiver) -> None:
    webhook = named(api, receiver)
    path = f"/v1/webhooks/{webhook['id']}"
    assert webhook["secret"].startswith("whsec_")
    assert api.post("/v1/webhooks", {"url": receiver.url}, "name").ok(201) == webhook | {"repeated": True}
    assert len(receiver.got) == 1, "a repeat validates nothing"
    assert "secret" not in api.get(path).ok()
    assert "whsec" not in api.get("/v1/webhooks").raw.decode()
    new = api.post(f"{path}/secret", None, "rotate").ok()
    assert new["secret"] != webhook["secret"]
    assert api.post(f"{path}/secret", None, "rotate").ok() == new | {"repeated": True}
    assert "secret" not in api.post("/v1/webhooks", {"url": receiver.url}, "name").ok(201)
    api.post(f"{path}/test", None, "test").ok(202)
    (got,) = wait_for(lambda: of_type(receiver, "webhook.test"))
    got.verified(new["secret"])
    got.verified(webhook["secret"])


def test_a_change_is_made_once_for_its_key(api: Client, receiver: Receiver) -> None:
    webhook = named(api, receiver)
    path = f"/v1/webhooks/{webhook['id']}"
    off = api.call("PATCH", path, {"status": "disabled"}, Idempotency_Key="off").ok()
    assert (off["status"], off["reason"]) == ("disabled", "request")
    on = api.call("PATCH", path, {"status": "enabled", "events": ["sim.*"]}, Idempotency_Key="on").ok()
    assert (on["status"], on["events"]) == ("enabled", ["sim.*"])
    again = api.call("PATCH", path, {"status": "disabled"}, Idempotency_Key="off").ok()
    assert (again["status"], again["repeated"]) == ("enabled", True), "the repeat of an old change undoes nothing"
    api.call("PATCH", path, {"status": "enabled"}, Idempotency_Key="off").problem(409, "conflict", "Idempotency-Key")
    moved = api.call("PATCH", path, {"url": receiver.url + "/new"}, Idempotency_Key="move").ok()
    assert moved["status"] == "pending", "another address has to be validated"
    assert api.call("DELETE", path, Idempotency_Key="del").ok() == {"id": webhook["id"]}
    assert api.call("DELETE", path, Idempotency_Key="del").ok() == {"id": webhook["id"], "repeated": True}
    api.call("DELETE", path, Idempotency_Key="del-2").problem(404, "not-found")
    api.get(path).problem(404, "not-found")
    api.post("/v1/webhooks", {"url": receiver.url}, "name").problem(404, "not-found")


def test_one_delivery_is_replayed_under_its_id(api: Client, receiver: Receiver) -> None:
    webhook = named(api, receiver)
    path = f"/v1/webhooks/{webhook['id']}"
    sent = api.post(f"{path}/test", None, "test").ok(202)
    assert api.post(f"{path}/test", None, "test").ok(202)["id"] == sent["id"]
    one = f"{path}/deliveries/{sent['id']}"
    wait_for(lambda: api.get(one).ok()["state"] == "delivered")
    api.post(f"{one}/replay", None, "again").ok()
    wait_for(lambda: len(of_type(receiver, "webhook.test")) == 2)
    wait_for(lambda: len(api.get(one).ok()["attempts"]) == 2)
    assert api.post(f"{one}/replay", None, "again").ok()["repeated"] is True
    time.sleep(0.7)
    assert len(of_type(receiver, "webhook.test")) == 2, "the same key again changes nothing"
    assert {got.id for got in of_type(receiver, "webhook.test")} == {sent["id"]}
    assert api.post(f"{path}/replay", {"since": SINCE}, "all").ok() == {"replayed": 0}, "all of it has arrived"
    assert api.post(f"{path}/replay", {"since": SINCE, "delivered_too": True}, "all-2").ok() == {"replayed": 1}
    assert api.post(f"{path}/replay", {"since": SINCE, "delivered_too": True}, "all-2").ok() == {
        "replayed": 1, "repeated": True,
    }  # fmt: skip
    wait_for(lambda: len(of_type(receiver, "webhook.test")) == 3)
    api.post(f"{path}/deliveries/msg_0/replay", None, "none").problem(404, "not-found")


def test_lists_come_in_pages(api: Client, receiver: Receiver) -> None:
    made = [named(api, receiver, f"n-{n}", account=["", "b", "a"][n % 3])["id"] for n in range(7)]
    found: list[str] = []
    cursor = ""
    while True:
        page = api.get(f"/v1/webhooks?limit=2&cursor={cursor}").ok()
        assert len(page["webhooks"]) <= 2
        found += [webhook["id"] for webhook in page["webhooks"]]
        if not (cursor := page["next"]):
            break
    assert sorted(found) == sorted(made)
    path = f"/v1/webhooks/{made[0]}"
    tests = [api.post(f"{path}/test", None, f"t-{n}").ok(202)["id"] for n in range(5)]
    first = api.get(f"{path}/deliveries?limit=4").ok()
    rest = api.get(f"{path}/deliveries?limit=4&cursor={first['next']}").ok()
    ids = [delivery["id"] for delivery in first["deliveries"] + rest["deliveries"]]
    assert (len(ids), rest["next"]) == (6, "")
    assert set(tests) < set(ids)


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "https://user@example.com"}, "url"),
        ({"url": "http://127.0.0.1/", "events": ["Sim"]}, "/events/0"),
        ({"url": "http://127.0.0.1/", "events": []}, "events"),
        ({"url": "http://127.0.0.1/", "account": "a/b"}, "account"),
    ],
)
def test_a_form_that_is_wrong_names_the_field(api: Client, form: dict[str, Any], field: str) -> None:
    assert api.post("/v1/webhooks", form, "k").problem(422, "invalid", field)


class Theirs:
    """What another tenant, or another account, has."""

    def __init__(self, api: Client, receiver: Receiver, **form: Any) -> None:
        webhook = named(api, receiver, **form)
        delivery = api.post(f"/v1/webhooks/{webhook['id']}/test", None, "t").ok(202)
        rule = api.post("/v1/rules", {"metric": "sim_card.usage", "threshold": "1 MB"} | form, "r").ok(201)
        self.names = {"webhook": webhook["id"], "delivery": delivery["id"], "rule": rule["id"]}
        self.api = api
        self.before = self.state()

    def state(self) -> list[Any]:
        webhook = self.api.get("/v1/webhooks/{webhook}".format_map(self.names)).ok()
        return [webhook, self.api.get("/v1/rules/{rule}".format_map(self.names)).ok()]

    def try_with(self, stranger: Client) -> None:
        bodies: dict[str, Any] = {
            "PATCH /v1/webhooks/{webhook}": {"url": "http://127.0.0.1:9/"},
            "POST /v1/webhooks/{webhook}/replay": {"since": SINCE},
        }
        for endpoint in OURS:
            if "{" in endpoint.path:
                answer = self._call(stranger, endpoint, bodies)
                answer.problem(404, "not-found")
                assert b"127.0.0.1" not in answer.raw
        for path in ("/v1/webhooks", "/v1/rules"):
            assert list(stranger.get(path).ok().values()) == [[], ""]
        assert self.state() == self.before

    def _call(self, stranger: Client, endpoint: Endpoint, bodies: dict[str, Any]) -> Any:
        headers = {"Idempotency_Key": "s-" + str(time.monotonic_ns())} if endpoint.keyed else {}
        path = endpoint.path.format_map(self.names)
        return stranger.call(endpoint.method, path, bodies.get(f"{endpoint.method} {endpoint.path}"), **headers)


def test_another_tenants_key_finds_nothing(served: Served, api: Client, receiver: Receiver, tenant: str) -> None:
    Theirs(api, receiver).try_with(served.key(f"{tenant}-stranger"))


def test_another_accounts_key_finds_nothing(served: Served, api: Client, receiver: Receiver, tenant: str) -> None:
    """Neither what is another account's, nor what is the tenant's own."""
    stranger = served.key(tenant, "manage", account="mine")
    Theirs(api, receiver, account="theirs").try_with(stranger)
    form = {"url": receiver.url, "account": "theirs"}
    stranger.post("/v1/webhooks", form, "k").problem(404, "not-found")
    stranger.post("/v1/webhooks", form, "name").problem(404, "not-found")


def test_a_key_of_an_account_cannot_repeat_anothers_request_to_see_its_secret(
    served: Served, api: Client, receiver: Receiver, tenant: str
) -> None:
    named(api, receiver)
    stranger = served.key(tenant, "manage", account="mine")
    stranger.post("/v1/webhooks", {"url": receiver.url}, "name").problem(409, "conflict", "Idempotency-Key")
    form = {"metric": "sim_card.usage", "threshold": "1 MB"}
    api.post("/v1/rules", form, "rule").ok(201)
    stranger.post("/v1/rules", form, "rule").problem(409, "conflict", "Idempotency-Key")


def test_a_company_hears_of_its_own(served: Served, api: Client, receiver: Receiver, tenant: str) -> None:
    company = served.key(tenant, "manage", account="acme")
    webhook = named(company, receiver, events=["wallet.*"])
    assert webhook["account"] == "acme"
    api.wallet("other")
    api.wallet("acme")
    api.post("/v1/wallets/other/top-ups", {"amount": "1.00"}, "o").ok(201)
    api.post("/v1/wallets/acme/top-ups", {"amount": "2.00"}, "a").ok(201)
    wait_for(lambda: of_type(receiver, "wallet.refilled"))
    time.sleep(0.7)
    (got,) = of_type(receiver, "wallet.refilled")
    assert got.verified(webhook["secret"])["data"]["wallet"] == "acme"


def test_an_account_has_so_many_endpoints_at_most(api: Client, receiver: Receiver) -> None:
    for n in range(50):
        named(api, receiver, f"n-{n}")
    api.post("/v1/webhooks", {"url": receiver.url}, "n-50").problem(409, "conflict", "account")


def test_a_server_that_is_killed_delivers_after_its_restart(
    tmp_path_factory: pytest.TempPathFactory, receiver: Receiver
) -> None:
    with serving(tmp_path_factory.mktemp("killed")) as served:
        api = served.key("t")
        webhook = named(api, receiver, events=["sim.suspended"])
        sims = [f"sim-{n}" for n in range(20)]
        api.wallet("acme", "0.05", *sims)
        api.post("/v1/usage", event("1", "sim-0")).ok()
        wait_for(lambda: of_type(receiver, "sim.suspended"))
        served.kill()
        served.start()
        wait_for(lambda: len({got.id for got in of_type(receiver, "sim.suspended")}) == 20, 60)
        told = {got.verified(webhook["secret"])["data"]["sim"] for got in of_type(receiver, "sim.suspended")}
        assert told == set(sims)
