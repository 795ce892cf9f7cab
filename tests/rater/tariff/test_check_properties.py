"""A good tariff is changed in one place: the check names the line, and agrees with the loader on what can be used."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rater.settings import CONFIG
from rater.tariff.check import check_tariff_file
from rater.tariff.load import load_tariff
from tests.rater.tariff.good import GOOD, PREFIXES, write

#: A price in quotes, and a field's name; names of bands and zones are the tariff's own.
PRICE = re.compile(r'(?:price|setup|minimum|maximum|peak|night): "(\d+(?:\.\d+)?)"')
FIELD = re.compile(r"(?<=[\s{])(?!peak|night|holiday|eu:|alps:)([a-z_]+): ")
TABLE = [line for line in (Path(CONFIG) / "tariffs" / "voice-eur.csv").read_text().splitlines() if line]
ROWS = range(2, len(TABLE))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder for one tariff after the other; they are overwritten."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def lines_named(path: Path) -> set[tuple[str, int]]:
    """Where the check finds mistakes."""
    return {(Path(mistake.path).name, mistake.line) for mistake in check_tariff_file(path)}


def line_at(text: str, place: int) -> int:
    """The number of the line a place in a text is on."""
    return text.count("\n", 0, place) + 1


@given(match=st.sampled_from(list(PRICE.finditer(GOOD))), bad=st.sampled_from(["-1", "1,5", "x", "1e3", "", "1 EUR"]))
def test_a_bad_price_is_named_wherever_it_stands(folder, match, bad):
    text = f"{GOOD[: match.start(1)]}{bad}{GOOD[match.end(1) :]}"
    assert ("good.yaml", line_at(GOOD, match.start())) in lines_named(write(folder, text))


@given(match=st.sampled_from([found for found in PRICE.finditer(GOOD) if "." in found[1]]))
def test_a_price_without_quotes_is_named_wherever_it_stands(folder, match):
    text = f"{GOOD[: match.start(1) - 1]}{match[1]}{GOOD[match.end(1) + 1 :]}"
    assert lines_named(write(folder, text)) == {("good.yaml", line_at(GOOD, match.start()))}


@given(match=st.sampled_from(list(FIELD.finditer(GOOD))), typo=st.sampled_from(["q", "_", "s"]))
def test_a_misspelt_field_is_named_wherever_it_stands(folder, match, typo):
    text = f"{GOOD[: match.end(1)]}{typo}{GOOD[match.end(1) :]}"
    assert ("good.yaml", line_at(GOOD, match.start(1))) in lines_named(write(folder, text))


@given(row=st.sampled_from(ROWS), bad=st.sampled_from(["-0.1", "x", "0,1"]))
def test_a_bad_price_in_a_long_table_is_named(folder, row, bad):
    cells = TABLE[row].split(",")
    cells[1] = bad if "," not in bad else f'"{bad}"'
    table = "\n".join([*TABLE[:row], ",".join(cells), *TABLE[row + 1 :]])
    assert lines_named(write(folder, table=table)) == {("prefixes.csv", row + 1)}


@given(rows=st.lists(st.sampled_from(ROWS), min_size=2, max_size=2, unique=True))
def test_a_prefix_that_is_there_twice_is_named_at_the_second(folder, rows):
    first, second = sorted(rows)
    cells = TABLE[second].split(",")
    cells[0] += " " + TABLE[first].split()[0].split(",")[0]
    table = "\n".join([*TABLE[:second], ",".join(cells), *TABLE[second + 1 :]])
    assert lines_named(write(folder, table=table)) == {("prefixes.csv", second + 1)}


@given(
    which=st.sampled_from(["yaml", "csv"]),
    place=st.floats(0, 1, exclude_max=True),
    length=st.integers(0, 12),
    new=st.sampled_from(["", "x", "-", "0", " ", '"', "\n", ": ", "{", "DE", "1.5", "null", ","]) | st.text(max_size=3),
)
def test_what_the_check_passes_the_engine_loads(folder, which, place, length, new):
    """Any change at all: what has no serious mistake loads."""
    text, table = (GOOD, PREFIXES)
    source = text if which == "yaml" else table
    at = int(place * len(source))
    changed = source[:at] + new + source[at + length :]
    text, table = (changed, table) if which == "yaml" else (text, changed)
    try:
        file = write(folder, text, table)
    except UnicodeEncodeError:
        return
    if all(mistake.tolerable for mistake in check_tariff_file(file)):
        load_tariff(file)
