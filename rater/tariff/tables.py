"""CSV tables beside a tariff: many rates of one sort, and zones of many countries."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from typing import Any, Final

from rater.errors import CatalogueError
from rater.tariff.fields import Fields
from rater.tariff.model import Band, Rate
from rater.tariff.rates import read_rate

#: Columns of a table of rates; `bands.NAME` is one for each band.
COLUMNS: Final = (
    "where", "to", "price", "per", "name", "kind", "direction", "answer", "setup", "minimum", "maximum",
    "minimum_quantity", "tax_category",
)  # fmt: skip
#: Columns whose cell holds several values, separated by blanks.
_LISTS: Final = ("where", "to")


def csv_rows(text: str, file: str) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, cells by column) of a CSV text; lines that start with "#" are comments.

    Raises:
        CatalogueError: a row has more or fewer cells than the header.
    """
    header: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#") or not line.strip():
            continue
        cells = [cell.strip() for cell in next(csv.reader([line]))]
        if not header:
            header = cells
        elif len(cells) != len(header):
            raise CatalogueError(f"{file}:{number}: {len(cells)} cells, but the header has {len(header)}")
        else:
            yield number, dict(zip(header, cells, strict=True))


def read_zones_csv(text: str, file: str) -> dict[str, tuple[str, ...]]:
    """Zones from a table with the columns country and zone.

    Raises:
        CatalogueError: a column is missing.
    """
    zones: dict[str, list[str]] = {}
    for number, row in csv_rows(text, file):
        if not row.get("zone") or not row.get("country"):
            raise CatalogueError(f"{file}:{number}: each row has a country and a zone")
        zones.setdefault(row["zone"], []).append(row["country"])
    return {zone: tuple(countries) for zone, countries in zones.items()}


def read_table(fields: Fields, bands: dict[str, Band], read: Callable[[str], str]) -> list[Rate]:
    """The rates of one table: the template's fields, each row's cells over them.

    Raises:
        CatalogueError: a mistake, named by file and line of the row.
    """
    file = fields.text("file")
    template = fields.rest()
    rates = []
    for number, row in csv_rows(read(file), file):
        rates.append(read_rate(Fields(_merged(template, row, f"{file}:{number}"), f"{file}:{number}"), bands))
    return rates


def _merged(template: dict[str, Any], row: dict[str, str], place: str) -> dict[str, Any]:
    merged = dict(template)
    for column, cell in row.items():
        if column not in COLUMNS and not column.startswith("bands."):
            raise CatalogueError(f'{place}: there is no column "{column}"')
        if not cell:
            continue
        if column.startswith("bands."):
            merged["bands"] = {**merged.get("bands", {}), column.removeprefix("bands."): cell}
        else:
            merged[column] = cell.split() if column in _LISTS else cell
    return merged
