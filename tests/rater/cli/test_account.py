"""`rater account` as a person types it, on embedded parts: errors name the field, and repeats change nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rater.cli import main

Rater = Callable[..., Result]
ACME = "account create --tenant t acme --owner alice --currency EUR --country DE"


@pytest.fixture(scope="module")
def rater(tmp_path_factory: pytest.TempPathFactory) -> Rater:
    data: Path = tmp_path_factory.mktemp("data")

    def run(command: str) -> Result:
        return CliRunner().invoke(main, ["--data", str(data), *command.split()])

    for command in (
        ACME,
        "account create --tenant t north --organisation acme --owner c --currency EUR --country DE --zone Asia/Tokyo",
        "wallet create --tenant t purse --currency EUR --balance 5",
        "wallet create --tenant t dollars --currency USD --balance 5",
        "account claim-wallet --tenant t north purse",
    ):
        assert run(command).exit_code == 0, run(command).output
    return run


def test_the_same_again_changes_nothing(rater: Rater) -> None:
    assert "done before, nothing changed" in rater(ACME).output
    give = "account give-role --tenant t acme bob manager --id g"
    assert "done before" not in rater(give).output
    assert "done before" in rater(give).output


def test_a_sim_is_the_wallets_accounts_in_its_zone(rater: Rater) -> None:
    assert rater("sim add --tenant t s1 --wallet purse --plan payg-eur").exit_code == 0
    shown = rater("sim show --tenant t s1").output
    assert '"account": "north"' in shown
    assert '"zone": "Asia/Tokyo"' in shown


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("account change --tenant t north --zone Mars/Base", 'zone: "Mars/Base" is no IANA time zone'),
        ("account change --tenant t nobody --zone UTC", "account: t has no account nobody"),
        ("account change --tenant t north --zone UTC --as mallory", "account: only the owner (c) or a manager"),
        ("account transfer --tenant t north c", "owner: c is the owner of north already"),
        ("account close --tenant t acme", "account: acme has an open company, north"),
        ("account close --tenant t north", "account: wallet purse of north stands at 5.00 EUR"),
        ("account claim-wallet --tenant t acme purse", "wallet: purse belongs to the account north"),
        ("account claim-wallet --tenant t acme dollars", "currency: acme is billed in EUR, not USD"),
        ("wallet transfer --tenant t purse dollars 1", "to_wallet: dollars is kept in USD, not EUR"),
        ("wallet transfer --tenant t purse nobody 1", "to_wallet: t has no wallet nobody"),
        ("wallet transfer --tenant t purse purse 1,5", "amount: "),
    ],
)
def test_an_error_names_the_field(rater: Rater, command: str, says: str) -> None:
    result = rater(command)
    assert result.exit_code == 1, result.output
    assert says in result.output
