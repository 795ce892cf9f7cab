"""The catalogue: every tariff and plan of a folder and its VAT table, known by the digest of its files.

A wallet entry keeps the first bytes of the digest of the catalogue that decided it, and the sources are kept beside the
wallets; so a charge can be derived again from what it was derived from, whatever the folder says by then.
"""

from __future__ import annotations

import json
import zlib
from bisect import bisect_right
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Final

from rater.errors import CatalogueError, PlanError, UnknownPlanError
from rater.plans.model import Plan
from rater.plans.reading import PlanFile, read_plan_file
from rater.plans.reading.references import check_references
from rater.plans.reading.section import Reference
from rater.plans.vat import EMPTY, VAT_FILE, VatRates, read_vat
from rater.tariff.check import check_tariff_file
from rater.tariff.load import read_tariff, read_text
from rater.tariff.model import Tariff

DIGEST_BYTES: Final = 16


class Catalogue:
    """Tariffs and plans by name, and VAT rates. `digest` (16 bytes) is of all sources."""

    def __init__(self, files: Mapping[str, str]) -> None:
        """Read a catalogue from its files, text by path ("tariffs/world.yaml").

        Raises:
            CatalogueError: the mistakes of all files, a line each.
        """
        self._files = dict(sorted(files.items()))
        self.digest = blake2b(_packed(self._files), digest_size=DIGEST_BYTES).digest()
        self._tariffs: dict[str, Tariff] = {}
        self._plans: dict[str, tuple[Plan, ...]] = {}
        self._references: list[Reference] = []
        #: Of the operator's table; without one no country has a rate.
        self.vat = VatRates({})
        mistakes: list[str] = []
        for path in self._files:
            if path.endswith(".yaml") or path == VAT_FILE:
                try:
                    self._read(path)
                except CatalogueError as error:
                    mistakes.append(str(error))
        mistakes += self._dangling() if not mistakes else []
        if mistakes:
            raise CatalogueError("\n".join(mistakes))

    @classmethod
    def load(cls, folder: Path) -> Catalogue:
        """The catalogue of a folder: tariffs/*.yaml with the CSV files beside them, plans/*.yaml, and vat.csv.

        Raises:
            CatalogueError: the mistakes of all files, a line each.
        """
        paths = [*folder.glob("tariffs/**/*.yaml"), *folder.glob("tariffs/**/*.csv"), *folder.glob("plans/*.yaml")]
        if not paths:
            raise CatalogueError(f"{folder}: there is no tariffs/*.yaml and no plans/*.yaml")
        paths += folder.glob(VAT_FILE)
        files = {path.relative_to(folder).as_posix(): read_text(path) for path in paths}
        tariffs = sorted(folder.glob("tariffs/**/*.yaml"))
        mistakes = [str(found) for path in tariffs for found in check_tariff_file(path) if not found.tolerable]
        mistakes += [*_mistakes_of_plans(files), *_mistakes_of_vat(files)]
        if mistakes:
            raise CatalogueError("\n".join(mistakes))
        return cls(files)

    @classmethod
    def from_sources(cls, data: bytes) -> Catalogue:
        """The catalogue that `sources` wrote.

        Raises:
            CatalogueError: the bytes are no catalogue.
        """
        try:
            files = json.loads(zlib.decompress(data))
        except (zlib.error, ValueError) as error:
            raise CatalogueError(f"these bytes are no catalogue: {error}") from error
        return cls(files)

    def sources(self) -> bytes:
        """All files in one compressed piece, to be kept beside the wallets."""
        return zlib.compress(_packed(self._files), 9)

    @property
    def tariffs(self) -> tuple[Tariff, ...]:
        """All tariffs, by name."""
        return tuple(self._tariffs[name] for name in sorted(self._tariffs))

    @property
    def plans(self) -> tuple[str, ...]:
        """The names of all plans."""
        return tuple(sorted(self._plans))

    def versions(self, name: str) -> tuple[Plan, ...]:
        """All versions of a plan, in order of time; none if there is no such plan."""
        return self._plans.get(name, ())

    def plan(self, name: str, at_ms: int) -> Plan | None:
        """The version of a plan in force at an event's time; None if there is none."""
        versions = self._plans.get(name, ())
        place = bisect_right(versions, at_ms, key=lambda plan: plan.effective_from_ms)
        return versions[place - 1] if place else None

    def currency_of(self, plan: Plan) -> str:
        """In what a plan is sold: its tariff's currency, which is what it names itself, if it names any."""
        return self.tariff(plan.tariff).currency

    def check_assignable(self, name: str, currency: str, at_ms: int) -> None:
        """See that a SIM whose wallet is in a currency can be put on a plan; its first version may be yet to come.

        Raises:
            UnknownPlanError: there is no such plan.
            PlanError: its tariff is in another currency.
        """
        if name not in self._plans:
            raise UnknownPlanError("plan", f"the catalogue has no plan {name}")
        version = self.plan(name, at_ms)
        if version is not None and self.currency_of(version) != currency:
            raise PlanError("plan", f"its tariff is not in {currency}, the wallet's currency")

    def version(self, name: str, version: str) -> Plan | None:
        """A version of a plan by its name; None if there is none."""
        return next((plan for plan in self._plans.get(name, ()) if plan.version == version), None)

    def plan_until_ms(self, name: str, at_ms: int) -> int | None:
        """When the version in force at a time is followed by the next; None if none follows yet."""
        versions = self._plans.get(name, ())
        return min((plan.effective_from_ms for plan in versions if plan.effective_from_ms > at_ms), default=None)

    def tariff(self, name: str) -> Tariff:
        """A tariff by its name; a name that no plan can have is a KeyError."""
        return self._tariffs[name]

    def _read(self, path: str) -> None:
        text = self._files[path]
        if path == VAT_FILE:
            self.vat = read_vat(text, path)
            return
        if path.startswith("plans/"):
            self._read_plan(read_plan_file(text, path), path)
            return
        beside = path.rpartition("/")[0]
        tariff = read_tariff(text, path, lambda name: self._beside(beside, name))
        if self._tariffs.setdefault(tariff.name, tariff) is not tariff:
            raise CatalogueError(f'{path}: another file has a tariff named "{tariff.name}" too')

    def _read_plan(self, file: PlanFile, path: str) -> None:
        if not file.plans:
            raise CatalogueError("\n".join(_serious(file)))
        name = file.plans[0].name
        if self._plans.setdefault(name, file.plans) is not file.plans:
            raise CatalogueError(f'{path}: another file has a plan named "{name}" too')
        self._references += file.references

    def _beside(self, folder: str, name: str) -> str:
        try:
            return self._files[f"{folder}/{name}"]
        except KeyError:
            raise CatalogueError(f"{folder}/{name}: there is no such file") from None

    def _dangling(self) -> list[str]:
        """What plans name and the catalogue does not have."""
        found = check_references(self._references, self._tariffs, self._plans, self._plans.values())
        return [str(mistake) for mistake in found]


def _mistakes_of_plans(files: Mapping[str, str]) -> list[str]:
    plans = [read_plan_file(text, path) for path, text in sorted(files.items()) if path.startswith("plans/")]
    return [mistake for plan in plans for mistake in _serious(plan)]


def _mistakes_of_vat(files: Mapping[str, str]) -> list[str]:
    try:
        read_vat(files.get(VAT_FILE, EMPTY), VAT_FILE)
    except CatalogueError as error:
        return [str(error)]
    return []


def _serious(file: PlanFile) -> list[str]:
    """What keeps a plan file from loading."""
    return [str(mistake) for mistake in file.mistakes if not mistake.tolerable]


def _packed(files: Mapping[str, str]) -> bytes:
    return json.dumps(files, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
