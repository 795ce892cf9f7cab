"""From a telephone number to a country."""

import phonenumbers
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberType

from rater.geo import country_of_number, is_country

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
#: Ascension and Tristan da Cunha are counted to Saint Helena in ISO 3166-1.
SAINT_HELENA = {"AC", "TA"}


@pytest.mark.parametrize(
    ("number", "country"),
    [("+4915112345678", "DE"), ("+12024561111", "US"), ("+14165550123", "CA"), ("+18765550123", "JM"),
     ("+17875550123", "PR"), ("+14412921234", "BM"), ("+74951234567", "RU"), ("+77011234567", "KZ"),
     ("+441481256789", "GG"), ("+447400123456", "GB"), ("+39066981234", "VA"), ("+390612345678", "IT"),
     ("+4779123456", "SJ"), ("+262639123456", "YT"), ("+38344123456", "XK"), ("+2908123", "SH")],
)  # fmt: skip
def test_a_number_names_its_country(number, country):
    assert country_of_number(number) == country


@pytest.mark.parametrize("number", ["112", "911", "", "+", "+999123", "+80012345678", "+870773123456", "x"])
def test_short_codes_and_international_services_have_no_country(number):
    assert country_of_number(number) is None


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("kind", [PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE])
def test_the_table_agrees_with_the_library_on_its_example_numbers(region, kind):
    example = phonenumbers.example_number_for_type(region, kind)
    if example is None:
        pytest.skip("the region has no example of this kind")
    number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    expected = phonenumbers.region_code_for_number(example)
    assert country_of_number(number) == ("SH" if expected in SAINT_HELENA else expected)


@given(st.sampled_from(REGIONS), st.text("0123456789", min_size=4, max_size=4))
def test_a_valid_number_gets_the_country_the_library_gives_it(region, tail):
    """Not only examples: the last digits of one are replaced by any other."""
    example = phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
    assume(example is not None)
    stem = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    assume(len(stem) > 9)
    number = stem[:-4] + tail
    expected = phonenumbers.region_code_for_number(phonenumbers.parse(number))
    assume(expected is not None)
    assert country_of_number(number) == ("SH" if expected in SAINT_HELENA else expected)


@given(st.text(max_size=20))
def test_no_text_makes_the_lookup_fail(text):
    assert country_of_number(text) is None or is_country(country_of_number(text))
