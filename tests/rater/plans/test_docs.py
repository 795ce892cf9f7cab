"""docs/plans.md: its plan is one, its fields are all there are, and its figures are what the engine computes."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest

from rater.catalogue import Catalogue
from rater.money import NANOS, format_nanos
from rater.plans.calendar import Periods
from rater.plans.credits import Use, covers
from rater.plans.model import ACTIONS, Allowance
from rater.plans.proration import prorated_nanos
from rater.plans.reading import read_plan_file
from rater.plans.reading.references import check_references
from rater.plans.terms import Joining, Leaving
from rater.plans.vat import read_vat
from rater.settings import CONFIG
from tests.rater.plans.examples import example
from tests.rater.plans.reading.good import GOOD
from tests.rater.plans.test_calendar import at

PAGE = (Path(__file__).parents[3] / "docs" / "plans.md").read_text()
ZONE = "Europe/Berlin"


def block(kind: str) -> str:
    """The first block of code of a kind."""
    found = re.search(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_its_plan_has_no_mistakes_and_names_what_the_sample_catalogue_has():
    file = read_plan_file(block("yaml"), "plan.yaml")
    assert file.mistakes == []
    tariffs = {tariff.name: tariff for tariff in Catalogue.load(Path(CONFIG)).tariffs}
    assert check_references(file.references, tariffs, [file.name]) == []


def test_it_names_every_field_there_is():
    fields = set(re.findall(r"([a-z_]+):(?= |\n)", GOOD))
    fields |= {*Leaving.__struct_fields__, *Joining.__struct_fields__} - {"migrate_from_ms"}
    shown = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`[^`]+`|```.*?```", PAGE, re.DOTALL)))) | ACTIONS
    assert fields - shown - {"upgrade", "downgrade"} == set()


@pytest.mark.parametrize(("days", "first", "middle", "last"), re.findall(
    r"^\| (\d+) \| \S+: (\S+) \| \S+: (\S+) \| (\S+) \|$", PAGE, re.MULTILINE))  # fmt: skip
def test_its_figures_of_proration(days, first, middle, last):
    month = {"28": "2027-02", "29": "2028-02", "30": "2026-11", "31": "2026-10"}[days]
    periods = Periods(ZONE, at("2026-01-01 00:00"), by="month-end")
    costs = []
    for day in ("01", "15", days):
        noon = at(f"{month}-{day} 12:00")
        period = periods.period_at(noon)
        assert period is not None
        costs.append(format_nanos(prorated_nanos(12 * NANOS, "days-after", period, noon, ZONE, "EUR")))
    assert costs == [first, middle, last]


def test_its_figures_of_proration_are_for_every_length_of_a_month():
    assert re.findall(r"^\| (\d\d) \|", PAGE, re.MULTILINE) == ["28", "29", "30", "31"]


def test_its_figures_of_credits():
    credits: Allowance = example("c-credits-omnichannel").allowances[0]
    uses = {
        "email": Use("message", "email"),
        "SMS to India": Use("message", "sms", to=frozenset({"IN"})),
        "SMS to Germany": Use("message", "sms", to=frozenset({"DE"})),
        "WhatsApp (utility) to Germany": Use("message", "whatsapp-utility", to=frozenset({"DE"})),
    }
    for name, use in uses.items():
        row = re.search(rf"^\| {re.escape(name)} \| (\S+) \| (\S+) \|$", PAGE, re.MULTILINE)
        assert row is not None
        count = covers(credits, 1_000 * credits.parts_per_credit, use)
        assert count == int(row[2].replace(",", "")) == Fraction(1_000) // Fraction(row[1])


def test_its_vat_table_is_one():
    read_vat(block("csv"), "vat.csv")
