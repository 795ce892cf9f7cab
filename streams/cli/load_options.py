"""The options that all of `rater load` share, checked, and as what the load generator takes."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import click

from streams.load.bodies import SERVICES, networks
from streams.load.fleet import Fleet, Terms
from streams.load.pace import Pace
from streams.load.recipe import COUNTRIES, MIX, Recipe


class Share(click.ParamType):
    """A share in percent, as parts of a million."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """From "0.5%" to 5000."""
        number, percent, rest = str(value).partition("%")
        if not percent or rest or not number.replace(".", "", 1).isdecimal() or Decimal(number) > 100:
            self.fail(f'"{value}" is no share such as 0.5%', param, ctx)
        return int(Decimal(number) * 10_000)


class Weights(click.ParamType):
    """Names with weights."""

    name = "name=weight,..."

    def __init__(self, known: Mapping[str, object] | tuple[str, ...]) -> None:
        self._known = known

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Mapping[str, float]:
        """From "data=85,voice=15" to {"data": 85, "voice": 15}."""
        weights: dict[str, float] = {}
        for pair in str(value).split(","):
            name, _, weight = pair.partition("=")
            if name not in self._known:
                self.fail(f'"{name}" is none of {", ".join(self._known)}', param, ctx)
            if not weight.replace(".", "", 1).isdecimal():
                self.fail(f'"{pair}" has no weight: {name}=10', param, ctx)
            weights[name] = float(weight)
        if not any(weights.values()):
            self.fail("all weights are 0", param, ctx)
        return weights


class Day(click.ParamType):
    """A day, or None for now."""

    name = "now|yyyy-mm-dd"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date | None:
        """From "2026-10-20" to that day."""
        try:
            return None if value == "now" else date.fromisoformat(value)
        except ValueError:
            self.fail(f'"{value}" is neither "now" nor a day such as 2026-10-20', param, ctx)


def _listed(weights: Mapping[str, float]) -> str:
    return ",".join(f"{name}={weight:g}" for name, weight in weights.items())


@dataclass(frozen=True)
class Load:
    """What a command was asked for."""

    pace: Pace
    recipe: Recipe
    terms: Terms
    create: bool
    as_json: bool


_COUNT = click.IntRange(min=1)
_OPTIONS = [
    click.option("--rate", type=click.IntRange(min=0), help="Events a second; 0 is as fast as it goes."),
    click.option("--seconds", type=click.IntRange(min=0), default=0, help="For so long."),
    click.option("--events", type=click.IntRange(min=0), default=0, help="So many, if that is sooner."),
    click.option("--tenant", default="demo", show_default=True, help="Whose usage it is."),
    click.option("--fleet", default="load", show_default=True, help="Name of the wallets, and what SIMs they have."),
    click.option("--wallets", type=_COUNT, default=1000, show_default=True),
    click.option("--sims-per-wallet", type=_COUNT, default=1, show_default=True),
    click.option("--skew", type=click.FloatRange(min=0), default=1.05, show_default=True,
                 help="Zipf exponent by which wallets are drawn; 0: all alike."),
    click.option("--mix", type=Weights(SERVICES), default=_listed(MIX), show_default=True),
    click.option("--countries", type=Weights(networks()), default=_listed(COUNTRIES), show_default=True,
                 help="Where the SIMs are; networks are drawn within."),
    click.option("--repeats", type=Share(), default="1%", show_default=True, help="Events sent again."),
    click.option("--damaged", type=Share(), default="0.5%", show_default=True, help="Events that cannot be read."),
    click.option("--unknown", type=Share(), default="0.5%", show_default=True, help="Events of SIMs nobody knows."),
    click.option("--dry", type=Share(), default="5%", show_default=True, help="With --create: wallets nearly empty."),
    click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same events."),
    click.option("--run", default="", help="What event ids begin with; by default the seed, and the time for now."),
    click.option("--clock", "day", type=Day(), default="now", show_default=True, help="When usage was."),
    click.option("--create", is_flag=True, help="Make the wallets and SIMs first; again is harmless."),
    click.option("--plan", default="payg-eur", show_default=True, help="With --create."),
    click.option("--currency", default="EUR", show_default=True, help="With --create."),
    click.option("--balance", default="1000000.00", show_default=True, help="With --create."),
    click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object."),
]  # fmt: skip


def load_options(rate: int, *, damage_is_json: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command all of them, as its argument `load`; `rate` is its default."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def wrapped(*args: Any, **options: Any) -> None:
            shared = {name: options.pop(name) for name in _NAMES}
            shared["rate"] = rate if shared["rate"] is None else shared["rate"]
            command(*args, load=_load(damage_is_json=damage_is_json, **shared), **options)

        for option in reversed(_OPTIONS):
            wrapped = option(wrapped)
        return wrapped

    return decorate


_NAMES = (
    "rate", "seconds", "events", "tenant", "fleet", "wallets", "sims_per_wallet", "skew", "mix", "countries", "repeats",
    "damaged", "unknown", "dry", "seed", "run", "day", "create", "plan", "currency", "balance", "as_json",
)  # fmt: skip


def _load(*, damage_is_json: bool, **given: Any) -> Load:
    if not given["seconds"] and not given["events"]:
        raise click.UsageError("say how much: --seconds or --events")
    if given["repeats"] + given["damaged"] + given["unknown"] > 1_000_000:
        raise click.UsageError("--repeats, --damaged and --unknown are more than all events")
    fleet = Fleet(given["tenant"], given["fleet"], given["wallets"], given["sims_per_wallet"], given["dry"])
    # The same ids at other times would be conflicts, not repeats; on a fixed day the same seed is the same usage.
    run = given["run"] or str(given["seed"]) + ("" if given["day"] else time.strftime("-%Y%m%dT%H%M%S", time.gmtime()))
    recipe = Recipe(
        fleet=fleet, seed=given["seed"], run=run, skew=given["skew"], mix=given["mix"], countries=given["countries"],
        repeats_ppm=given["repeats"], damaged_ppm=given["damaged"], unknown_ppm=given["unknown"], day=given["day"],
        damage_is_json=damage_is_json,
    )  # fmt: skip
    terms = Terms(given["plan"], given["currency"], given["balance"])
    pace = Pace(given["rate"], given["events"], given["seconds"])
    return Load(pace, recipe, terms, given["create"], given["as_json"])
