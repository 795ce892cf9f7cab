"""`rater tariff check`: every mistake of tariff files at once."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from rater.tariff.check import check_tariff


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
    found = 0
    for file in files:
        result = check_tariff(file)
        found += len(result.mistakes)
        for mistake in result.mistakes:
            click.echo(str(mistake))
        if not result.mistakes:
            click.echo(
                f"{file}: no mistakes in {result.countries} countries, {result.prefixes} prefixes, "
                f"{result.versions} versions"
            )
    if found:
        click.echo(f"{found} mistake{'s' if found > 1 else ''}", err=True)
        sys.exit(1)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    folder = path / "tariffs" if (path / "tariffs").is_dir() else path
    return sorted(folder.glob("*.yaml"))
