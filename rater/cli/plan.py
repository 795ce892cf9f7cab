"""`rater plan check`: every mistake of plan files at once. `show`: in words. `migrate`: leave one for another."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from rater.catalogue import Catalogue
from rater.errors import CatalogueError
from rater.plans.model import Plan
from rater.plans.reading import PlanFile, check_plan_file, read_plan
from rater.plans.reading.references import check_references
from rater.plans.show import describe
from rater.plans.vat import VAT_FILE, read_vat
from rater.settings import Settings
from rater.tariff.load import load_tariff, read_text
from rater.tariff.model import Tariff


@click.group()
def plan() -> None:
    """Check plan files, show what a plan says, and move everybody from one to another."""


@plan.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH...")
def check(paths: tuple[Path, ...]) -> None:
    """List every mistake of plan files, with its line and what to write instead.

    PATH is a plan file, a folder of them, or a catalogue with a folder "plans", whose vat.csv is checked as well.
    Within a catalogue the tariffs, zones and plans that a plan names are looked up too. Exits with 1 if there is a
    mistake.
    """
    files = {file: check_plan_file(file) for path in paths for file in _files(path)}
    if not files:
        raise click.ClickException(f"no plan (*.yaml) in {', '.join(map(str, paths))}")
    lines = [str(mistake) for found in files.values() for mistake in found.mistakes]
    lines += _twice(files)
    for folder in {_catalogue_of(path) for path in files}:
        inside = {path: found for path, found in files.items() if _catalogue_of(path) == folder}
        lines += _unknown(folder, inside)
    for path in paths:
        lines += _vat(path / VAT_FILE)
    for path, found in files.items():
        if not any(line.startswith(f"{path}:") for line in lines):
            click.echo(f"{path}: no mistakes in {_summary(found)}")
    for line in lines:
        click.echo(line)
    if lines:
        click.echo(f"{len(lines)} mistake{'s' if len(lines) > 1 else ''}", err=True)
        sys.exit(1)


@plan.command()
@click.argument("name", metavar="NAME|FILE")
@click.option("--version", help="Only this version; all of them unless set.")
@click.pass_obj
def show(settings: Settings, name: str, version: str | None) -> None:
    """Say what a plan's versions offer, as the engine reads them: one of the catalogue by name, or a file."""
    if name.endswith(".yaml"):
        versions = read_plan(read_text(Path(name)), name)
    else:
        catalogue = Catalogue.load(Path(settings.engine.catalogue))
        versions = catalogue.versions(name)
        if not versions:
            raise click.ClickException(f'there is no plan "{name}"; there are {", ".join(catalogue.plans)}')
    chosen = [found for found in versions if version in (None, found.version)]
    if not chosen:
        raise click.ClickException(f'plan "{name}" has no version "{version}"')
    for found in chosen:
        click.echo(f"{found.name} {found.version}")
        for label, text in describe(found):
            click.echo(f"  {label:<11} {text}")


@plan.command()
@click.argument("old")
@click.option("--to", "new", required=True, help="The plan they are moved to.")
@click.option("--tenant", default="", help="Only this tenant's; all unless set.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Only say what it would mean.")
@click.option(
    "--report", type=click.Path(dir_okay=False, path_type=Path), help="A JSON line for each is written there."
)
@click.option(
    "--estimate-months",
    default=3,
    show_default=True,
    type=click.IntRange(0, 12),
    help="In a dry run: so many months of real usage by the new plan; 0 leaves it out.",
)
@click.pass_obj
def migrate(
    settings: Settings, old: str, new: str, tenant: str, *, is_dry: bool, report: Path | None, estimate_months: int
) -> None:
    """Move everybody on plan OLD to another, as OLD's terms say: at once, or at the end of the month.

    Who cannot be moved is named with the reason. A run that was cut short goes on when the same is run again; each is
    moved once.
    """
    # By name, because the engine's package imports nothing of the streams package.
    module = importlib.import_module("streams.cli.migrate")
    module.migrate(settings, module.Asked(old, new, tenant, is_dry, report, estimate_months))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    folder = path / "plans" if (path / "plans").is_dir() else path
    return sorted(folder.glob("**/*.yaml"))


def _vat(path: Path) -> list[str]:
    """The mistakes of a catalogue's VAT table, if it has one."""
    if not path.is_file():
        return []
    try:
        rates = read_vat(read_text(path), str(path))
    except CatalogueError as error:
        return str(error).splitlines()
    click.echo(f"{path}: no mistakes in the VAT rates of {', '.join(rates.countries)}")
    return []


def _catalogue_of(path: Path) -> Path | None:
    """The nearest folder above a plan file that has tariffs."""
    return next((folder for folder in path.absolute().parents if (folder / "tariffs").is_dir()), None)


def _twice(files: dict[Path, PlanFile]) -> Iterable[str]:
    known: dict[str, Path] = {}
    for path, found in files.items():
        if found.name and known.setdefault(found.name, path) is not path:
            yield f'{path}:1: {known[found.name]} has a plan named "{found.name}" too; rename one'


def _unknown(folder: Path | None, files: dict[Path, PlanFile]) -> list[str]:
    """What the plans name and the catalogue does not have. A tariff that does not load is the tariff check's matter."""
    every = list(files.values())
    tariffs: dict[str, Tariff] | None = None
    if folder is not None:
        every += [check_plan_file(path) for path in folder.glob("plans/*.yaml")]
        try:
            loaded = [load_tariff(path) for path in sorted(folder.glob("tariffs/**/*.yaml"))]
            tariffs = {tariff.name: tariff for tariff in loaded}
        except CatalogueError as error:
            click.echo(f"tariffs are not looked up, as one has a mistake: {error}", err=True)
    references = [reference for file in files.values() for reference in file.references]
    plans = {file.name for file in every} - {""}
    found = check_references(references, tariffs, plans, [file.plans for file in every])
    return [str(mistake) for mistake in found]


def _summary(found: PlanFile) -> str:
    last: Plan = found.plans[-1]
    counts = {
        "version": len(found.plans),
        "allowance": len(last.allowances),
        "refill offer": len(last.refills),
        "add-on": len(last.addons),
    }
    return ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for what, count in counts.items() if count)
