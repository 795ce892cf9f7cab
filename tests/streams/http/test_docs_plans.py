"""docs/plans.md, "Over HTTP": its commands work as typed in a folder beside config/, its answers are what comes."""

from __future__ import annotations

import json
import re
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from streams.embedded.ports import free_ports
from tests.test_readme import environment

ROOT = Path(__file__).parents[3]
SECTION = (ROOT / "docs" / "plans.md").read_text().partition("\n## Over HTTP\n")[2]
BLOCKS = re.findall(r"^```sh\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
ANSWERS = re.findall(r"^```json\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)[0].splitlines()


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the commands print, a line each."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "config").symlink_to(ROOT / "config")
    (port,) = free_ports(1)
    variables = environment(folder / "data") | {"RATER_HTTP_PORT": str(port), "RATER_METRICS_PORT": "0"}
    serve, commands = BLOCKS
    serve = re.sub(r"^(RATER_\S+ rater serve)$", r"exec env \1", serve, flags=re.MULTILINE)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(["bash", "-e", "-c", serve], cwd=folder, env=variables, stdout=log, stderr=log)
        try:
            wait = f"until curl -sf http://127.0.0.1:{port}/readyz >ready; do sleep 0.1; done\n"
            script = wait + commands.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
            done = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", script], cwd=folder, env=variables, check=False,
                capture_output=True, text=True, timeout=120,
            )  # fmt: skip
        finally:
            server.terminate()
            server.wait(60)
    assert done.returncode == 0, done.stdout + done.stderr + (folder / "log").read_text()
    return done.stdout.splitlines()


@pytest.mark.slow
def test_each_command_answers_as_told(said: list[str]) -> None:
    answers: list[dict[str, Any]] = [json.loads(line) for line in said]
    plans, plan, india, kinds, _, short, card, _, usage, estimate = answers
    assert (len(plans["plans"]), plan["in_force"]) == (3, "1")
    assert [said[2], said[5]] == ANSWERS
    assert (india["lines"][0]["buys"], len(kinds["lines"])) == ("400", 5)
    assert (short["refused"], short["short"], card["refused"]) == (True, "0.01", False)
    assert usage["fates"] == {"rated": 1}
    price = Fraction(usage["events"][0]["charged"]) / 1100
    (month,) = estimate["months"]
    assert (month["fee"], Fraction(month["usage"])) == ("49.00", 100 * price)
