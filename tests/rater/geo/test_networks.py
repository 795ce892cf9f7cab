"""From MCC and MNC to a country."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rater.geo import country_of_mcc, is_country
from rater.geo.tables import rows


@pytest.mark.parametrize(
    ("mcc", "country"),
    [("262", "DE"), ("234", "GB"), ("235", "GB"), ("208", "FR"), ("302", "CA"), ("404", "IN"), ("405", "IN"),
     ("440", "JP"), ("221", "XK"), ("425", "IL"), *((str(mcc), "US") for mcc in range(310, 317))],
)  # fmt: skip
def test_an_mcc_names_its_country(mcc, country):
    assert country_of_mcc(mcc) == country


@pytest.mark.parametrize(
    ("mcc", "mnc", "country"),
    [
        ("425", "01", "IL"),
        ("425", "05", "PS"),
        ("310", "260", "US"),
        ("310", "410", "US"),
        ("362", "51", "SX"),
        ("262", "01", "DE"),
    ],
)
def test_where_neighbours_share_an_mcc_the_mnc_decides(mcc, mnc, country):
    assert country_of_mcc(mcc, mnc) == country


@pytest.mark.parametrize("mcc", ["901", "999", "000", "26", "", "2620", "abc"])
def test_an_international_or_unknown_mcc_has_no_country(mcc):
    assert country_of_mcc(mcc) is None


def test_every_country_of_the_table_exists():
    table = list(rows("e212.csv"))
    assert all(is_country(country) for _, _, country in table)
    assert len({country for _, _, country in table}) > 200


@given(st.text(max_size=5), st.none() | st.text(max_size=5))
def test_no_text_makes_the_lookup_fail(mcc, mnc):
    assert country_of_mcc(mcc, mnc) is None or is_country(country_of_mcc(mcc, mnc))
