"""`rater tariff check`: every mistake of tariff files at once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from rater.catalogue import Catalogue
from rater.errors import CatalogueError
from rater.tariff.check import check_tariff
from rater.tariff.load import load_tariff


@click.group()
def tariff() -> None:
    """Check tariff files."""


@tariff.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH...")
def check(paths: tuple[Path, ...]) -> None:
    """List every mistake of tariff files, with its line and what to write instead.

    PATH is a tariff file, a folder of them, or a catalogue with a folder "tariffs". Exits with 1 if there is a mistake.
    """
    files = [file for path in paths for file in _files(path)]
    if not files:
        raise click.ClickException(f"no tariff (*.yaml) in {', '.join(map(str, paths))}")
    lines = [line for file in files for line in _check(file)]
    if not lines:
        lines = [line for path in paths if (path / "tariffs").is_dir() for line in _mistakes(Catalogue.load, path)]
    for line in lines:
        click.echo(line)
    if lines:
        click.echo(f"{len(lines)} mistake{'s' if len(lines) > 1 else ''}", err=True)
        sys.exit(1)


def _check(file: Path) -> list[str]:
    """The mistakes of one tariff, a line each; one without any is summed up."""
    result = check_tariff(file)
    lines = [str(mistake) for mistake in result.mistakes] or _mistakes(load_tariff, file)
    if not lines:
        amounts = f"{result.countries} countries, {result.prefixes} prefixes, {result.versions} versions"
        click.echo(f"{file}: no mistakes in {amounts}")
    return lines


def _mistakes(load: Callable[[Path], object], path: Path) -> list[str]:
    """What the engine itself says when it loads a tariff or catalogue."""
    try:
        load(path)
    except CatalogueError as error:
        return str(error).splitlines()
    return []


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    folder = path / "tariffs" if (path / "tariffs").is_dir() else path
    return sorted(folder.glob("**/*.yaml"))
