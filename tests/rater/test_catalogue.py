"""A catalogue is its files: known by their digest, rebuilt from its sources, and every mistake at once."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from rater.catalogue import Catalogue
from rater.errors import CatalogueError
from tests.rater.rating.building import unix_ms

TARIFF = """
tariff: world
currency: EUR
zone: Europe/Berlin
versions:
  - version: "1"
    effective_from: "2026-01-01T00:00"
    tables: [{file: data.csv, service: data, per: MB}]
"""
PLAN = """
plan: payg
zone: Europe/Berlin
settlement: prepaid
versions:
  - {version: "1", effective_from: "2026-01-01T00:00", tariff: world}
  - {version: "2", effective_from: "2026-10-01T00:00", tariff: world, entitlements: [data, message]}
"""

VAT = "country,percent,effective_from\nDE,19,2021-01-01\n"


def _write(folder: Path, **files: str) -> Path:
    contents = {"tariffs/world.yaml": TARIFF, "tariffs/data.csv": "where,price\nDE,0.01\n", "plans/payg.yaml": PLAN,
                "vat.csv": VAT}  # fmt: skip
    for path, text in {**contents, **files}.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    return folder


def test_a_plan_is_the_version_in_force_at_the_time_of_the_event(tmp_path: Path) -> None:
    catalogue = Catalogue.load(_write(tmp_path))

    def version(text: str) -> str | None:
        plan = catalogue.plan("payg", unix_ms(text))
        return plan.version if plan else None

    assert version("2025-12-31T22:59:59Z") is None
    assert version("2025-12-31T23:00:00Z") == "1"
    assert version("2026-09-30T21:59:59Z") == "1"
    assert version("2026-09-30T22:00:00Z") == "2"
    assert catalogue.plan("other", unix_ms("2026-10-01T00:00:00Z")) is None


def test_a_plan_allows_every_service_unless_it_says_which(tmp_path: Path) -> None:
    catalogue = Catalogue.load(_write(tmp_path))
    first, second = (catalogue.plan("payg", unix_ms(text)) for text in ("2026-02-01T00:00:00Z", "2026-10-02T00:00:00Z"))

    assert first is not None
    assert first.entitlements == {"data", "voice", "message"}
    assert second is not None
    assert second.entitlements == {"data", "message"}
    assert catalogue.tariff(second.tariff).name == "world"


def test_a_catalogue_is_rebuilt_from_its_sources(tmp_path: Path) -> None:
    catalogue = Catalogue.load(_write(tmp_path))
    again = Catalogue.from_sources(catalogue.sources())

    assert again.digest == catalogue.digest
    assert again.sources() == catalogue.sources()
    assert again.tariff("world") == catalogue.tariff("world")


@pytest.mark.parametrize("path", ["tariffs/world.yaml", "tariffs/data.csv", "plans/payg.yaml", "vat.csv"])
def test_another_text_is_another_catalogue(tmp_path: Path, path: str) -> None:
    before = Catalogue.load(_write(tmp_path)).digest
    (tmp_path / path).write_text((tmp_path / path).read_text() + "# a comment\n")

    assert Catalogue.load(tmp_path).digest != before


def test_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    broken = {
        "tariffs/world.yaml": TARIFF.replace("EUR", "EURO"),
        "plans/payg.yaml": PLAN.replace("prepaid", "postpaid"),
        "vat.csv": VAT.replace("DE", "UK"),
    }
    with pytest.raises(CatalogueError) as error:
        Catalogue.load(_write(tmp_path, **broken))

    assert "EURO" in str(error.value)
    assert 'plans/payg.yaml:4: unknown settlement "postpaid"; write "prepaid"' in str(error.value)
    assert 'vat.csv:2: "UK" is no ISO 3166-1 alpha-2 country' in str(error.value)


def test_vat_is_that_of_the_folders_table_and_none_without_one(tmp_path: Path) -> None:
    catalogue = Catalogue.load(_write(tmp_path))
    assert catalogue.vat.percent("DE", date(2026, 1, 1)) == 19
    assert Catalogue.from_sources(catalogue.sources()).vat.countries == ("DE",)
    (tmp_path / "vat.csv").unlink()
    with pytest.raises(CatalogueError, match="no VAT rate for DE"):
        Catalogue.load(tmp_path).vat.percent("DE", date(2026, 1, 1))


def test_a_plan_whose_tariff_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match='plan "payg" version "1": there is no tariff "moon"'):
        Catalogue.load(_write(tmp_path, **{"plans/payg.yaml": PLAN.replace("world", "moon")}))


def test_two_files_with_one_name_are_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match='another file has a plan named "payg" too'):
        Catalogue.load(_write(tmp_path, **{"plans/other.yaml": PLAN}))


def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"there is no tariffs/\*\.yaml"):
        Catalogue.load(tmp_path)


def test_bytes_that_are_no_catalogue_are_refused() -> None:
    with pytest.raises(CatalogueError, match="no catalogue"):
        Catalogue.from_sources(b"nothing")
