"""A tariff file becomes a tariff, or a mistake that names file and field."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest

from rater.errors import CatalogueError
from rater.rating.rate import rate
from rater.tariff.load import load_tariff
from rater.tariff.model import Tier
from tests.rater.rating.building import example_usage, unix_ms

TARIFF = """
tariff: small
currency: EUR
zone: Europe/Berlin
zones: {nordic: [NO, SE]}
bands: {peak: {days: mon-fri, from: 08:00, to: 20:00}}
versions:
  - version: 2
    effective_from: 2026-10-16T00:00
    rates:
      - {service: data, where: [nordic, DE], price: "0.02", per: MB}
  - version: 1
    effective_from: 2026-01-01T00:00+00:00
    emergency: [112]
    rates:
      - {service: voice, price: 1/3, per: min, bands: {peak: "0.5"}, increments: [60 s, 1 s]}
"""


def _docs_example(folder: Path) -> Path:
    """The tariff of docs/tariffs.md, with the tables it names."""
    page = (Path(__file__).parents[3] / "docs" / "tariffs.md").read_text()
    blocks = re.findall(r"```(\w+)\n(.*?)```", page, re.DOTALL)
    (folder / "tariff.yaml").write_text(blocks[0][1].replace("[KP, sanctioned]", "[KP, alps]"))
    (folder / "voice-prefixes.csv").write_text(next(text for kind, text in blocks if kind == "csv"))
    (folder / "zones.csv").write_text("# made up\ncountry,zone\nUS,usca\nCA,usca\n")
    return folder / "tariff.yaml"


def test_the_tariff_of_the_documentation_loads_and_rates(tmp_path: Path) -> None:
    tariff = load_tariff(_docs_example(tmp_path))
    usage = example_usage({"service": "voice", "duration_ms": 60_000, "country": "US", "called_number": "+4916099"})
    charge = rate(tariff, usage, {}, "Europe/Berlin")

    assert tariff.zones["usca"] == ("US", "CA")
    assert (charge.parts[0].rate, charge.parts[0].zone, charge.amount_nanos) == (
        "germany-mobile", "anywhere>+4916", 190_000_000,
    )  # fmt: skip


def test_versions_stand_in_order_of_time_whatever_the_file_says() -> None:
    tariff = load_tariff(TARIFF)

    assert [version.name for version in tariff.versions] == ["1", "2"]
    assert tariff.versions[0].effective_from_ms == unix_ms("2026-01-01T00:00:00Z")
    assert tariff.versions[1].effective_from_ms == unix_ms("2026-10-15T22:00:00Z")


def test_norway_is_a_country_and_not_false() -> None:
    assert load_tariff(TARIFF).zones["nordic"] == ("NO", "SE")


def test_a_time_of_day_is_no_number_in_base_sixty() -> None:
    band = load_tariff(TARIFF).versions[0].rates[0].bands[0][0]

    assert (band.from_minute, band.to_minute, sorted(band.weekdays)) == (480, 1200, [0, 1, 2, 3, 4])


def test_prices_are_exact() -> None:
    rates = load_tariff(TARIFF).versions[0].rates

    assert rates[0].prices == (Tier(None, Fraction(1, 3)),)
    assert rates[0].bands[0][1] == (Tier(None, Fraction(1, 2)),)


def test_a_rate_without_a_name_is_named_after_what_it_matches() -> None:
    tariff = load_tariff(TARIFF)

    assert [rate.name for version in tariff.versions for rate in version.rates] == ["voice", "data/nordic,DE"]


@pytest.mark.parametrize(
    ("instead_of", "write", "says"),
    [
        ("currency: EUR", "currency: EURO", 'tariff.currency: "EURO" is no ISO 4217 currency'),
        ("zone: Europe/Berlin", "zone: Europe/Bonn", 'tariff.zone: "Europe/Bonn" is no IANA time zone'),
        ("zone: Europe/Berlin\n", "", "tariff.zone: is required"),
        ("NO, SE", "NO, XX", 'tariff.zones.nordic: "XX" is no ISO 3166-1'),
        ("nordic: [", "DE: [", "must not look like a country"),
        ("from: 08:00", "from: 8 Uhr", 'tariff: bands.peak.from: "8 Uhr" is no time of day'),
        ("days: mon-fri", "days: weekdays", 'tariff: bands.peak.days: "weekdays" is no weekday'),
        ('price: "0.02"', "price: 0.02", 'tariff.versions[0].rates[0].price: write "0.02" in quotes'),
        ('price: "0.02"', 'price: "-1"', '"-1" is negative'),
        ('price: "0.02", ', "", "tariff.versions[0].rates[0].price: is required (or tiers)"),
        ("per: MB", "per: Mb", "tariff.versions[0].rates[0].per:"),
        (", per: MB", "", "tariff.versions[0].rates[0].per: is required"),
        ("per: MB", "per: MB, colour: red", 'tariff.versions[0].rates[0]: there is no field "colour" here'),
        ("where: [nordic, DE]", "where: [nordic, ZZ]", 'where: "ZZ" is no ISO 3166-1'),
        ("where: [nordic, DE]", "where: arctic", '"arctic" is no zone, country, network or number'),
        ("bands: {peak: \"0.5\"}", "bands: {off: \"0.5\"}", "bands.off: the tariff declares no such band"),
        ("[60 s, 1 s]", "{first: 60 s, next: 1 s, scope: carry-over}", "no meaning with carry-over"),
        ("increments: [60 s, 1 s]", "increments: 0 s", "a step is more than nothing"),
        ("2026-10-16T00:00", "16.10.2026", 'effective_from: "16.10.2026" is no time'),
        ("2026-10-16T00:00", "2026-01-01T01:00", "take effect at the same time"),
        ("version: 2", "version: 1", "two versions have the same name"),
        ("tariff: small", "tariff: [small]", "tariff.tariff: write one text, not a list"),
        ("versions:", "versions: {", "this is no YAML"),
        ("{service: data,", "{service: data, kind: [sms],", "rates[0].kind: write one text, not a list"),
    ],
)  # fmt: skip
def test_a_mistake_names_the_field(instead_of: str, write: str, says: str) -> None:
    assert instead_of in TARIFF
    with pytest.raises(CatalogueError) as error:
        load_tariff(TARIFF.replace(instead_of, write, 1))
    assert says in str(error.value)


def test_two_rates_that_answer_for_the_same_usage_are_a_mistake() -> None:
    twice = TARIFF + '      - {name: again, service: voice, price: "1", per: min}\n'

    with pytest.raises(CatalogueError, match='rates "voice" and "again" both answer for voice where: anywhere'):
        load_tariff(twice)


def test_two_rates_of_one_name_are_a_mistake() -> None:
    twice = TARIFF + '      - {name: voice, service: voice, where: DE, price: "1", per: min}\n'

    with pytest.raises(CatalogueError, match='two rates are named "voice"'):
        load_tariff(twice)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"absent\.yaml: cannot be read"):
        load_tariff(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("to,price\n+49,0.10,1\n", "prefixes.csv:2: 3 cells, but the header has 2"),
        ("to,colour\n+49,red\n", 'prefixes.csv:2: there is no column "colour"'),
        ("to,price\n# a comment\n\n+49,cheap\n", 'prefixes.csv:4.price: "cheap" is not a price'),
        ("to,price,bands.night\n+49,1,2\n", "prefixes.csv:2.bands.night: the tariff declares no such band"),
    ],
)
def test_a_mistake_in_a_table_names_its_line(tmp_path: Path, table: str, says: str) -> None:
    (tmp_path / "prefixes.csv").write_text(table)
    (tmp_path / "t.yaml").write_text(TARIFF + "    tables: [{file: prefixes.csv, service: voice, per: min}]\n")

    with pytest.raises(CatalogueError) as error:
        load_tariff(tmp_path / "t.yaml")
    assert says in str(error.value)


def test_an_empty_cell_takes_the_value_of_the_template(tmp_path: Path) -> None:
    (tmp_path / "prefixes.csv").write_text("to,price,bands.peak\n+49 +43,,0.30\n+41,0.20,\n")
    tables = '    tables: [{file: prefixes.csv, service: voice, per: min, price: "0.10", bands: {peak: "0.15"}}]\n'
    (tmp_path / "t.yaml").write_text(TARIFF + tables)
    rates = load_tariff(tmp_path / "t.yaml").versions[0].rates[1:]

    assert [rate.to for rate in rates] == [("+49", "+43"), ("+41",)]
    assert [rate.prices[0].price for rate in rates] == [Fraction(1, 10), Fraction(1, 5)]
    assert [rate.bands[0][1][0].price for rate in rates] == [Fraction(3, 10), Fraction(3, 20)]
