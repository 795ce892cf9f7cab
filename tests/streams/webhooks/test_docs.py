"""docs/webhooks.md: its commands work as typed with its receiver, and its schedule is the one that is kept."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import msgspec
import pytest

from schemas.webhook import WebhookMessage
from streams.embedded.ports import free_ports
from streams.webhooks.delivery import GAPS_MS
from tests.test_readme import environment

TEXT = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
(RECEIVER,) = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
MIN_MS, HOUR_MS = 60_000, 3_600_000


@pytest.mark.slow
def test_the_receiver_hears_what_the_page_says(tmp_path: Path) -> None:
    port, hook_port = free_ports(2)
    serve, receive, commands, rule = BLOCKS
    variables = environment(tmp_path / "data") | {"RATER_HTTP_PORT": str(port), "RATER_METRICS_PORT": "0"}
    (tmp_path / "receiver.py").write_text(RECEIVER.replace("8099", str(hook_port)))
    with (tmp_path / "log").open("wb") as log, (tmp_path / "heard").open("wb") as heard:
        # `VARIABLE=... rater serve`, without a shell between: the signal is for the server.
        start = serve.replace("RATER_WEBHOOKS", "exec env RATER_WEBHOOKS")
        server = subprocess.Popen(["bash", "-c", start], cwd=tmp_path, env=variables, stdout=log, stderr=log)
        receiver = subprocess.Popen(["bash", "-c", f"exec {receive}"], cwd=tmp_path, env=variables, stdout=heard)
        try:
            wait = f"until curl -sf http://127.0.0.1:{port}/readyz >ready; do sleep 0.1; done\n"
            script = wait + commands + rule + "sleep 3\n"
            script = script.replace("127.0.0.1:8080", f"127.0.0.1:{port}").replace("8099", str(hook_port))
            done = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", script], cwd=tmp_path, env=variables, check=False,
                capture_output=True, text=True, timeout=120,
            )  # fmt: skip
        finally:
            for process in (server, receiver):
                process.terminate()
                process.wait(60)
    assert done.returncode == 0, done.stdout + done.stderr
    webhook, validated, *_, deliveries, replay, made = map(json.loads, done.stdout.split("\n")[:-1])
    assert (webhook["status"], webhook["error"]) == ("pending", "answered 401")
    assert validated["status"] == "enabled"
    told = {"wallet.zero", "sim.suspended", "wallet.refilled", "wallet.resumed", "sim.resumed"}
    named = set(re.findall(r"`([a-z.]+)`", TEXT.partition("The receiver prints")[2].partition(", in about")[0]))
    assert named == told | {"webhook.validation"}
    types = [line.partition(" ")[0] for line in (tmp_path / "heard").read_text().splitlines()]
    assert types.count("webhook.validation") == 1
    assert {kind: types.count(kind) for kind in told} == dict.fromkeys(told, 2)
    states = [(found["type"], found["state"]) for found in deliveries["deliveries"]]
    assert ("webhook.validation", "failed") in states
    assert told <= {kind for kind, state in states if state == "delivered"}
    assert replay["replayed"] >= 5
    assert made["type"] == "rule.sim_card.remaining_usage.triggered"


def test_the_schedule_is_the_one_that_is_kept() -> None:
    units = {"s": 1_000, "min": MIN_MS, "h": HOUR_MS}
    (gaps,) = re.findall(r"^\| after the one before \| (.*) \|$", TEXT, re.MULTILINE)
    assert [int(n) * units[unit] for n, unit in (cell.split() for cell in gaps.split(" | "))] == list(GAPS_MS)
    (since,) = re.findall(r"^\| since the first \| (.*) \|$", TEXT, re.MULTILINE)
    for place, cell in enumerate(since.split(" | ")):
        number, unit = cell.split()
        assert float(number) == pytest.approx(sum(GAPS_MS[: place + 1]) / units[unit], abs=0.051)


def test_the_message_that_is_shown_is_one() -> None:
    (shown,) = re.findall(r"^```json\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert msgspec.json.decode(shown, type=WebhookMessage).type == "wallet.zero"
