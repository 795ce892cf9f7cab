"""Codes of countries and currencies."""

import pytest

from rater.geo import COUNTRIES, country_name, is_country, is_currency, minor_unit


def test_countries_are_the_iso_codes_and_kosovo():
    assert is_country("DE")
    assert is_country("XK")
    assert len(COUNTRIES) >= 249


@pytest.mark.parametrize("code", ["UK", "de", "EU", "", "DEU", "ZZ"])
def test_what_is_no_country_code_is_refused(code):
    assert not is_country(code)


def test_names_are_the_everyday_ones():
    assert country_name("DE") == "Germany"
    assert country_name("XK") == "Kosovo"


@pytest.mark.parametrize(("currency", "digits"), [("EUR", 2), ("JPY", 0), ("KWD", 3), ("IDR", 2), ("CLF", 4)])
def test_minor_units_follow_iso_4217(currency, digits):
    assert minor_unit(currency) == digits


@pytest.mark.parametrize("code", ["eur", "XXX", "XAU", "", "EURO"])
def test_what_is_no_money_is_no_currency(code):
    assert not is_currency(code)
