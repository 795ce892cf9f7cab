"""What the README and the pages of docs/ say is so: commands work as told, targets, links and files exist."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import need
from tests.pages import ROOT, checkout, environment

README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def code_of(page: Path) -> list[str]:
    """The lines of its fenced blocks, and its inline code."""
    text = page.read_text()
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    return [*(line for block in blocks for line in block.splitlines()), *spans]


@by_name
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    named = {match[1] for code in code_of(page) if (match := re.match(r"make (\w+)", code.strip()))}
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named <= targets
    if page == README:
        assert {"run", "test", "stream"} <= named


@by_name
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link.partition("#")[0]).exists()] == []
    if page == README:
        assert {f"docs/{doc.name}" for doc in (ROOT / "docs").glob("*.md")} <= set(links), "each page can be found"


@by_name
def test_every_file_of_the_tree_that_is_named_exists(page: Path) -> None:
    tree = r"(?:rater|streams|schemas|config|docs|benchmarks|tests|scripts)/[\w./-]*"
    named = {match[0] for code in code_of(page) if (match := re.fullmatch(tree, code))}
    assert {path for path in named if not (ROOT / path).exists()} == set()


def shell(script: str, folder: Path, data: Path) -> str:
    """What a script says; its first command that fails ends it and the test."""
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=folder, env=environment(data), check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which the block under "Try it by hand" was typed, and what it said."""
    folder = checkout(tmp_path_factory.mktemp("by-hand"))
    found = re.search(r"^## Try it by hand\n.*?^```sh\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return folder, shell(found[1], folder, folder / "data")


def asked(folder: Path, command: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shell(command, folder, folder / "data").splitlines()]


@pytest.mark.slow
def test_by_hand_the_quote_is_what_the_wallet_would_pay(by_hand: tuple[Path, str]) -> None:
    folder, said = by_hand
    assert "priced, 1.30 EUR" in said
    assert re.search(r"^charged +1\.00 EUR$", said, re.MULTILINE)
    assert re.search(r"^uncovered +0\.30 EUR$", said, re.MULTILINE)
    (record,) = asked(folder, "rater query --json 'SELECT * FROM rated_records_once'")
    money = {name: record[f"{name}_nanos"] for name in ("amount", "charged", "uncovered", "balance_after")}
    assert money == {"amount": 1_300_000_000, "charged": 1_000_000_000, "uncovered": 300_000_000, "balance_after": 0}


HELD = "0.00 EUR  held (balance)"


@pytest.mark.slow
def test_by_hand_the_wallet_is_suspended_then_resumed(by_hand: tuple[Path, str]) -> None:
    folder, said = by_hand
    assert re.search(r"1 SIMs? of 1 wallets? suspended", said)
    order = "ORDER BY wallet, subscriber, status_version"
    events = asked(folder, f"rater query --json 'SELECT * FROM lifecycle_events_once {order}'")
    assert [(event["subscriber"], event["type"], event["cause"]) for event in events] == [
        ("", "suspended", "readme/1"),
        ("", "resumed", "command-line/order-77"),
        ("sim-1", "suspended", "readme/1"),
        ("sim-1", "resumed", "command-line/order-77"),
    ]
    dry, filled = (said.index(f"demo/acme  {shown}\npays for 1: sim-1\n") for shown in (HELD, "20.00 EUR  active"))
    assert dry < filled


@pytest.mark.slow
def test_by_hand_the_same_top_up_again_changes_nothing(by_hand: tuple[Path, str]) -> None:
    folder, _ = by_hand
    wallet = "rater wallet show --tenant demo acme --json"
    before = asked(folder, wallet)
    again = shell("rater wallet top-up --tenant demo acme 20.00 --id order-77", folder, folder / "data")
    assert "done before, nothing changed" in again
    assert asked(folder, wallet) == before


@pytest.mark.slow
def test_by_hand_the_history_has_the_top_up_first(by_hand: tuple[Path, str]) -> None:
    _, said = by_hand
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in said.splitlines() if re.match(r"│ 1\.\d │", line)
    ]
    assert [(n, cause, amount, after) for n, _, _, cause, amount, after in rows] == [
        ("1.4", "command-line/order-77", "20.00", "20.00"),
        ("1.3", "readme/1", "-1.00", "0.00"),
        ("1.2", "directory/join-sim-1-acme-1", "0.00", "1.00"),
        ("1.1", "command-line/create-acme", "1.00", "1.00"),
    ]


EVENTS = 3000


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """The summaries of the first and the second run over the same data."""
    folder = tmp_path_factory.mktemp("demo")
    command = f"rater demo --events {EVENTS} --json"
    return json.loads(shell(command, folder, folder / "data")), json.loads(shell(command, folder, folder / "data"))


def add_up(summary: dict[str, Any]) -> bool:
    return bool(summary["adds_up"] and summary["events_in"] == sum(summary["fates"].values()) == EVENTS)


@pytest.mark.slow
def test_the_demo_accounts_for_every_record(demo: tuple[dict[str, Any], dict[str, Any]]) -> None:
    first, _ = demo
    assert add_up(first)
    assert all(first["fates"].values()), "the sample has something of each fate"
    assert first["ledger_records"] >= first["ledger_events"] == first["fates"]["rated"]
    assert 0 < first["parked_waiting"] <= first["fates"]["parked"]
    assert first["ledger_charged"] == first["charged"]
    assert set(first["charged"]) == {"EUR", "USD"}
    assert first["sims_suspended"]
    assert first["first_suspends"][0]["wallet"]


@pytest.mark.slow
def test_the_demo_again_charges_nothing(demo: tuple[dict[str, Any], dict[str, Any]]) -> None:
    first, second = demo
    assert add_up(second)
    decided = first["fates"]["rated"] + first["fates"]["refused"] + first["fates"]["duplicate"]
    assert second["fates"] == first["fates"] | {"rated": 0, "refused": 0, "duplicate": decided}
    assert second["charged"] == second["uncovered"] == {}
    ledger = (
        "ledger_events",
        "ledger_records",
        "ledger_charged",
        "parked_waiting",
        "sims_suspended",
        "wallets_suspended",
    )
    assert {name: second[name] for name in ledger} == {name: first[name] for name in ledger}


def wallets_aside(summary: dict[str, Any]) -> tuple[dict[str, int], dict[str, int]]:
    """Fates and reasons, those events together that a wallet decided."""
    fates = dict(summary["fates"])
    fates["decided"] = fates.pop("rated") + fates.pop("refused")
    return fates, {why: events for why, events in summary["reasons"].items() if not why.startswith("refused/")}


@pytest.mark.slow
def test_the_demo_over_kafka_comes_to_the_same(demo: tuple[dict[str, Any], dict[str, Any]], tmp_path: Path) -> None:
    """A SIM's usage stays in order, but that of a wallet's SIMs mixes: which event empties it is then another one.

    So how many events are rated and how many refused (as suspended, or else for their region), and what is uncovered,
    may differ. All else is the same: a wallet that runs dry paid its whole balance, the others every event; and both
    copies of an id are of one SIM, so the same one comes first.
    """
    need("java", "openjdk-17-jre-headless")
    need("mvn", "maven")
    files, _ = demo
    stream = json.loads(shell(f"rater demo --stream --events {EVENTS} --json", ROOT, tmp_path / "data"))
    assert add_up(stream)
    assert stream["charged"] == stream["ledger_charged"] == files["charged"]
    assert stream["ledger_events"] == stream["fates"]["rated"]
    assert wallets_aside(stream) == wallets_aside(files)
    for suspended in ("sims_suspended", "wallets_suspended"):
        assert stream[suspended] == files[suspended]
