"""The sample catalogue is whole: it checks clean, and every country has an answer."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import phonenumbers
import pytest

from rater.catalogue import Catalogue
from rater.geo import COUNTRIES, country_of_number
from rater.geo.tables import rows
from rater.rating.charge import Charge
from rater.rating.rate import rate
from rater.settings import CONFIG
from rater.tariff.check import check_tariff
from schemas.usage import Service, Usage

NO_AGREEMENT = {"AQ", "ER", "KP", "SS", "TM"}
FIRST_HALF = datetime(2026, 10, 8, 3, tzinfo=UTC)
SECOND_HALF = datetime(2026, 10, 24, 3, tzinfo=UTC)
QUANTITY = {"data": "volume_bytes", "voice": "duration_ms", "message": "message_count"}

each_tariff = pytest.mark.parametrize("name", ["world-eur", "world-usd"])
each_half = pytest.mark.parametrize("at", [FIRST_HALF, SECOND_HALF], ids=["first half", "second half"])


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.load(CONFIG)


def charged(catalogue: Catalogue, name: str, service: Service, at: datetime, quantity: int = 1, **fields) -> Charge:
    """What the sample tariff answers for one usage."""
    start_ms = int(at.timestamp() * 1000)
    end_ms = start_ms + (quantity if service == "voice" else 0)
    usage = Usage("acme", "test", "1", service, start_ms, end_ms, **{QUANTITY[service]: quantity}, **fields)
    tariff = catalogue.tariff(name)
    return rate(tariff, usage, {}, tariff.zone)


@each_tariff
def test_it_checks_clean_and_is_as_large_as_promised(name):
    found = check_tariff(Path(CONFIG) / "tariffs" / f"{name}.yaml")
    assert found.mistakes == []
    assert found.countries == len(COUNTRIES)
    assert found.prefixes >= 1000
    assert found.versions == 2


@pytest.mark.parametrize(
    ("plan", "tariff", "currency", "zone"),
    [("payg-eur", "world-eur", "EUR", "Europe/Berlin"), ("payg-usd", "world-usd", "USD", "America/New_York")],
)
def test_each_plan_is_prepaid_on_its_tariff(catalogue, plan, tariff, currency, zone):
    found = catalogue.plan(plan, int(FIRST_HALF.timestamp() * 1000))
    assert found is not None
    assert (found.settlement, found.tariff, found.zone) == ("prepaid", tariff, zone)
    assert catalogue.tariff(tariff).currency == currency


@each_tariff
@each_half
@pytest.mark.parametrize("service", ["data", "message"])
def test_every_country_has_a_price_or_is_blocked(catalogue, name, at, service):
    kind = "sms" if service == "message" else None
    for country in COUNTRIES:
        charge = charged(catalogue, name, service, at, country=country, kind=kind)
        assert charge.outcome == ("blocked" if country in NO_AGREEMENT else "priced"), (country, charge)
        assert charge.amount_nanos > 0


@each_tariff
def test_every_calling_prefix_of_the_world_has_a_price(catalogue, name):
    for prefix, _ in rows("e164.csv"):
        charge = charged(catalogue, name, "voice", FIRST_HALF, 60_000, country="DE", called_number=f"+{prefix}5550100")
        assert charge.outcome == "priced"
        assert charge.amount_nanos > 0


@each_tariff
def test_calling_a_mobile_costs_another_price_than_a_fixed_line(catalogue, name):
    """For the examples that libphonenumber gives of the two."""
    differ = set()
    for region in phonenumbers.SUPPORTED_REGIONS:
        prices = []
        for kind in (phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE):
            example = phonenumbers.example_number_for_type(region, kind)
            if example is None:
                continue
            number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
            prices.append(charged(catalogue, name, "voice", FIRST_HALF, 60_000, called_number=number).amount_nanos)
        if len(set(prices)) == 2:
            differ.add(region)
    assert len(differ) > 150
    assert {"DE", "FR", "GB", "BR", "IN", "ZA"} <= differ


@each_tariff
@each_half
@pytest.mark.parametrize("number", ["112", "911"])
def test_emergency_calls_are_free_wherever_one_is(catalogue, name, at, number):
    for country in ("DE", "US", "KP"):
        charge = charged(catalogue, name, "voice", at, 60_000, country=country, called_number=number)
        assert (charge.outcome, charge.amount_nanos) == ("free", 0)


@each_tariff
def test_satellite_numbers_are_refused(catalogue, name):
    assert country_of_number("+881612345678") is None
    charge = charged(catalogue, name, "voice", FIRST_HALF, 60_000, country="DE", called_number="+881612345678")
    assert charge.outcome == "blocked"
    assert charge.amount_nanos > 0


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [("world-eur", "2026-10-15T21:59:59+00:00", "2026-10-15T22:00:00+00:00"),
     ("world-usd", "2026-10-16T03:59:59+00:00", "2026-10-16T04:00:00+00:00")],
)  # fmt: skip
def test_the_second_version_starts_at_midnight_of_the_tariffs_zone(catalogue, name, before, after):
    versions = [
        charged(catalogue, name, "data", datetime.fromisoformat(at), 1, country="FR").parts[0].tariff_version
        for at in (before, after)
    ]
    assert versions == ["2026-01", "2026-10-16"]


@each_half
def test_data_is_billed_in_steps_of_100_kb_that_carry_over(catalogue, at):
    charge = charged(catalogue, "world-eur", "data", at, 100_001, country="FR")
    assert charge.parts[0].billable_quantity == 200_000
    assert any(":carry:" in use.key for use in charge.uses)


def test_a_call_at_home_costs_more_at_the_peak(catalogue):
    """Wednesday, 14 October 2026, at 09:00 and at 22:00 in Berlin."""
    peak, night = (
        charged(catalogue, "world-eur", "voice", datetime(2026, 10, 14, hour, tzinfo=UTC), 60_000, called_number=number)
        for hour, number in ((7, "+493012345"), (20, "+493012345"))
    )
    assert peak.amount_nanos == 24_000_000
    assert night.amount_nanos == 16_000_000


def test_a_network_with_a_price_of_its_own_goes_before_its_country(catalogue):
    orange, sfr = (
        charged(catalogue, "world-eur", "data", FIRST_HALF, 1_000_000, mcc="208", mnc=mnc) for mnc in ("01", "10")
    )
    assert (orange.amount_nanos, sfr.amount_nanos) == (9_500_000, 12_000_000)


def test_home_data_gets_cheaper_in_tiers_over_the_month(catalogue):
    """150 MB: 100 at 0.0080 and 50 at 0.0050 EUR."""
    charge = charged(catalogue, "world-eur", "data", FIRST_HALF, 150_000_000, country="DE")
    assert charge.amount_nanos == 1_050_000_000
