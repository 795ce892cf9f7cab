"""`python -m benchmarks.full`: the stages that are not done yet, one after the other. Exit 1 if a run was wrong."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from benchmarks import conditions, report
from benchmarks.figures import Part
from benchmarks.full.fleets import BESIDE, Full, folder_of
from benchmarks.full.growth import stream, wallets
from benchmarks.full.scales import SCALES, Scale
from benchmarks.full.soak import FOLDER, soak
from benchmarks.full.state import Done, StateFile
from rater.errors import PartsError, RaterError
from rater.settings import load_settings

#: Git ignores it.
DATA = Path(__file__).resolve().parents[2] / ".cache" / "bench-full"
#: Of tables that go to a file.
WIDTH = 120

#: One stage: its name, what runs it, and the data folder it works on.
Stage = tuple[str, Callable[[Full, int], Awaitable[Part]], str]


def stages(scale: Scale) -> Iterator[Stage]:
    """Every stage, those on the same data one after the other."""
    for count in scale.wallets:
        yield f"wallets-{count}", partial(_on, wallets, count), folder_of(count)
        if count in scale.streamed:
            yield f"stream-{count}", partial(_on, stream, count), folder_of(count)
    yield "soak", soak, FOLDER


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--size", type=click.Choice(list(SCALES)), default="full", show_default=True, help="How much to measure.")
@click.option("--only", multiple=True, metavar="STAGE", help="Only this stage (wallets-10000 ...); may be repeated.")
@click.option("--again", is_flag=True, help="Forget what is done, and start over.")
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), default=DATA, help="Where data are meanwhile."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON instead of tables.")
@click.option("--results", type=click.Path(path_type=Path, file_okay=False), default=report.RESULTS, hidden=True)
def main(size: str, only: tuple[str, ...], again: bool, data: Path, as_json: bool, results: Path) -> None:
    """Measure ten million wallets and a soak of ten minutes. An interrupted run is taken up where it was."""
    console = Console(stderr=as_json, highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    chosen = [stage for stage in stages(SCALES[size]) if not only or stage[0] in only]
    if unknown := set(only) - {name for name, _, _ in chosen}:
        raise click.UsageError(f"size {size} has no stage {', '.join(sorted(unknown))}")
    try:
        full = _opened(size, data.absolute() / size, console, again)
    except PartsError as error:
        raise click.ClickException(f"{error}; --again starts over") from error
    found = conditions.take()
    report.show_conditions(console, found)
    try:
        parts = {name: _done(full, name, operation, folder) for name, operation, folder in chosen}
    except PartsError as error:  # a folder that cannot be removed
        raise click.ClickException(str(error)) from error
    found.finish()
    state = full.state.state
    text = report.as_json(
        found, size, parts, {name: state.done[name].conditions for name in parts if name in state.done}
    )
    path = report.write(text, results)
    if as_json:
        click.echo(text)
    console.print(f"result: {path}")
    if any(part.faults for part in parts.values()):
        console.print("[bold red]A run was wrong; its figures mean nothing. What was right is kept.[/]")
        sys.exit(1)


def _opened(size: str, folder: Path, console: Console, again: bool) -> Full:
    settings = load_settings(None)
    if settings.engine.mode != "embedded":
        raise PartsError("bench-full runs on parts of its own: set mode to embedded")
    if again:
        _start_over(Full(SCALES[size], settings, folder, StateFile(folder / "none", size), console))
    folder.mkdir(parents=True, exist_ok=True)
    return Full(SCALES[size], settings, folder, StateFile(folder / "state.json", size), console)


def _start_over(full: Full) -> None:
    for name in (*(folder for _, _, folder in stages(full.scale)), BESIDE):
        full.clear(name)
    shutil.rmtree(full.folder, ignore_errors=True)


def _done(full: Full, name: str, operation: Callable[[Full, int], Awaitable[Part]], folder: str) -> Part:
    """A stage's figures: those kept, or new ones."""
    kept = full.state.state.done.get(name)
    if kept is not None:
        part, said = kept.part(), f"measured {kept.ended}"
    else:
        found, started = conditions.take(), time.perf_counter()
        part = asyncio.run(_run(full, name, operation))
        found.finish()
        seconds = time.perf_counter() - started
        said = f"{seconds:.0f} s"
        if not part.faults:
            ended = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
            full.state.finish(name, Done(part.title, ended, round(seconds, 1), found, part.figures))
        if part.faults or all(
            other in full.state.state.done for other, _, where in stages(full.scale) if where == folder
        ):
            full.clear(folder)  # after a fault nobody knows what is in it
    report.show_part(full.console, part)
    full.console.print(f"[dim]{name}: {said}[/]\n")
    return part


async def _run(full: Full, name: str, operation: Callable[[Full, int], Awaitable[Part]]) -> Part:
    """A stage that cannot run is a fault, and the others go on."""
    try:
        return await operation(full, full.state.begin(name))
    except RaterError as error:
        return Part(name, faults=[str(error)])


async def _on(operation: Callable[[Full, int, int], Awaitable[Part]], count: int, full: Full, attempt: int) -> Part:
    return await operation(full, count, attempt)


if __name__ == "__main__":
    main()
