"""What is the same for every endpoint: problems, the described API, health, and what an unknown path gets."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import msgspec
import pytest

from rater.settings import HttpSettings
from schemas.generate import FOLDER
from streams.http.app import ENDPOINTS
from streams.http.problems import KINDS
from streams.worker_process import environment
from tests.streams.http.served import Client, Served


def test_it_listens_on_this_machine_only_unless_told_otherwise() -> None:
    assert (HttpSettings().host, HttpSettings().port) == ("127.0.0.1", 8080)


def test_health_needs_no_key_and_says_nothing_of_anybody(served: Served) -> None:
    assert served.anybody.get("/healthz").ok() == {"status": "alive"}
    assert served.anybody.get("/readyz").ok() == {"status": "ready"}


def test_it_is_not_ready_while_redis_hangs(served: Served) -> None:
    pid = int((served.data / "redis" / "valkey.pid").read_text())
    try:
        os.kill(pid, signal.SIGSTOP)
        served.anybody.get("/readyz").problem(503, "unavailable")
        assert served.anybody.get("/healthz").ok() == {"status": "alive"}
    finally:
        os.kill(pid, signal.SIGCONT)


def test_the_openapi_document_has_every_endpoint(served: Served) -> None:
    document = served.anybody.get("/v1/openapi.json").ok()
    assert document["openapi"] == "3.1.0"
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
    text = msgspec.json.encode(document).decode()
    references = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert references <= set(document["components"]["schemas"])
    names = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(set(names)) == len(names)


def test_money_is_text_in_every_schema(served: Served) -> None:
    schemas = served.anybody.get("/v1/openapi.json").ok()["components"]["schemas"]
    for name, schema in schemas.items():
        for field, inner in schema.get("properties", {}).items():
            assert inner.get("type") != "number", f"{name}.{field} could be a float"


def test_the_topics_are_described_to_anybody(served: Served) -> None:
    answer = served.anybody.get("/v1/asyncapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.ok() == json.loads((FOLDER / "asyncapi.json").read_text())
    assert b"<a href=asyncapi.json>" in served.anybody.get("/v1/docs").raw


def test_the_docs_page_loads_nothing_from_elsewhere(served: Served) -> None:
    answer = served.anybody.get("/v1/docs")
    page = answer.raw.decode()
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"https?://|<script|<link|<img|@import", page)
    for endpoint in ENDPOINTS:
        assert endpoint.summary in page.replace("&#x27;", "'")


def test_an_unknown_path_and_method_are_problems_too(served: Served, api: Client) -> None:
    served.anybody.get("/v1/nowhere").problem(404, "not-found")
    answer = api.call("PATCH", "/v1/wallets/w/floor", {})
    answer.problem(405, "method")
    assert answer.headers["allow"] == "PUT"
    assert set(api.call("PUT", "/v1/wallets").headers["allow"].split(", ")) == {"POST"}


def test_a_problem_says_what_kind_it_is() -> None:
    assert all(400 <= status < 600 and title for status, title in KINDS.values())
    assert len({status for status, _ in KINDS.values()}) == len(KINDS), "a title for each status"


def test_an_address_that_is_taken_is_an_error_that_names_it(served: Served) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rater.cli", "serve"], env=environment(served.settings), check=False,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"http: cannot listen on 127.0.0.1:{served.settings.http.port}" in done.stderr


@pytest.mark.parametrize("value", ["[]", "nonsense"])
def test_a_parameter_that_is_given_twice_is_refused(api: Client, value: str) -> None:
    api.get(f"/v1/plans?tenant={value}&tenant=x").problem(422, "invalid")
