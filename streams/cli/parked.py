"""`rater parked`: events that wait for a repair, and their replay."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter

import click
import orjson
from rich.table import Table

from rater.pipeline.batch import Batch, Door, RawEvent
from rater.pipeline.tally import Tally
from rater.settings import Settings
from streams.cli.report import fate_lines, wide_console
from streams.clickhouse.queries import parked_unresolved
from streams.clickhouse.server import Row
from streams.engine import Engine, open_engine, open_ledger

#: Events replayed in one batch.
REPLAY_EVENTS = 1000


@click.group()
def parked() -> None:
    """Events that could not be rated because something of ours is missing: a SIM, a plan, a rate, a currency."""


@parked.command("list")
@click.option("--tenant", help="Only this tenant's.")
@click.option(
    "--reason",
    help="Only with this reason: unknown_subscriber, no_plan, no_rate, currency_mismatch, no_wallet, ledger_away.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_parked(settings: Settings, tenant: str | None, reason: str | None, as_json: bool) -> None:
    """What waits, and what to repair."""

    async def main() -> list[Row]:
        async with open_ledger(settings) as clickhouse:
            return _chosen(await parked_unresolved(clickhouse), tenant, reason)

    rows = asyncio.run(main())
    if as_json:
        for row in rows:
            click.echo(orjson.dumps(row))
        return
    table = Table("events", "reason", "what is missing", title=f"{len(rows)} events wait")
    for (why, detail), events in Counter((row["reason"], row["detail"]) for row in rows).most_common():
        table.add_row(str(events), why, detail)
    wide_console().print(table)


@parked.command()
@click.option("--tenant", help="Only this tenant's.")
@click.option("--reason", help="Only with this reason.")
@click.pass_obj
def replay(settings: Settings, tenant: str | None, reason: str | None) -> None:
    """Send waiting events through the engine again; each is charged once, however often this is done."""

    async def main() -> Tally:
        async with open_engine(settings, kafka=settings.engine.mode == "distributed") as engine:
            rows = _chosen(await parked_unresolved(engine.clickhouse), tenant, reason)
            return await replay_rows(engine, rows)

    for line in fate_lines(asyncio.run(main())):
        click.echo(line)


async def replay_rows(engine: Engine, rows: list[Row]) -> Tally:
    """Rate parked events again, each at the place where it came in, so that a replay cut short rebuilds its outputs."""
    doors: dict[str, Door] = {}
    tally = Tally()
    for start in range(0, len(rows), REPLAY_EVENTS):
        events = []
        for row in rows[start : start + REPLAY_EVENTS]:
            door = doors.setdefault(row["door"], Door(row["door"]))
            events.append(RawEvent(base64.b64decode(row["raw"]), door, int(row["position"])))
        batch = Batch(events, engine.parts.clock_ms(), format="normalised")
        outputs = await engine.pipeline.process(batch)
        await engine.sink.publish(outputs.messages)
        tally.add(outputs.tally)
    await engine.settle_down()
    return tally


def _chosen(rows: list[Row], tenant: str | None, reason: str | None) -> list[Row]:
    return [row for row in rows if tenant in (None, row["tenant"]) and reason in (None, row["reason"])]
