"""Writes the sample into a folder."""

from __future__ import annotations

from pathlib import Path

import click

from schemas.sample import generate


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--seed", default=1, show_default=True)
@click.option("--events", default=210_000, show_default=True)
def main(folder: Path, seed: int, events: int) -> None:
    """Write EVENTS sample records and their wallets into FOLDER."""
    generate(folder, seed, events)


main()
