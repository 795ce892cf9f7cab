"""The operator's VAT table: the rate of the day, no rate is an error, and every mistake is told at once."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest

from rater.errors import CatalogueError
from rater.plans.vat import read_vat

VAT = """\
# Made up for tests.
country,percent,effective_from
DE,19,2021-01-01
DE,16,2020-07-01
FI,25.5,2024-09-01
US,0,2000-01-01
"""


@pytest.mark.parametrize(
    ("country", "on", "percent"),
    [
        ("DE", "2020-12-31", "16"),
        ("DE", "2021-01-01", "19"),
        ("FI", "2026-01-01", "25.5"),
        ("US", "2026-01-01", "0"),
    ],
)
def test_the_rate_is_that_of_the_day(country, on, percent):
    assert read_vat(VAT, "vat.csv").percent(country, date.fromisoformat(on)) == Fraction(percent)


@pytest.mark.parametrize(("country", "on"), [("FR", "2026-01-01"), ("DE", "2020-06-30")])
def test_no_rate_is_not_taken_for_zero(country, on):
    with pytest.raises(CatalogueError, match=f"no VAT rate for {country} on {on}"):
        read_vat(VAT, "vat.csv").percent(country, date.fromisoformat(on))


def test_every_mistake_is_told_with_its_line():
    text = VAT + "UK,20,2020-01-01\nFR,2o,2020-01-01\nIT,22\nES,121,2020-01-01\nPT,23,June\nDE,20,2021-01-01\n"
    with pytest.raises(CatalogueError) as error:
        read_vat(text, "vat.csv")
    assert str(error.value).splitlines() == [
        'vat.csv:7: "UK" is no ISO 3166-1 alpha-2 country',
        'vat.csv:8: percent "2o" is no number; write one such as 19 or 25.5',
        "vat.csv:9: 2 cells; write 3: country,percent,effective_from",
        'vat.csv:10: percent "121" is not between 0 and 100',
        'vat.csv:11: effective_from "June" is no date; write one such as 2026-01-01',
        "vat.csv:12: DE has a rate from 2021-01-01 already; keep one of them",
    ]


def test_a_file_without_its_columns_is_a_mistake():
    with pytest.raises(CatalogueError, match=r"vat\.csv:1: the first line names the columns"):
        read_vat("land,satz\n", "vat.csv")
