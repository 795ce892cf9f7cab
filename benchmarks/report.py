"""The result: a table for people, JSON for comparing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.conditions import Conditions
from benchmarks.figures import Part, number

RESULTS = Path(__file__).parent / "results"


def show_conditions(console: Console, conditions: Conditions) -> None:
    """What the figures hold for, as far as it is known before the run."""
    for name, value in msgspec.to_builtins(conditions).items():
        if name != "packages" and not name.endswith("_after"):
            console.print(f"{name.replace('_', ' '):<24}{value}")
    console.print(f"{'packages':<24}{', '.join(f'{name} {found}' for name, found in conditions.packages.items())}")


def show_part(console: Console, part: Part) -> None:
    """One part's figures, and what was wrong."""
    table = Table("what", "median", "unit", "spread", "", title=part.title, title_justify="left")
    table.columns[0].no_wrap = True
    for column in (1, 3):
        table.columns[column].justify = "right"
    for figure in part.figures:
        table.add_row(figure.name, number(figure.median), figure.unit, figure.spread, figure.note)
    console.print(table)
    for fault in part.faults:
        console.print(f"[bold red]WRONG[/] {fault}", soft_wrap=True)


def as_json(
    conditions: Conditions, size: str, parts: dict[str, Part], of_parts: Mapping[str, Conditions] | None = None
) -> str:  # fmt: skip
    """The whole result. `right` is False if a ledger did not add up or a part could not run.

    `of_parts`: the conditions of parts that were not all measured in this sitting.
    """
    own = of_parts or {}
    result = {
        "size": size,
        "right": not any(part.faults for part in parts.values()),
        "conditions": msgspec.to_builtins(conditions),
        "parts": {
            name: {
                "faults": part.faults,
                "figures": [msgspec.to_builtins(figure) | {"median": figure.median} for figure in part.figures],
            }
            | ({"conditions": msgspec.to_builtins(own[name])} if name in own else {})
            for name, part in parts.items()
        },
    }
    return json.dumps(result, indent=1, ensure_ascii=False)


def write(text: str, folder: Path = RESULTS) -> Path:
    """Keep a result; Git ignores it until it is renamed to one without `.local`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.local.json"
    path.write_text(text + "\n")
    return path
