"""`rater wallet` and `rater sim` as a person types them, on embedded parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from rater.cli import main

Rater = Callable[..., Result]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def rater(data: Path) -> Rater:
    def run(command: str) -> Result:
        return CliRunner().invoke(main, ["--data", str(data), *command.split()])

    assert run("wallet create --tenant t acme --currency EUR --balance 5").exit_code == 0
    assert run("wallet create --tenant t other --currency EUR --balance 5").exit_code == 0
    return run


def test_a_wallet_from_creation_to_its_floor(rater: Rater) -> None:
    assert "t/acme  7.50 EUR  active" in rater("wallet top-up --tenant t acme 2.50 --id refill-1").output
    assert "done before, nothing changed" in rater("wallet top-up --tenant t acme 2.50 --id refill-1").output
    assert "held (operator)" in rater("wallet hold --tenant t acme operator").output
    assert "active" in rater("wallet release --tenant t acme operator").output
    assert "floor -100.00" in rater("wallet floor --tenant t acme -100").output
    shown = orjson.loads(rater("wallet show --tenant t acme --json").output)
    assert (shown["balance"], shown["floor"], shown["holds"]) == ("7.50", "-100.00", [])


def test_a_sim_is_not_made_known_or_moved_with_a_plan_that_is_not_there(rater: Rater) -> None:
    assert rater("sim add --tenant t s2 --wallet acme --plan nope").exit_code == 1
    assert "sim: t has no SIM s2" in rater("sim show --tenant t s2").output
    assert rater("sim add --tenant t s2 --wallet acme --plan payg-eur").exit_code == 0
    assert "Error: plan: the catalogue has no plan nope" in rater("sim move --tenant t s2 --plan nope").output
    assert len(orjson.loads(rater("sim show --tenant t s2").output)["assignments"]) == 1


def test_a_sim_is_added_moved_and_shown(rater: Rater) -> None:
    assert rater("sim add --tenant t s1 --wallet acme --plan payg-eur --iccid 8900").exit_code == 0
    assert "pays from other" in rater("sim move --tenant t s1 --wallet other --from 2026-01-01T00:00:00Z").output
    assert "pays from other" in rater("sim move --tenant t s1 --wallet other --from 2026-01-01T00:00:00Z").output
    shown = orjson.loads(rater("sim show --tenant t s1").output)
    assert (shown["version"], [a["wallet"] for a in shown["assignments"]]) == (2, ["acme", "other"])
    assert "pays for 1: s1" in rater("wallet show --tenant t other").output


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("wallet top-up --tenant t acme -5", "amount: must not be negative"),
        ("wallet top-up --tenant t acme 1,5", "amount: "),
        ("wallet top-up --tenant t nowhere 5", "wallet: t has no wallet nowhere"),
        ("wallet show --tenant t nowhere", "wallet: t has no wallet nowhere"),
        ("wallet create --tenant t x --currency EURO", 'currency: "EURO"'),
        ("wallet create --tenant t acme --currency EUR --balance 99", "id: "),
        ("wallet hold --tenant t acme fraud --sim nobody", "subscriber: nobody"),
        ("sim add --tenant t s9 --wallet nowhere --plan p", "wallet: t has no wallet nowhere"),
        ("sim move --tenant t nobody --wallet acme", "sim: t has no SIM nobody"),
        ("sim add --tenant t s9 --wallet acme --plan nope", "plan: the catalogue has no plan nope"),
        ("sim add --tenant t s9 --wallet acme --plan payg-usd", "plan: its tariff is not in EUR"),
        ("sim add --tenant t s9 --wallet acme --plan payg-eur --from yesterday", "from: "),
        ("sim show --tenant t nobody", "sim: t has no SIM nobody"),
    ],
)
def test_an_error_names_the_field(rater: Rater, command: str, says: str) -> None:
    result = rater(command)
    assert result.exit_code == 1
    assert f"Error: {says}" in result.output
