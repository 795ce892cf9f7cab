"""`rater clock`: the test clock of an embedded engine."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path

import click

from rater.catalogue import Catalogue
from rater.clock import MovedClock
from rater.errors import SettingError
from rater.settings import Settings
from streams.engine import open_ledger, publish_outbox
from streams.parts import open_parts
from streams.timers import Sweeper

_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_SPAN = re.compile(r"(\d{1,6})([smhdw])")


@click.group()
def clock() -> None:
    """Look at the engine's clock, and move it ahead to try what plans do in time (embedded engine only)."""


@clock.command()
@click.pass_obj
def show(settings: Settings) -> None:
    """What time the engine has."""
    click.echo(_text(settings.clock()()))


@clock.command()
@click.argument("span")
@click.pass_obj
def advance(settings: Settings, span: str) -> None:
    """Move the clock ahead by SPAN (90s, 30m, 12h, 40d, 2w), and do what falls due on the way, in order of time."""
    found = _SPAN.fullmatch(span)
    if found is None:
        raise SettingError(f'span: "{span}" is none; write one such as 40d, 12h or 30m')
    moved = _moved(settings)
    asyncio.run(_advance(settings, moved, moved() + int(found[1]) * _UNIT_MS[found[2]]))
    click.echo(_text(moved()))


@clock.command("set")
@click.argument("instant")
@click.pass_obj
def set_to(settings: Settings, instant: str) -> None:
    """Move the clock ahead to INSTANT, such as 2026-12-01T00:00:00Z."""
    try:
        at = datetime.fromisoformat(instant)
    except ValueError:
        raise SettingError(f'instant: "{instant}" is none; write one such as 2026-12-01T00:00:00Z') from None
    at_ms = int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()) * 1000
    moved = _moved(settings)
    asyncio.run(_set(settings, moved, at_ms))
    click.echo(_text(moved()))


async def _set(settings: Settings, moved: MovedClock, at_ms: int) -> None:
    if at_ms >= moved():
        await _advance(settings, moved, at_ms)
        return
    async with open_parts(settings) as parts:
        async for _ in parts.redis.scan_iter("{s*}:w:*"):
            raise SettingError(
                f"instant: the clock is at {_text(moved())} and goes only ahead once there is a wallet;"
                " take another data folder to begin at an earlier time"
            )
        moved.move_to(at_ms, back=True)


async def _advance(settings: Settings, moved: MovedClock, until_ms: int) -> None:
    """From one due step to the next, so that each happens at its time; then to the end."""
    async with open_parts(settings) as parts:
        catalogue, every = Catalogue.load(Path(settings.engine.catalogue)), range(parts.store.shards)
        sweeper = Sweeper.of(parts, catalogue, lambda: every)
        while True:
            await sweeper.settle()
            next_ms = await parts.timers.next_ms()
            if next_ms is None or next_ms > until_ms:
                break
            moved.move_to(next_ms)
        moved.move_to(until_ms)
        await publish_outbox(parts)
        if parts.embedded is not None and parts.embedded.clickhouse_runs:
            async with open_ledger(settings):  # which writes what is on the topics: a server's histories tell of it
                pass


def _moved(settings: Settings) -> MovedClock:
    if settings.engine.mode != "embedded":
        raise SettingError("clock: only an embedded engine has a test clock; servers that others use go by the time")
    if settings.intake.clock is not None:
        raise SettingError("clock: [intake] clock holds it; take that out to move it")
    return MovedClock(settings.data)


def _text(instant_ms: int) -> str:
    return datetime.fromtimestamp(instant_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
