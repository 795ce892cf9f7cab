"""`POST /v1/usage`: every event is answered with its fate, the same whenever it is asked again, and only when safe."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest

from streams.worker_process import environment
from tests.rater.pipeline.conftest import message
from tests.streams.http.served import JSON, Client, Served, event, serving, verdict

CLOUDEVENT, CLOUDEVENTS = "application/cloudevents+json", "application/cloudevents-batch+json"


def send(api: Client, *events: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = api.post("/v1/usage", list(events)).ok()
    return answer


def cloudevent(event_id: str, **attributes: Any) -> dict[str, Any]:
    data = event(event_id)
    return {
        "specversion": "1.0", "type": "usage", "source": data.pop("source"), "id": data.pop("id"), "data": data,
    } | attributes  # fmt: skip


def records(served: Served, tenant: str, topic: str = "rated") -> list[dict[str, Any]]:
    return [record for record in map(orjson.loads, served.topic(topic)) if record["tenant"] == tenant]


def test_each_event_gets_its_own_fate_in_order(api: Client) -> None:
    api.wallet("w", "0.25", "sim-1")
    answer = send(
        api,
        event("1"),
        event("2", service="fax"),
        event("3", sim="nobody"),
        event("4", country="KP"),
        event("1", country="FR"),
        event("5"),
        event("6"),
        event("7"),
    )
    assert [verdict(answer, index) for index in range(8)] == [
        ("rated", "", "0.10"),
        ("dead_lettered", "invalid", "0.00"),
        ("parked", "unknown_subscriber", "0.00"),
        ("refused", "region_blocked", "0.00"),
        ("dead_lettered", "id_conflict", "0.00"),
        ("rated", "", "0.10"),
        ("rated", "", "0.05"),
        ("refused", "suspended", "0.00"),
    ]
    assert [found["id"] for found in answer["events"]] == ["1", "2", "3", "4", "1", "5", "6", "7"]
    assert answer["events"][6]["uncovered"] == "0.05"
    assert answer["fates"] == {"rated": 3, "dead_lettered": 2, "parked": 1, "refused": 2}
    assert api.balance("w") == "0.00"


def test_what_was_answered_is_delivered(served: Served, api: Client, tenant: str) -> None:
    api.wallet("w", "10.00", "sim-1")
    send(api, event("1"), event("2", country="KP"), event("3", sim="nobody"), event("4", service="fax"))
    found = {topic: len(records(served, tenant, topic)) for topic in ("rated", "refused", "parked", "dead-letters")}
    assert found == {"rated": 1, "refused": 1, "parked": 1, "dead-letters": 1}


def test_a_repeat_is_told_what_it_was_told_first(served: Served, api: Client, tenant: str) -> None:
    """Also after a refill, and the record that is delivered again is the same to the byte."""
    api.wallet("w", "0.15", "sim-1")
    events = [event("1"), event("2"), event("3"), event("4", country="KP")]
    first = send(api, *events)
    assert [verdict(first, index)[0] for index in range(4)] == ["rated", "rated", "refused", "refused"]
    api.post("/v1/wallets/w/top-ups", {"amount": "5.00"}, "refill").ok(201)
    again = send(api, *events)
    assert again["events"] == [told | {"repeated": True} for told in first["events"]]
    assert api.balance("w") == "5.00"
    delivered = [line for line in served.topic("rated") if orjson.loads(line)["tenant"] == tenant]
    assert (len(delivered), len(set(delivered))) == (4, 2)


def test_the_same_event_twice_in_one_request_is_charged_once(api: Client) -> None:
    api.wallet("w", "10.00", "sim-1")
    answer = send(api, event("1"), event("1"))
    assert [(verdict(answer, i), answer["events"][i].get("repeated", False)) for i in range(2)] == [
        (("rated", "", "0.10"), False),
        (("rated", "", "0.10"), True),
    ]
    assert api.balance("w") == "9.90"


def test_a_request_under_a_key_is_held_to_it(api: Client) -> None:
    api.wallet("w", "10.00", "sim-1")
    first = api.post("/v1/usage", event("1"), "k").ok()
    assert api.post("/v1/usage", event("1"), "k").ok()["events"] == [first["events"][0] | {"repeated": True}]
    api.post("/v1/usage", event("2"), "k").problem(409, "conflict", "Idempotency-Key")
    api.post("/v1/wallets/w/top-ups", {"amount": "1"}, "k").problem(409, "conflict", "Idempotency-Key")
    assert api.balance("w") == "9.90"


def test_one_event_is_no_array(api: Client) -> None:
    api.wallet("w", "10.00", "sim-1")
    assert verdict(api.post("/v1/usage", event("1")).ok()) == ("rated", "", "0.10")


def test_an_event_in_any_form_is_the_same_event(api: Client) -> None:
    api.wallet("w", "10.00", "sim-1")
    first = send(api, event("1"))["events"]
    told = [first[0] | {"repeated": True}]
    structured = api.post("/v1/usage", cloudevent("1"), Content_Type=CLOUDEVENT)
    many = api.post("/v1/usage", [cloudevent("1")], Content_Type=CLOUDEVENTS)
    data = cloudevent("1")["data"]
    attributes = {"ce_specversion": "1.0", "ce_type": "usage", "ce_source": "feed", "ce_id": "1"}
    binary = api.post("/v1/usage", data, **attributes)
    assert [answer.ok()["events"] for answer in (structured, many, binary)] == [told, told, told]
    assert api.balance("w") == "9.90"


def test_an_event_that_came_through_another_door_keeps_its_verdict(
    served: Served, api: Client, tenant: str, tmp_path: Path
) -> None:
    api.wallet("w", "0.15", "sim-1")
    lines = [orjson.dumps(orjson.loads(message(str(number))) | {"tenant": tenant}) for number in range(3)]
    (tmp_path / "usage.jsonl").write_bytes(b"\n".join(lines))
    command = [sys.executable, "-m", "rater.cli", "run", str(tmp_path / "usage.jsonl")]
    subprocess.run(command, env=environment(served.settings), check=True, capture_output=True)
    answer = send(api, *(orjson.loads(line) for line in lines))
    assert [verdict(answer, index) for index in range(3)] == [
        ("rated", "", "0.10"), ("rated", "", "0.05"), ("refused", "suspended", "0.00"),
    ]  # fmt: skip
    assert all(found["repeated"] for found in answer["events"])
    assert api.balance("w") == "0.00"


def test_an_event_that_redis_has_forgotten_keeps_its_verdict(tmp_path: Path) -> None:
    """Only the ledger knows what it was told."""
    with serving(tmp_path) as served:
        api = served.key("t")
        api.wallet("w", "0.15", "sim-1")
        events = [event("1"), event("2"), event("3")]
        first = send(api, *events)
        api.post("/v1/wallets/w/top-ups", {"amount": "5.00"}, "refill").ok(201)
        while len(api.get("/v1/wallets/w/history").ok()["entries"]) < 5:
            time.sleep(0.1)
        served.forget_ids()
        again = send(api, *events)
        assert again["events"] == [told | {"repeated": True} for told in first["events"]]
        assert api.balance("w") == "5.00"


@pytest.mark.parametrize(
    ("body", "status", "kind", "field"),
    [
        (b"", 400, "malformed", ""),
        (b"[{]", 400, "malformed", ""),
        (b'{"id": "\xff"}', 400, "malformed", ""),
        (b'{"x":' + b"[" * 5000, 400, "malformed", ""),
        (b"[]", 422, "invalid", ""),
        (b"17", 422, "invalid", ""),
        ([event("1"), 17], 422, "invalid", "/1"),
        ([event("1"), event("2", source=None)], 422, "invalid", "/1/source"),
        ([event("1"), event("2") | {"id": 7}], 422, "invalid", "/1/id"),
        ([event("1"), event("2") | {"tenant": None}], 422, "invalid", "/1/tenant"),
        ([event("1"), event("2", tenant="somebody-else")], 403, "not-allowed", "/1/tenant"),
        (event("1", tenant="somebody-else"), 403, "not-allowed", "tenant"),
    ],
    ids=[
        "nothing", "no JSON", "no UTF-8", "too deep", "no event", "a number", "a number among events", "no source",
        "an id that is no text", "no tenant", "another tenant's among ours", "another tenant's",
    ],
)  # fmt: skip
def test_a_request_that_is_wrong_as_a_whole_charges_nothing(
    api: Client, body: Any, status: int, kind: str, field: str
) -> None:
    api.wallet("w", "10.00", "sim-1")
    api.post("/v1/usage", body).problem(status, kind, field)
    assert api.balance("w") == "10.00"


def test_a_tenant_that_is_hidden_in_an_event_is_not_believed(served: Served, api: Client, tenant: str) -> None:
    """In the data of a CloudEvent, in base64, in a header, or under a name that is spelt with escapes."""
    other = f"{tenant}-other"
    victim = served.key(other)
    victim.wallet("w", "10.00", "sim-1")
    hidden = cloudevent("1")
    hidden["data"]["tenant"] = other
    assert verdict(api.post("/v1/usage", hidden, Content_Type=CLOUDEVENT).ok())[:2] == ("dead_lettered", "invalid")
    attributes = {"ce_specversion": "1.0", "ce_type": "usage", "ce_source": "feed", "ce_id": "2"}
    inside = api.post("/v1/usage", event("2", tenant=other, source=None), **attributes)
    assert verdict(inside.ok())[:2] == ("dead_lettered", "invalid")
    api.post("/v1/usage", event("2"), **attributes, ce_tenant=other).problem(403, "not-allowed", "tenant")
    escaped = json.dumps(event("3"))[:-1].encode() + b', "\\u0074enant": "' + other.encode() + b'"}'
    api.post("/v1/usage", escaped).problem(403, "not-allowed", "tenant")
    twice = json.dumps(event("4", tenant=tenant))[:-1].encode() + b', "tenant": "' + other.encode() + b'"}'
    api.post("/v1/usage", twice).problem(403, "not-allowed", "tenant")
    assert victim.balance("w") == "10.00"
    assert records(served, other, "dead-letters") == []


def test_an_admin_key_without_a_tenant_names_one_in_each_event(served: Served, tenant: str) -> None:
    owner, admin = served.key(tenant), served.key("", "admin")
    owner.wallet("w", "10.00", "sim-1")
    assert verdict(send(admin, event("1", tenant=tenant))) == ("rated", "", "0.10")
    assert verdict(admin.post(f"/v1/usage?tenant={tenant}", event("2")).ok()) == ("rated", "", "0.10")
    admin.post("/v1/usage", event("3")).problem(422, "invalid", "tenant")
    assert owner.balance("w") == "9.80"


def test_a_key_of_one_account_sends_usage_of_its_own_sims_only(served: Served, api: Client, tenant: str) -> None:
    api.wallet("mine", "10.00", "sim-1")
    api.wallet("theirs", "10.00", "sim-2")
    company = served.key(tenant, "ingest", account="mine")
    assert verdict(send(company, event("1"))) == ("rated", "", "0.10")
    company.post("/v1/usage", [event("2"), event("3", sim="sim-2")]).problem(404, "not-found", "/1")
    company.post("/v1/usage", event("4", sim="nobody")).problem(404, "not-found", "")
    assert (api.balance("mine"), api.balance("theirs")) == ("9.90", "10.00")


def test_requests_at_once_are_each_answered_for_their_own(api: Client) -> None:
    """They share batches, and a wallet that runs dry does so once."""
    api.wallet("w", "10.00", "sim-1", "sim-2")

    def one(number: int) -> list[tuple[str, str, str]]:
        events = [event(f"{number}-{index}", sim=f"sim-{1 + index % 2}") for index in range(5)]
        answer = send(api, *events)
        assert [found["id"] for found in answer["events"]] == [sent["id"] for sent in events]
        return [verdict(answer, index) for index in range(5)]

    with ThreadPoolExecutor(16) as pool:
        told = [found for answer in pool.map(one, range(40)) for found in answer]
    assert told.count(("rated", "", "0.10")) == 100
    assert told.count(("refused", "suspended", "0.00")) == 100
    assert api.balance("w") == "0.00"


def test_what_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    with serving(tmp_path, batch_max=10, body_bytes_max=100_000) as served:
        api = served.key("t")
        api.wallet("w", "10.00", "sim-1")
        assert "11 events" in api.post("/v1/usage", [event(str(n)) for n in range(11)]).problem(413, "too-large")
        api.post("/v1/usage", b" " * 100_001).problem(413, "too-large")
        connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=60)
        unsaid = (b" " * 50_000 for _ in range(3))
        connection.request("POST", "/v1/usage", unsaid, {"Authorization": f"Bearer {api.key}", "Content-Type": JSON})
        assert connection.getresponse().status == 413, "though it did not say how long it is"
        connection.close()
        api.post("/v1/usage", b"{}", Content_Type="text/csv").problem(415, "media-type", "Content-Type")
        api.post("/v1/usage", b"{}", Content_Encoding="gzip").problem(415, "media-type", "Content-Encoding")
        assert api.balance("w") == "10.00"
