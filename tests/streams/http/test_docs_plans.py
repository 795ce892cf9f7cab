"""docs/plans.md, "Over HTTP": its commands work as typed in a folder beside config/, its answers are what comes."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest

from tests.pages import ROOT, blocks, checkout, play

SECTION = (ROOT / "docs" / "plans.md").read_text().partition("\n## Over HTTP\n")[2]
(COMMANDS,) = blocks(SECTION)
ANSWERS = blocks(SECTION, "json")[0].splitlines()


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the commands print, a line each, after the catalogue was checked."""
    lines = play(COMMANDS, checkout(tmp_path_factory.mktemp("docs")))
    checked = [line for line in lines if not line.startswith("{")]
    assert checked
    assert all("no mistakes" in line for line in checked)
    return lines[len(checked) :]


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
