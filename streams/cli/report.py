"""The summary a person reads in ten seconds, and the same as JSON."""

from __future__ import annotations

from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from rater.money import format_nanos
from rater.pipeline.settle import Tally
from schemas.fates import Fate, Reason
from streams.cli.feed import Fed
from streams.clickhouse import queries
from streams.engine import Engine

DEAREST_COUNTRIES = 5
FIRST_SUSPENDS = 5


class Summary(msgspec.Struct):
    """What a run came to, and what the ledger holds. Money is exact decimal text by currency."""

    events_in: int
    fates: dict[str, int]
    reasons: dict[str, int]
    adds_up: bool
    redelivered: int
    charged: dict[str, str]
    uncovered: dict[str, str]
    events_per_second: int
    ledger_records: int
    ledger_charged: dict[str, str]
    sims_suspended: int
    wallets_suspended: int
    first_suspends: list[dict[str, Any]]
    dearest_countries: list[dict[str, Any]]
    data: str


async def gather(engine: Engine, fed: Fed) -> Summary:
    """Put the run's tally beside what ClickHouse holds."""
    clickhouse, tally = engine.clickhouse, fed.tally
    suspended = await queries.suspended_counts(clickhouse)
    return Summary(
        events_in=tally.events,
        fates={fate.label: tally.of(fate) for fate in Fate},
        reasons=_reasons(tally),
        adds_up=tally.adds_up,
        redelivered=tally.redelivered,
        charged=_money(tally.charged_nanos),
        uncovered=_money({currency: nanos for currency, nanos in tally.uncovered_nanos.items() if nanos}),
        events_per_second=round(tally.events / fed.seconds) if fed.seconds else 0,
        ledger_records=await queries.rated_records_count(clickhouse),
        ledger_charged=_money(await queries.charged_by_currency(clickhouse)),
        sims_suspended=suspended.sims,
        wallets_suspended=suspended.wallets,
        first_suspends=await queries.first_suspends(clickhouse, FIRST_SUSPENDS),
        dearest_countries=await queries.dearest_countries(clickhouse, DEAREST_COUNTRIES),
        data=str(engine.parts.settings.data.resolve()),
    )


def _money(nanos_by_currency: Any) -> dict[str, str]:
    return {currency: format_nanos(nanos) for currency, nanos in sorted(nanos_by_currency.items())}


def _reasons(tally: Tally) -> dict[str, int]:
    return {
        f"{fate.label}/{reason.label}": count
        for (fate, reason), count in sorted(tally.fates.items())
        if reason is not Reason.NONE
    }


def fate_lines(tally: Tally) -> list[str]:
    """Each fate with its reasons, and the check that they add up."""
    lines = []
    for fate in Fate:
        reasons = ", ".join(
            f"{reason.label} {count:,}"
            for (found, reason), count in tally.fates.most_common()
            if found is fate and reason is not Reason.NONE
        )
        lines.append(f"{fate.label:<14}{tally.of(fate):>10,}  {reasons}".rstrip())
    check = "= events in" if tally.adds_up else "IS NOT events in: please report this"
    lines.append(f"{'sum':<14}{sum(tally.fates.values()):>10,}  {check} {tally.events:,}")
    return lines
