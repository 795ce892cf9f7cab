"""Reads the CSV tables beside this file."""

import csv
from collections.abc import Iterator
from pathlib import Path


def rows(name: str) -> Iterator[list[str]]:
    """The rows of a table, without the lines that state its source and without the header."""
    with (Path(__file__).parent / name).open(newline="", encoding="utf-8") as file:
        reader = csv.reader(line for line in file if not line.startswith("#"))
        next(reader)
        yield from reader
