"""docs/payments.md: its commands work as typed and come to the figures it names; its tables are complete."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import msgspec
import pytest

from streams.embedded.ports import free_ports
from streams.http import auto_refill, payment_methods, payments, refills
from streams.http.payment_forms import NewAutoRefill
from streams.payments.stripe_provider import _DISPUTE_EVENTS, _INTENT_EVENTS
from tests.test_readme import environment

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "payments.md").read_text()
SERVE, COMMANDS = re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the commands under "Trying it" print, a line each."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "config").symlink_to(ROOT / "config")
    (port,) = free_ports(1)
    variables = environment(folder / "data") | {"RATER_HTTP_PORT": str(port), "RATER_METRICS_PORT": "0"}
    serve = SERVE.replace("rater serve", "exec rater serve")
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(["bash", "-ec", serve], cwd=folder, env=variables, stdout=log, stderr=log)
        try:
            wait = f"until curl -sf http://127.0.0.1:{port}/readyz >ready; do sleep 0.1; done\n"
            script = wait + COMMANDS.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
            done = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", script], cwd=folder, env=variables, check=False,
                capture_output=True, text=True, timeout=120,
            )  # fmt: skip
        finally:
            server.terminate()
            server.wait(60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_each_command_answers_as_told(said: list[str]) -> None:
    _, _, offers, paid, again, held, sent, confirmed, filled, listed, _, refilled, ends, organisation = map(
        json.loads, said
    )
    assert [offer["offer"] for offer in offers["offers"]] == ["small", "medium", "large"]
    assert (paid["status"], paid["amount"], paid["balance_now"]) == ("confirmed", "25.00", "27.50")
    assert again == paid | {"repeated": True}
    assert (held["balance"], sent["status"], confirmed["status"]) == ("27.50", "pending", "confirmed")
    assert (filled["balance"], len(listed["payments"])) == ("147.50", 2)
    assert (refilled["status"], refilled["day_spent"]) == ("waiting", "10.00")
    assert (ends["balance"], organisation["balance"]) == ("157.50", "65.00")
    assert all(balance in TEXT for balance in (ends["balance"], organisation["balance"]))


def test_every_endpoint_is_named_with_its_scope() -> None:
    head, _, _ = TEXT.partition("## A payment")
    modules = (auto_refill, payment_methods, payments, refills)
    for endpoint in [endpoint for module in modules for endpoint in module.ENDPOINTS]:
        path = endpoint.path.removeprefix("/v1")
        rows = [row for row in head.splitlines() if row.startswith("| `") and endpoint.method in row and path in row]
        assert rows, (endpoint.method, endpoint.path)
    assert re.search(r"confirm` \| admin \|", head)


def test_every_field_of_auto_refill_and_every_event_of_stripe_is_named() -> None:
    _, _, table = TEXT.partition("## Auto-refill")
    for field in msgspec.structs.fields(NewAutoRefill):
        assert f"`{field.encode_name}`" in table
    for event in (*_INTENT_EVENTS, "charge.refunded", *_DISPUTE_EVENTS):
        assert f"`{event}`" in TEXT
