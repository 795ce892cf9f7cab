"""The most specific rate answers: kind, then where one is, then where it goes, then direction."""

from __future__ import annotations

from typing import Any

import pytest

from rater.tariff.match import Found
from tests.rater.rating.building import example_tariff, example_usage

RATES: list[dict[str, Any]] = [
    {"name": "anywhere"},
    {"name": "zone", "where": "eu"},
    {"name": "country", "where": "DE"},
    {"name": "network", "where": "262-01"},
    {"name": "to zone", "to": "eu"},
    {"name": "to country", "to": "FR"},
    {"name": "to prefix", "to": "+33"},
    {"name": "to longer prefix", "to": "+336"},
    {"name": "to short code", "to": "3900"},
    {"name": "country to country", "where": "AT", "to": "FR"},
    {"name": "country to prefix", "where": "AT", "to": "+33"},
    {"name": "incoming", "direction": "incoming"},
]


def _find(rates: list[dict[str, Any]], usage: dict[str, Any], **version: Any) -> Found:
    priced = [{"service": "voice", "price": "1", "per": "min", **rate} for rate in rates]
    tariff = example_tariff({"rates": priced, "zones": {"eu": ["AT", "DE", "FR"], "alps": ["AT", "CH"]}, **version})
    return tariff.indexes[0].find(example_usage({"service": "voice", "duration_ms": 1, "country": None, **usage}))


@pytest.mark.parametrize(
    ("usage", "rate", "zone"),
    [
        ({"country": "US"}, "anywhere", "anywhere"),
        ({}, "anywhere", "anywhere"),
        ({"country": "FR"}, "zone", "eu"),
        ({"country": "DE"}, "country", "DE"),
        ({"mcc": "262", "mnc": "02"}, "country", "DE"),
        ({"mcc": "262", "mnc": "01"}, "network", "262-01"),
        ({"country": "US", "called_number": "+4989"}, "to zone", "anywhere>eu"),
        ({"country": "US", "destination_country": "FR"}, "to country", "anywhere>FR"),
        ({"country": "US", "called_number": "+331"}, "to prefix", "anywhere>+33"),
        ({"country": "US", "called_number": "+3361"}, "to longer prefix", "anywhere>+336"),
        ({"country": "US", "called_number": "3900"}, "to short code", "anywhere>3900"),
        ({"country": "US", "called_number": "39001"}, "anywhere", "anywhere"),
        ({"country": "DE", "called_number": "+3361"}, "country", "DE"),
        ({"country": "AT", "called_number": "+3361"}, "country to prefix", "AT>+33"),
        ({"country": "AT", "destination_country": "FR"}, "country to country", "AT>FR"),
        ({"country": "AT", "called_number": "+81"}, "zone", "eu"),
        ({"country": "US", "direction": "incoming"}, "incoming", "anywhere"),
        ({"country": "DE", "direction": "incoming"}, "country", "DE"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else None,
)
def test_the_most_specific_rate_answers(usage: dict[str, Any], rate: str, zone: str) -> None:
    found = _find(RATES, usage)

    assert (found.outcome, found.rate, found.zone) == ("priced", rate, zone)


def test_the_order_in_the_file_does_not_matter() -> None:
    usage = {"country": "AT", "called_number": "+3361"}

    assert _find(RATES[::-1], usage).rate == _find(RATES, usage).rate == "country to prefix"


def test_a_named_kind_goes_before_where_one_is() -> None:
    rates = [{"name": "germany", "where": "DE"}, {"name": "video", "kind": "video"}]

    assert _find(rates, {"country": "DE", "kind": "video"}).rate == "video"
    assert _find(rates, {"country": "DE", "kind": "audio"}).rate == "germany"


def test_a_country_in_two_zones_belongs_to_the_one_declared_first() -> None:
    rates = [{"name": "alps", "where": "alps"}, {"name": "eu", "where": "eu"}]

    assert _find(rates, {"country": "AT"}).rate == "eu"


def test_an_emergency_number_is_free_whatever_the_rates_say() -> None:
    rates = [{"name": "all"}, {"name": "never", "where": "DE", "to": "112", "answer": "blocked"}]
    found = _find(rates, {"country": "DE", "called_number": "112"}, emergency=["112"], blocked=["DE"])

    assert (found.outcome, found.pricer, found.zone) == ("free", None, "112")


@pytest.mark.parametrize("place", ["DE", "eu", "262-01"])
def test_a_blocked_country_zone_or_network_is_refused_and_priced(place: str) -> None:
    found = _find([{"name": "all"}], {"mcc": "262", "mnc": "01"}, blocked=[place])

    assert (found.outcome, found.rate, found.detail) == ("blocked", "all", f"service is blocked in {place}")
    assert found.pricer is not None


def test_a_place_that_is_not_blocked_is_served() -> None:
    assert _find([{"name": "all"}], {"country": "CH"}, blocked=["eu"]).outcome == "priced"


def test_a_rate_can_block_a_destination() -> None:
    found = _find(
        [{"name": "all"}, {"name": "premium", "to": "+49900", "answer": "blocked"}], {"called_number": "+499001"}
    )

    assert (found.outcome, found.rate, found.detail) == ("blocked", "premium", 'rate "premium" blocks anywhere>+49900')


def test_an_unknown_network_says_that_its_country_is_not_known() -> None:
    found = _find([{"where": "DE"}], {"mcc": "999", "mnc": "99"})

    assert found.outcome == "no_rate"
    assert found.detail == ('no rate for outgoing voice in 999-99 in version "1"; MCC 999 has no country')


def test_the_network_that_steps_are_carried_over_on_is_named_without_a_dash() -> None:
    assert _find([{}], {"mcc": "262", "mnc": "01"}).network == "26201"
    assert _find([{}], {"country": "DE"}).network == "DE"
    assert _find([{}], {}).network == ""
