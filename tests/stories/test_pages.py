"""docs/stories and "Selling one" of docs/plans.md: their commands come to the figures that the pages name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.pages import ROOT, blocks, checkout, play, terminal

pytestmark = pytest.mark.slow

Answers = list[dict[str, Any]]


def story(name: str, folder: Path) -> tuple[str, Answers]:
    """A page, and what the server answered to its commands, in order."""
    text = (ROOT / "docs" / "stories" / f"{name}.md").read_text()
    (script,) = blocks(text)
    return text, answers(play(script, checkout(folder)))


def answers(lines: list[str]) -> Answers:
    """Those of the lines that the server said; the command line says others."""
    return [json.loads(line) for line in lines if line.startswith("{")]


def problems(found: Answers) -> Answers:
    """The answers that are errors."""
    return [answer for answer in found if str(answer.get("type", "")).startswith("urn:rater:problem:")]


def balances(found: Answers) -> list[str]:
    """Of wallets that were looked at."""
    return [answer["balance"] for answer in found if "floor" in answer and "available" in answer]


def test_a_is_sold_and_told_to_a_receiver(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "plans.md").read_text().partition("\n## Selling one\n")[2].partition("\n## ")[0]
    serve, receive, commands = blocks(text)
    script = terminal(serve) + terminal(receive, "heard") + commands + "sleep 3\n"
    found = answers(play(script, checkout(tmp_path)))
    assert (found[0]["error"], problems(found), balances(found)) == ("answered 401", [], ["0.30"])
    events = [answer["events"][0] for answer in found if "events" in answer and "fates" in answer]
    assert [event["charged"] for event in events] == ["0.70", "1.00", "0.30", "0.00", "0.04"]
    assert [sim["holds"] for sim in found if "holds" in sim and "sim" in sim] == [[], ["parent"], []]
    assert found[-1]["entries"][0]["balance_after"] == "26.46"
    heard = (tmp_path / "heard").read_text()
    assert "Traceback" not in heard
    types = [line.partition(" ")[0] for line in heard.splitlines() if "{" in line]
    named = re.findall(r"`((?:\w+\.)+\w+)`", text.partition("The receiver logs")[2].partition("not always")[0])
    assert sorted(types) == sorted([*named, "plan.renewed"]), "plan.renewed twice"


def test_b_ends_with_the_invoices_it_tells_of(tmp_path: Path) -> None:
    text, found = story("b", tmp_path)
    refused, early = problems(found)
    assert json.dumps(refused, separators=(",", ":")) in text
    assert "payment details" in early["detail"]
    invoices = [[(one["total"], one["status"]) for one in page["invoices"]] for page in found if "invoices" in page]
    assert invoices == [[("6.75", "open")], [], [("9.00", "open"), ("6.75", "paid")], [("4.50", "open")]]
    assert balances(found) == ["0.00"]
    assert found[-1]["plan"] == "usage-invoiced"


def test_c_counts_credits_and_money_as_it_says(tmp_path: Path) -> None:
    text, found = story("c", tmp_path)
    _, short, by_quote = problems(found)
    assert json.dumps(short, separators=(",", ":")) in text
    assert "by quote only" in by_quote["detail"]
    left = [answer["remaining"][0]["left"] for answer in found if "remaining" in answer]
    assert left == ["2", "99610", "20000", "50000"]
    assert balances(found) == ["13.69"]
    assert [order["order"] for order in found[-1]["orders"]] == ["q-1", "o-6", "o-5", "o-4", "o-3"]


def test_d_previews_what_it_charges(tmp_path: Path) -> None:
    text, found = story("d", tmp_path)
    assert problems(found) == []
    assert balances(found) == ["45.00"]
    (preview,) = (answer for answer in found if "month_total" in answer)
    (shown,) = (json.loads(block) for block in blocks(text, "json"))
    assert {name: preview[name] for name in ("charged_now", "month_total", "next_fee")} == {
        name: shown[name] for name in ("charged_now", "month_total", "next_fee")
    }
    assert preview["capacity"]["channels"] == shown["capacity"]["channels"] == 6
    assert [found[-2]["remaining"][0]["left"], found[-1]["entries"][0]["balance_after"]] == ["2000", "19.00"]


def test_e_holds_and_releases_the_number(tmp_path: Path) -> None:
    _, found = story("e", tmp_path)
    (wrong,) = problems(found)
    assert wrong["field"] == "capabilities"
    assert balances(found) == ["16.00", "1.00"]
    held = [[number["state"] for number in page["numbers"]] for page in found if "allowed" in page]
    assert held == [["on-hold"], ["active"], ["on-hold"], []]
    assert found[-1]["state"] == "resting"
