"""`rater plan check` lists every mistake at once, `rater plan show` says what a plan offers."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rater.cli import main
from rater.settings import CONFIG
from tests.rater.plans.reading.good import GOOD
from tests.rater.plans.reading.test_references import TARIFF


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A catalogue of one tariff and two plans."""
    (tmp_path / "tariffs").mkdir()
    (tmp_path / "plans").mkdir()
    (tmp_path / "tariffs" / "world.yaml").write_text(TARIFF)
    (tmp_path / "plans" / "good.yaml").write_text(GOOD)
    other = 'plan: other\nversions: [{version: "1", effective_from: "2026-01-01", tariff: world}]\n'
    (tmp_path / "plans" / "other.yaml").write_text(other)
    return tmp_path


def check(*paths: Path) -> Result:
    """What the check of these says."""
    return CliRunner().invoke(main, ["plan", "check", *map(str, paths)])


def test_clean_files_are_summed_up_in_a_line_each(catalogue):
    result = check(catalogue)
    assert (result.exit_code, result.output.splitlines()) == (0, [
        f"{catalogue}/plans/good.yaml: no mistakes in 2 versions, 1 allowance",
        f"{catalogue}/plans/other.yaml: no mistakes in 1 version",
    ])  # fmt: skip


def test_mistakes_of_all_files_are_listed_and_the_status_is_1(catalogue):
    (catalogue / "plans" / "good.yaml").write_text(GOOD.replace("EUR", "EURO").replace("10 GB", "10 gb"))
    (catalogue / "plans" / "other.yaml").write_text("plan: other\n")
    result = check(catalogue)
    assert result.exit_code == 1
    assert "good.yaml:3: currency" in result.output
    assert 'good.yaml:28: quantity "10 gb" is no quantity' in result.output
    assert 'other.yaml:1: a plan has no versions; write at least one, with "version"' in result.output
    assert "3 mistakes" in result.output


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("plans/good.yaml", "[eu, CH", "[euu, CH", 'tariff "world" has no zone "euu"; write "eu"'),
        ("plans/good.yaml", "migrate_to: other", "migrate_to: moon", 'there is no plan "moon"'),
        ("plans/other.yaml", "tariff: world", "tariff: moon", 'there is no tariff "moon"; write one of world'),
        ("plans/other.yaml", "plan: other", "plan: good", 'has a plan named "good" too; rename one'),
    ],
)
def test_what_a_plan_names_is_looked_up_in_its_catalogue(catalogue, file, old, new, says):
    path = catalogue / file
    path.write_text(path.read_text().replace(old, new, 1))
    result = check(catalogue)
    assert result.exit_code == 1
    assert says in result.output


def test_one_file_of_a_catalogue_knows_the_others(catalogue):
    assert check(catalogue / "plans" / "good.yaml").exit_code == 0


def test_tariffs_with_a_mistake_are_left_to_their_own_check(catalogue):
    (catalogue / "tariffs" / "world.yaml").write_text("tariff: world\n")
    result = check(catalogue)
    assert result.exit_code == 0
    assert "tariffs are not looked up, as one has a mistake" in result.output


def test_the_vat_table_of_a_catalogue_is_checked_too(catalogue):
    (catalogue / "vat.csv").write_text("country,percent,effective_from\nDE,19,2021-01-01\n")
    assert f"{catalogue}/vat.csv: no mistakes in the VAT rates of DE" in check(catalogue).output
    (catalogue / "vat.csv").write_text("country,percent,effective_from\nDE,190,2021-01-01\nUK,20,2021-01-01\n")
    result = check(catalogue)
    assert result.exit_code == 1
    assert 'vat.csv:2: percent "190" is not between 0 and 100' in result.output
    assert 'vat.csv:3: "UK" is no ISO 3166-1 alpha-2 country' in result.output
    assert "2 mistakes" in result.output


def test_a_folder_without_plans_is_an_error(tmp_path):
    result = check(tmp_path)
    assert result.exit_code == 1
    assert "no plan (*.yaml) in" in result.output


def test_the_sample_catalogue_and_its_examples_are_clean():
    result = check(Path(CONFIG))
    assert result.exit_code == 0, result.output
    assert "examples/d-voice-b.yaml: no mistakes in 1 version, 1 allowance, 1 add-on" in result.output


class TestShow:
    """`rater plan show`."""

    def show(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["plan", "show", *arguments])

    def test_a_plan_of_the_catalogue_by_its_name(self):
        result = self.show("payg-eur")
        assert result.exit_code == 0
        assert result.output.startswith("payg-eur 1\n  from        2026-01-01 00:00 Europe/Berlin\n")

    def test_each_version_of_a_file_or_one_of_them(self, catalogue):
        path = str(catalogue / "plans" / "good.yaml")
        every = [line for line in self.show(path).output.splitlines() if not line.startswith(" ")]
        assert every == ["good 1", "good 2"]
        one = [line for line in self.show(path, "--version", "2").output.splitlines() if not line.startswith(" ")]
        assert one == ["good 2"]

    def test_a_plan_that_is_not_there_is_told_which_are(self):
        result = self.show("moon")
        assert result.exit_code == 1
        assert 'there is no plan "moon"; there are payg-eur, payg-usd' in result.output

    def test_a_version_that_is_not_there_is_an_error(self):
        assert 'plan "payg-eur" has no version "9"' in self.show("payg-eur", "--version", "9").output

    def test_an_example_is_no_live_plan(self):
        assert self.show("voice-a").exit_code == 1
