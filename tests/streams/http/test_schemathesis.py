"""Thousands of made-up calls, by the OpenAPI document and against it: none is answered otherwise than it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.streams.http.served import Client, Served

CONFIG = Path(__file__).with_name("schemathesis.toml")
#: Continuous integration makes the same calls each time; a developer's run looks further.
SAME_EACH_TIME = ("--seed", "1") if os.environ.get("CI") else ()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("names", ["made up", "known"])
def test_schemathesis_finds_nothing(served: Served, api: Client, tmp_path: Path, names: str) -> None:
    """With names of wallets and SIMs that are made up, and with such that exist."""
    api.wallet("acme", "10.00", "sim-1")
    account = {"account": "acme", "kind": "organisation", "owner": "alice", "currency": "EUR", "country": "DE"}
    api.post("/v1/accounts", account, "make").ok(201)
    config = CONFIG.read_text()
    if names == "known":
        webhook = api.post("/v1/webhooks", {"url": "http://127.0.0.1:9/"}, "hook").ok(201)["id"]
        rule = api.post("/v1/rules", {"metric": "sim_card.usage", "threshold": "1 MB"}, "rule").ok(201)["id"]
        config += '\n[parameters]\n"path.wallet" = "acme"\n"path.sim" = "sim-1"\n"path.plan" = "payg"\n'
        config += f'"path.webhook" = "{webhook}"\n"path.rule" = "{rule}"\n'
        config += '"path.account" = "acme"\n"path.user" = "bob"\n'
    (tmp_path / "schemathesis.toml").write_text(config)
    done = subprocess.run(
        [Path(sys.executable).with_name("schemathesis"), "--config-file", tmp_path / "schemathesis.toml", "run",
         f"http://127.0.0.1:{api.port}/v1/openapi.json", "--header", f"Authorization: Bearer {api.key}",
         "--max-examples", "20", "--request-timeout", "60", "--continue-on-failure", "--no-color",
         "--generation-database", "none"],
        cwd=tmp_path, check=False, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "a call failed" not in served.log
