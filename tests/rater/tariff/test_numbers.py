"""A class of numbers stands for each of its numbers: same rate in every version of every tariff, same country."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rater.geo import country_of_number
from rater.geo.numbers import PREFIXES
from rater.tariff import numbers
from rater.tariff.match import Found
from rater.tariff.model import Tariff
from rater.tariff.numbers import NumberClasses
from tests.rater.rating.building import example_tariff, example_usage

#: Few digits after few country codes, so that prefixes, numbers and one another often share a beginning.
codes = st.sampled_from(["+1", "+1876", "+44", "+441", "+49", "+4930", "+7", "+77", "+882", "+999", "+"])
tails = st.text("0139", max_size=5)
prefixes = st.builds(str.__add__, codes, tails).filter(lambda text: len(text) > 1)
dialled = st.builds(lambda prefix, tail: (prefix + tail)[:16], prefixes, st.text("0139", min_size=5, max_size=9))
short_codes = st.sampled_from(["112", "110", "1120", "39", "4930"])

#: Destinations of one version: prefixes, whole numbers, short codes, a zone, countries.
destinations = st.lists(prefixes | short_codes | st.sampled_from(["eu", "DE", "US"]), max_size=6, unique=True)
emergencies = st.lists(short_codes | dialled, max_size=2, unique=True)
versions = st.tuples(destinations, emergencies)


def tariff_of(drawn: list[tuple[list[str], list[str]]]) -> Tariff:
    """A version for each: a rate for each destination, and one for any other."""
    made: list[dict[str, Any]] = [
        {
            "version": str(place),
            "effective_from": f"2026-0{place + 1}-01T00:00",
            "emergency": emergency,
            "rates": [{"service": "voice", "price": "2", "per": "min"}]
            + [{"service": "voice", "to": to, "price": "1", "per": "min"} for to in destinations],
        }
        for place, (destinations, emergency) in enumerate(drawn)
    ]
    return example_tariff({"versions": made, "zones": {"eu": ["DE", "GB"]}})


def answers(tariffs: list[Tariff], number: str) -> list[tuple[Any, ...]]:
    """What each version says of a call to a number, but for words."""
    usage = example_usage({"service": "voice", "duration_ms": 1, "called_number": number})
    found: list[Found] = [index.find(usage) for tariff in tariffs for index in tariff.indexes]
    return [(one.pricer, one.rate, one.zone, one.outcome) for one in found]


tariffs = st.lists(st.lists(versions, min_size=1, max_size=3).map(tariff_of), min_size=1, max_size=2)


@given(tariffs, st.data())
def test_a_number_and_its_class_meet_the_same_rate_in_every_version_and_lie_in_the_same_country(
    tariffs: list[Tariff], data: st.DataObject
) -> None:
    named = [to for one in tariffs for version in one.versions for rate in version.rates for to in rate.to]
    emergency = [number for one in tariffs for version in one.versions for number in version.emergency]
    near = st.sampled_from(named + emergency) if named + emergency else st.nothing()
    longer = st.builds(lambda number, tail: number + tail, near, tails)
    number = data.draw(dialled | short_codes | near | longer)
    its_class = NumberClasses(tariffs).of(number)
    assert answers(tariffs, its_class) == answers(tariffs, number)
    assert country_of_number(its_class) == country_of_number(number)


@given(tariffs, st.lists(dialled | short_codes, min_size=2, max_size=12, unique=True))
def test_two_numbers_of_one_class_meet_the_same_rate_in_every_version(tariffs: list[Tariff], called: list[str]) -> None:
    classes = NumberClasses(tariffs)
    first: dict[str, str] = {}
    for number in called:
        other = first.setdefault(classes.of(number), number)
        assert answers(tariffs, number) == answers(tariffs, other)
        assert country_of_number(number) == country_of_number(other)


@pytest.mark.parametrize(
    ("number", "its_class"),
    [
        ("+493012345678", "+4930x"),
        ("+4930", "+4930x"),
        ("+49891234", "+49x"),
        ("+99912345", "+x"),
        ("112", "112"),
        ("1123", "1123"),
        ("*100#", "*100#"),
        ("+4930112", "+4930112"),
        ("+49301123", "+4930x"),
        ("+493011", "+4930x"),
    ],
)
def test_a_class_is_the_longest_prefix_that_anything_names(number: str, its_class: str) -> None:
    """Emergency numbers and short codes are classes of their own, whatever begins like one."""
    assert {"+4930", "+9991"}.isdisjoint(PREFIXES), "only the tariff names it"
    assert NumberClasses([tariff_of([(["+4930", "3900"], ["112", "+4930112"])])]).of(number) == its_class


def test_a_prefix_that_only_an_old_version_or_another_tariff_names_counts_too() -> None:
    tariffs = [tariff_of([(["+49301"], []), ([], [])]), tariff_of([(["+49302"], ["+4930255"])])]
    classes = NumberClasses(tariffs)
    assert [classes.of(number) for number in ("+4930199", "+4930299", "+4930255", "+4930399")] == [
        "+49301x", "+49302x", "+4930255", "+49x",
    ]  # fmt: skip


def test_no_class_is_the_name_of_a_number() -> None:
    """So that an event's number is never taken for a class."""
    classes = NumberClasses([tariff_of([([], [])])])
    assert classes.of(classes.of("+493012345")) == "+49x"
    assert not classes.of("+493012345")[1:].isdigit()


def test_classes_are_the_same_after_the_memory_of_numbers_was_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "NUMBERS_MAX", 2)
    classes = NumberClasses([tariff_of([(["+4930"], [])])])
    called = ["+493012345", "+498912345", "+331234567", "112"]
    assert [classes.of(number) for number in called * 2] == ["+4930x", "+49x", "+33x", "112"] * 2
