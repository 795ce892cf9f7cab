"""The bundled sample: its settings, its files, its wallets, and what is worth trying after it was rated."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
from rich.console import Console

from rater.settings import Settings
from rater.wallet.load import load_wallets, read_wallets
from schemas.sample import CLOCK, TENANT, generate
from streams.engine import Engine

#: The sample is the same everywhere and always.
SEED = 20261031
EVENTS = 210_000

NEXT = (
    "make {target}                        # again: what was decided is a duplicate, nothing is charged",
    ".venv/bin/rater --data {data} parked list      # events that wait for a repair",
    ".venv/bin/rater --data {data} wallet history --tenant {tenant} {wallet}",
)


def sample_settings(settings: Settings) -> Settings:
    """The settings, with intake's clock held just after the sample's month, and the tenant its records do not name."""
    intake = msgspec.structs.replace(
        settings.intake, clock=settings.intake.clock or CLOCK, tenant=settings.intake.tenant or TENANT
    )
    return msgspec.structs.replace(settings, intake=intake)


def make_sample(settings: Settings, events: int) -> Path:
    """The sample's folder; made if it is not there yet."""
    folder = settings.data / "sample" / f"{SEED}-{events}"
    if not (folder / "complete").exists():
        started = time.perf_counter()
        generate(folder, SEED, events)
        (folder / "complete").touch()
        Console(stderr=True).print(f"sample of {events:,} records made in {time.perf_counter() - started:.0f} s")
    return folder


async def load_sample_wallets(engine: Engine, folder: Path) -> None:
    """Create the sample's wallets and SIMs; again is harmless."""
    parts = engine.parts
    await load_wallets(read_wallets(folder / "wallets.yaml"), parts.store, parts.directory, now_ms=parts.clock_ms())


def next_commands(target: str, settings: Settings, first_suspends: list[dict[str, object]]) -> list[str]:
    """Three commands worth trying, with a wallet that was suspended in them."""
    example = first_suspends[0] if first_suspends else {"tenant": "TENANT", "wallet": "WALLET"}
    fields = {**example, "target": target, "data": settings.data}
    return [command.format_map(fields) for command in NEXT]
