"""Every mistake of a tariff is found at once, each on its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from rater.catalogue import Catalogue
from rater.cli.tariff import tariff
from rater.errors import CatalogueError
from rater.tariff.check import Mistake, check_tariff, check_tariff_file
from rater.tariff.load import load_tariff
from tests.rater.tariff.good import GOOD, PREFIXES, write


def test_a_good_tariff_has_no_mistakes_and_is_counted(tmp_path):
    found = check_tariff(write(tmp_path))
    assert found.mistakes == []
    assert (found.countries, found.prefixes, found.versions) == (7, 5, 2)
    load_tariff(tmp_path / "good.yaml")


def test_the_tariff_of_the_documentation_has_no_mistakes(tmp_path):
    page = (Path(__file__).parents[3] / "docs" / "tariffs.md").read_text()
    text, table = (re.search(rf"```{kind}\n(.*?)```", page, re.DOTALL)[1] for kind in ("yaml", "csv"))
    (tmp_path / "voice-prefixes.csv").write_text(table)
    (tmp_path / "zones.csv").write_text("country,zone\nKP,sanctioned\n")
    (tmp_path / "tariff.yaml").write_text(text)
    assert check_tariff_file(tmp_path / "tariff.yaml") == []


#: (what is broken, the text taken out, the text put in instead, what the mistake says). The line is that of the change,
#: or of "@" in the new text, which is not part of the file.
BROKEN = [
    ("price as a float", '"0.04"', "0.04", 'price 0.04 is a float and not exact; write "0.04" in quotes'),
    ("tier price as a float", '{price: "0.01"}', "{price: 0.01}", 'write "0.01" in quotes'),
    ("precision as a float", '"0.0001"', "0.0001", 'write "0.0001" in quotes'),
    ("price with a comma", '"0.04"', '"0,04"', 'write "0.04"'),
    ("price that is a word", '"0.04"', "cheap", '"cheap" is not a price such as "0.0125"'),
    ("negative price", '"0.04"', '"-0.04"', 'price "-0.04" is negative; write "0.04"'),
    ("negative fee", 'setup: "0.05"', 'setup: "-0.05"', 'setup "-0.05" is negative'),
    ("no price", 'where: "262-01", price: "0.04"', 'where: "262-01"', 'no price here; write "price" or "tiers"'),
    ("price and tiers", "        tiers:", '        price: "1"\n        tiers:', "both price and tiers"),
    ("free with a price", "answer: free", 'answer: free, price: "1"', "a free rate has no price"),
    ("maximum below minimum", 'maximum: "5.00"', 'maximum: "0.01"', "maximum is less than minimum"),
    ("country by its car sign", "[AT, BE", "[AT, UK", 'unknown country "UK"; write "GB"'),
    ("country in lower case", "[AT, BE", "[AT, be", 'unknown country "be"; write "BE"'),
    ("country by name", "[AT, BE", "[AT, Belgium", 'unknown country "Belgium"; write "BE"'),
    ("country that is not", "blocked: [KP]", "blocked: [ZZ]", '"ZZ" is no country, zone or network'),
    ("zone misspelt", "to: [eu, alps]", "to: [eu, alp]", '"alp" is no country, zone or number; write "alps"'),
    ("country twice in a zone", "[AT, BE", "[AT, AT", '"AT" is already in zone "eu"'),
    ("country in two zones", "alps: [CH", "alps: [DE, CH", 'DE: in zones "eu" and "alps"'),
    ("zone named like a country", "alps: [CH, LI]", "AL: [CH, LI]", '"AL" reads as a country'),
    ("network that is not", '"262-01"', '"123-01"', "no network has the mobile country code 123"),
    ("prefix dialled with 00", '"+49900"', '"0049900"', 'write "+49900"'),
    ("emergency number that is none", 'emergency: ["112"]', "emergency: [help]", 'write one such as "112"'),
    ("unknown currency", "currency: EUR", "currency: EURO", 'unknown currency "EURO"; write "EUR"'),
    ("currency in lower case", "currency: EUR", "currency: eur", 'write "EUR"'),
    ("unknown time zone", "Europe/Berlin", "Europe/Berlim", 'unknown time zone "Europe/Berlim"; write "Europe/Berlin"'),
    ("unknown rounding", "rounding: half-up", "rounding: halfup", 'write "half-up"'),
    ("precision of nothing", '"0.0001"', '"0"', "is not above zero"),
    ("unknown field", 'maximum: "5.00"', 'maximun: "5.00"', 'unknown field "maximun" in a rate; write "maximum"'),
    ("unknown field of a tariff", "rounding:", "roundin:", 'unknown field "roundin" in a tariff; write "rounding"'),
    ("unknown field of a version", "blocked: [KP]", "bloked: [KP]", 'in a version; write "blocked"'),
    ("unknown field of a tier", "{up_to: 1 GB", "{upto: 1 GB", 'unknown field "upto" in a tier; write "up_to"'),
    ("unknown field of a band", "to: \"20:00\"", "til: \"20:00\"", 'unknown field "til" in band "peak"'),
    ("empty text", 'version: "2"', 'version: ""', '"version" is empty; write it'),
    ("name that is no text", "currency: EUR", "[currency]: EUR", "a field's name is a plain text"),
    ("type of YAML's own", "currency: EUR", "currency: !!binary EUR", "is no type of a catalogue; take it out"),
    ("missing field", "tariff: good", "@rounding: up", 'a tariff has no "tariff"; write it'),
    ("unknown service", "service: data, where", "service: dat, where", 'unknown service "dat"; write "data"'),
    ("no service", "{service: data, where", "{where", 'a rate has no "service"'),
    ("unknown direction", "direction: incoming", "direction: inbound", 'unknown direction "inbound"'),
    ("unknown answer", "answer: blocked", "answer: block", 'unknown answer "block"; write "blocked"'),
    ("unknown scope", "scope: carry-over", "scope: carryover", 'write "carry-over"'),
    ("unit in lower case", 'where: "262-01", price: "0.04", per: MB', 'where: "262-01", price: "0.04", per: mb',
     'per: "mb" is no unit of data; write "MB"'),
    ("unit of another service", 'where: "262-01", price: "0.04", per: MB', 'where: "262-01", price: "0.04", per: min',
     'per: "min" is no unit of data'),
    ("no unit", 'price: "0.04", per: MB', 'price: "0.04"', 'a rate has no "per"; write "per: MB"'),
    ("increment without a unit", "next: 100 kB", 'next: "100"', 'next "100" is no quantity'),
    ("increment of nothing", "next: 100 kB", "next: 0 kB", "is nothing; write a quantity above zero"),
    ("first step with carry-over", "{next: 100 kB", "{first: 1 MB, next: 100 kB", 'take "first" out'),
    ("tiers that do not rise", "{up_to: 1 GB", "{up_to: 100 MB", "up_to does not rise"),
    ("last tier with a bound", '{price: "0.01"}', '{up_to: 2 GB, price: "0.01"}', 'the last tier has "up_to"'),
    ("middle tier without a bound", '{up_to: 1 GB, price: "0.05"}', '{price: "0.05"}', 'no "up_to"; write it'),
    ("band with a bad time", 'from: "08:00"', 'from: "8:00"', 'from "8:00" is no time of day; write "08:00"'),
    ("band with a bad day", "mon-fri", "mon-fry", 'unknown day "fry"; write "fri"'),
    ("band with a bad date", '"12-25"', '"12-32"', '"12-32" is no date'),
    ("band with days and dates", "holiday: {dates", "holiday: {days: mon, dates", "days and dates; write two bands"),
    ("bands that overlap", '[fri, sat], from: "22:00"', '[fri, sat], from: "19:00"', 'band "night" overlaps "peak"'),
    ("unknown band", "bands: {peak", "bands: {peek", 'unknown band "peek"; write "peak"'),
    ("key twice", "rounding: half-up", "rounding: half-up\n@rounding: up", '"rounding" is already given in line 4'),
    ("rate twice", "{service: voice, direction: incoming, answer: free}",
     "{service: voice, direction: incoming, answer: free}\n"
     "@      - {service: voice, direction: incoming, answer: free}",
     "incoming voice in any place to anywhere already has a rate (line 40)"),
    ("prefix twice, in rate and table", 'voice, to: "+49900"', 'voice, direction: outgoing, to: "+43"', ""),
    ("name twice", 'where: "262-01"', 'name: data-other, where: "262-01"', ""),
    ("name twice that is not given", '{service: voice, direction: outgoing, price: "1", per: min}',
     '{service: voice, direction: outgoing, price: "1", per: min}\n      - {service: voice, price: "2", per: min}', ""),
    ("no default", '{service: data, price: "0.4", per: MB}', '{service: data, where: DE, price: "0.4", per: MB}', ""),
    ("bad start", '"2026-06-01T00:00"', '"June"', 'effective_from "June" is no time'),
    ("year without a calendar", '"2026-06-01T00:00"', '"0001-01-01"', "is no year to rate in; write one from 1901"),
    ("start that the clocks skip", '"2026-06-01T00:00"', '"2026-03-29T02:30"',
     'is skipped by the clocks of Europe/Berlin; write "2026-03-29T03:30"'),
    ("versions at the same time", '"2026-06-01T00:00"', '"2025-12-31T23:00+00:00"',
     'version "2" starts at the same time as version "1" (line 15); write a later time'),
    ("versions out of order", '"2026-06-01T00:00"', '"2025-06-01T00:00"', 'version "2" starts before version "1"'),
    ("version with an end", 'version: "2"', 'version: "2"\n@    effective_to: "2027-01-01T00:00"',
     'take "effective_to" out'),
    ("version twice", 'version: "2"', 'version: "1"', 'version "1" is there already (line 14)'),
    ("table that is not there", "file: prefixes.csv", "file: nothing.csv", '"nothing.csv" cannot be read'),
    ("list in place of a text", "currency: EUR", "currency: [EUR]", '"currency" is a list; write one text'),
    ("no YAML", "zones:", "zones: {", "not YAML"),
]  # fmt: skip

#: Mistakes that are reported elsewhere than on the changed line: where two things clash, at the later one.
ELSEWHERE = {
    "prefix twice, in rate and table": ("prefixes.csv", 6, "outgoing voice in any place to +43 already has a rate"),
    "name twice that is not given": ("good.yaml", 42, 'the name "voice" is taken (line 41)'),
    "name twice": ("good.yaml", 28, 'the name "data-other" is taken (line 27); write another "name"'),
    "no default": ("good.yaml", 47, 'version "2" has no default for data'),
    "country in two zones": ("good.yaml", 29, 'DE: in zones "eu" and "alps"'),
    "no YAML": ("good.yaml", 8, "not YAML"),
}


@pytest.mark.parametrize(("broken", "old", "new", "says"), BROKEN, ids=[case[0] for case in BROKEN])
def test_a_mistake_is_named_with_its_line_and_what_to_write(tmp_path, broken, old, new, says):
    head, found, _ = GOOD.partition(old)
    assert found, "the case no longer fits the tariff"
    line = head.count("\n") + 1 + new.partition("@")[0].count("\n") * ("@" in new)
    name, line, says = ELSEWHERE.get(broken, ("good.yaml", line, says))
    mistakes = check_tariff_file(write(tmp_path, GOOD.replace(old, new.replace("@", ""), 1)))
    here = [mistake for mistake in mistakes if (Path(mistake.path).name, mistake.line) == (name, line)]
    assert any(says in mistake.message for mistake in here), mistakes
    assert len(mistakes) <= 2, "one mistake is not reported as many"


BROKEN_TABLES = [
    ("price as a word", "+43,0.03", "+43,dear", 6, 'price "dear" is not a price'),
    ("negative price", "+43,0.03", "+43,-0.03", 6, 'price "-0.03" is negative'),
    ("negative peak price", "0.02,0.04", "0.02,-0.04", 3, "is negative"),
    ("no price", "+43,0.03", "+43,", 6, "no price here"),
    ("prefix twice", "+43,", "+4916,", 6, "to +4916 already has a rate (line 4)"),
    ("prefix twice in a row", "+4915 +4916", "+4915 +4915", 4, "+4915 is there twice; keep one"),
    ("name twice", "austria", "germany-fixed", 6, 'the name "germany-fixed" is taken (line 3)'),
    ("no number", "+43,", "+4x3,", 6, '"+4x3" is no country, zone or number'),
    ("too few cells", "+43,0.03,,austria", "+43,0.03", 6, "2 cells; write 4"),
    ("unknown column", "to,price", "to,prise", 2, 'unknown column "prise"; write "price"'),
    ("column twice", "to,price,bands.peak", "to,price,to", 2, 'column "to" is there twice'),
    ("column of an unknown band", "bands.peak", "bands.peek", 3, 'unknown band "peek"; write "peak"'),
]


@pytest.mark.parametrize(("broken", "old", "new", "line", "says"), BROKEN_TABLES, ids=[c[0] for c in BROKEN_TABLES])
def test_a_mistake_in_a_table_is_named_with_its_line(tmp_path, broken, old, new, line, says):
    assert old in PREFIXES
    mistakes = check_tariff_file(write(tmp_path, table=PREFIXES.replace(old, new, 1)))
    here = [m.message for m in mistakes if (Path(m.path).name, m.line) == ("prefixes.csv", line)]
    assert any(says in message for message in here), mistakes


def test_all_mistakes_are_found_at_once_and_in_order(tmp_path):
    text = GOOD.replace("EUR", "EURO").replace('"0.04"', "0.04").replace("[KP]", "[ZZ]").replace("06-01T00", "06-01T99")
    mistakes = check_tariff_file(write(tmp_path, text, PREFIXES.replace("0.03", "free")))
    assert [(Path(m.path).name, m.line) for m in mistakes] == [
        ("good.yaml", 2), ("good.yaml", 17), ("good.yaml", 27), ("good.yaml", 48), ("prefixes.csv", 6),
    ]  # fmt: skip


def test_a_mistake_reads_as_file_line_and_sentence():
    assert str(Mistake("a.yaml", 3, 'unknown currency "EURO"; write "EUR"')) == (
        'a.yaml:3: unknown currency "EURO"; write "EUR"'
    )


@pytest.mark.parametrize(
    "text", ["", "- a\n", "just words\n", "\x00", "a: [", "tariff: {a: b}\nversions: x\n", "zones: 3\n"]
)
def test_a_file_that_is_no_tariff_at_all_has_mistakes_and_no_crash(tmp_path, text):
    assert check_tariff_file(write(tmp_path, text))


def test_a_catalogue_with_a_mistake_is_refused_with_its_line(tmp_path):
    (tmp_path / "tariffs").mkdir()
    write(tmp_path / "tariffs", GOOD.replace('"0.04"', "0.04"))
    with pytest.raises(CatalogueError, match=r"good\.yaml:27: price 0\.04 is a float"):
        Catalogue.load(tmp_path)


def test_what_the_engine_has_an_answer_to_does_not_keep_a_catalogue_from_loading(tmp_path):
    (tmp_path / "tariffs").mkdir()
    write(tmp_path / "tariffs", GOOD.replace('price: "0.4"', 'where: DE, price: "0.4"'))
    assert Catalogue.load(tmp_path).tariff("good")


class TestCommand:
    """`rater tariff check`."""

    def test_a_clean_file_is_summed_up_in_a_line(self, tmp_path):
        result = CliRunner().invoke(tariff, ["check", str(write(tmp_path))])
        assert result.exit_code == 0
        assert result.output.endswith("good.yaml: no mistakes in 7 countries, 5 prefixes, 2 versions\n")

    def test_mistakes_are_listed_and_the_status_is_1(self, tmp_path):
        file = write(tmp_path, GOOD.replace("EUR", "EURO"))
        result = CliRunner().invoke(tariff, ["check", str(file)])
        assert result.exit_code == 1
        assert f'{file}:2: unknown currency "EURO"; write "EUR"' in result.output

    def test_a_catalogue_is_checked_as_a_whole(self, tmp_path):
        """A plan of a tariff that is not there is a mistake of the catalogue."""
        (tmp_path / "tariffs").mkdir()
        (tmp_path / "plans").mkdir()
        write(tmp_path / "tariffs")
        plan = 'plan: p\nversions:\n  - {version: "1", effective_from: "2026-01-01T00:00", tariff: bad}\n'
        (tmp_path / "plans" / "p.yaml").write_text(plan)
        result = CliRunner().invoke(tariff, ["check", str(tmp_path)])
        assert result.exit_code == 1
        assert re.search(r'there is no tariff "bad"', result.output)

    def test_a_folder_without_tariffs_is_an_error(self, tmp_path):
        result = CliRunner().invoke(tariff, ["check", str(tmp_path)])
        assert result.exit_code == 1
        assert "no tariff" in result.output
