"""`python -m benchmarks`: measure, check the ledger, print a table, keep a JSON result. Exit 1 if a run was wrong."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from benchmarks import conditions, report
from benchmarks.crossing import crossing
from benchmarks.decode import decode
from benchmarks.durability import durability
from benchmarks.figures import Part
from benchmarks.file_door import file_door
from benchmarks.http_door import http_door
from benchmarks.old_ids import old_ids
from benchmarks.rating import rating
from benchmarks.run import Run
from benchmarks.sizes import SIZES
from benchmarks.stream import kafka
from benchmarks.wallets import wallets
from rater.errors import RaterError
from rater.settings import load_settings

#: Of tables that go to a file.
WIDTH = 120

PARTS: dict[str, Callable[[Run], Coroutine[Any, Any, Part]]] = {
    "decode": decode,
    "rating": rating,
    "wallets": wallets,
    "durability": durability,
    "crossing": crossing,
    "old-ids": old_ids,
    "file": file_door,
    "http": http_door,
    "kafka": kafka,
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--size", type=click.Choice(list(SIZES)), default="quick", show_default=True, help="How much to measure.")
@click.option("--only", multiple=True, type=click.Choice(list(PARTS)), help="Only this part; may be repeated.")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="Settings of a cluster to measure.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON instead of tables.")
@click.option("--results", type=click.Path(path_type=Path, file_okay=False), default=report.RESULTS, hidden=True)
def main(size: str, only: tuple[str, ...], config: Path | None, as_json: bool, results: Path) -> None:
    """Measure what the engine costs an event. See benchmarks/README.md for how to read the figures."""
    console = Console(stderr=as_json, highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    found = conditions.take()
    report.show_conditions(console, found)
    parts: dict[str, Part] = {}
    with tempfile.TemporaryDirectory(prefix="rater-bench-") as folder:
        run = Run(SIZES[size], load_settings(config), Path(folder))
        for name in only or PARTS:
            started = time.perf_counter()
            parts[name] = _measured(name, run)
            report.show_part(console, parts[name])
            console.print(f"[dim]{name}: {time.perf_counter() - started:.0f} s[/]\n")
    found.finish()
    console.print(f"{'loop ms after':<24}{found.loop_ms_after}")
    console.print(f"{'load average after':<24}{found.load_average_after}")
    text = report.as_json(found, size, parts)
    path = report.write(text, results)
    if as_json:
        click.echo(text)
    console.print(f"result: {path}")
    if any(part.faults for part in parts.values()):
        console.print("[bold red]A run was wrong; its figures mean nothing.[/]")
        sys.exit(1)


def _measured(name: str, run: Run) -> Part:
    """A part's figures; a part that cannot run is a fault, and the others go on."""
    try:
        return asyncio.run(PARTS[name](run))
    except RaterError as error:
        return Part(name, faults=[str(error)])


if __name__ == "__main__":
    main()
