"""What a plan names and the catalogue does not have is a mistake on its line."""

from __future__ import annotations

import pytest

from rater.plans.reading import read_plan_file
from rater.plans.reading.references import check_references
from rater.tariff.load import load_tariff
from tests.rater.pipeline.conftest import PLAN
from tests.rater.plans.reading.good import GOOD

TARIFF = """
tariff: world
currency: EUR
zone: UTC
zones: {eu: [DE, FR]}
versions: [{version: "1", effective_from: "2026-01-01", rates: [{service: message, price: "1"}]}]
"""


def mistakes(
    text: str = GOOD, tariff: str = TARIFF, plans: tuple[str, ...] = ("good", "other")
) -> list[tuple[int, str]]:
    """Line and sentence of each."""
    file = read_plan_file(text, "good.yaml")
    assert file.mistakes == []
    loaded = load_tariff(tariff)
    return [(found.line, found.message) for found in check_references(file.references, {loaded.name: loaded}, plans)]


def line_of(text: str, place: str) -> int:
    """The line on which a place in a text is."""
    return text[: text.index(place)].count("\n") + 1


def test_where_everything_is_there_nothing_is_said():
    assert mistakes() == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("tariff: world\n    rank", "tariff: wrld\n    rank",
         'plan "good" version "1": there is no tariff "wrld"; write "world"'),
        ("[eu, CH", "[euu, CH", 'plan "good" version "1": tariff "world" has no zone "euu"; write "eu"'),
        ("currency: EUR", "currency: USD",
         'plan "good" version "1" is in USD, its tariff "world" in EUR; write the same currency'),
        ("migrate_to: other", "migrate_to: othr", 'plan "good" version "1": there is no plan "othr"; write "other"'),
    ],
)  # fmt: skip
def test_what_is_not_there_is_named_with_what_to_write(old, new, says):
    text = GOOD.replace(old, new, 1)
    found = mistakes(text)
    place = "tariff: world" if new == "currency: USD" else new
    assert found[0] == (line_of(text, place), says)


def test_without_tariffs_only_plans_are_looked_up():
    file = read_plan_file(GOOD, "good.yaml")
    assert [found.message for found in check_references(file.references, None, ["good"])] == [
        'plan "good" version "1": there is no plan "other"; write one of good'
    ]


def test_a_plan_switches_to_one_that_is_sold_in_the_same_currency():
    """A fee of 12.00 USD would be taken from a wallet in EUR as 12.00."""
    file = read_plan_file(GOOD, "good.yaml")
    dollars = TARIFF.replace("EUR", "USD").replace("world", "dollars")
    tariffs = {tariff.name: tariff for tariff in (load_tariff(TARIFF), load_tariff(dollars))}
    for tariff, said in (
        ("world", []),
        ("dollars", ['plan "good" version "1" is sold in EUR, and who has it cannot be switched to "other", which is '
                     "sold in USD"]),
    ):  # fmt: skip
        (plan,) = read_plan_file(PLAN.replace("payg", "other").replace("test-eur", tariff), "other.yaml").plans
        found = check_references(file.references, tariffs, ["good", "other"], [file.plans, [plan]])
        assert [mistake.message for mistake in found] == said
