"""The summary a person reads in ten seconds, and the same as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from rater.money import format_nanos
from rater.pipeline.tally import Tally
from rater.settings import Settings
from schemas.fates import Fate, Reason
from streams.cli.feed import Fed
from streams.clickhouse import queries
from streams.clickhouse.server import ClickHouse

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
    ledger_events: int
    ledger_records: int
    parked_waiting: int
    ledger_charged: dict[str, str]
    sims_suspended: int
    wallets_suspended: int
    first_suspends: list[dict[str, Any]]
    dearest_countries: list[dict[str, Any]]
    data: str


async def gather(clickhouse: ClickHouse, settings: Settings, fed: Fed) -> Summary:
    """Put the run's tally beside what ClickHouse holds."""
    tally = fed.tally
    rated, suspended = await queries.rated_counts(clickhouse), await queries.suspended_counts(clickhouse)
    return Summary(
        events_in=tally.events,
        fates={fate.label: tally.of(fate) for fate in Fate},
        reasons=_reasons(tally),
        adds_up=tally.adds_up,
        redelivered=tally.redelivered,
        charged=_money(tally.charged_nanos),
        uncovered=_money({currency: nanos for currency, nanos in tally.uncovered_nanos.items() if nanos}),
        events_per_second=round(tally.events / fed.seconds) if fed.seconds else 0,
        ledger_events=rated.events,
        ledger_records=rated.records,
        parked_waiting=await queries.parked_count(clickhouse),
        ledger_charged=_money(await queries.charged_by_currency(clickhouse)),
        sims_suspended=suspended.sims,
        wallets_suspended=suspended.wallets,
        first_suspends=await queries.first_suspends(clickhouse, FIRST_SUSPENDS),
        dearest_countries=await queries.dearest_countries(clickhouse, DEAREST_COUNTRIES),
        data=str(settings.data.resolve()),
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


def show(summary: Summary, *, as_json: bool, next_commands: Sequence[str] = ()) -> None:
    """Print the summary: one JSON object, or what a person reads in ten seconds."""
    if as_json:
        print(msgspec.json.encode(summary).decode())
        return
    console = wide_console()
    if summary.events_in:
        console.print(_fates_table(summary))
    if summary.events_in and summary.fates["duplicate"] and not summary.fates["rated"]:
        console.print("[bold]Nothing new:[/] every rateable event was decided before; nothing was charged.")
    for label, amounts in (("charged", summary.charged), ("uncovered", summary.uncovered)):
        if amounts:
            console.print(f"{label:<12}" + "   ".join(f"{amount} {code}" for code, amount in amounts.items()))
    if summary.events_in:
        console.print(f"{'speed':<12}{summary.events_per_second:,} events/s")
    _print_ledger(console, summary)
    if summary.first_suspends:
        console.print(_suspends_table(summary))
    if summary.dearest_countries:
        console.print(_countries_table(summary))
    console.print(f"{'data':<12}{summary.data}")
    if next_commands:
        console.print("\nTry next:\n" + "\n".join(f"  {command}" for command in next_commands))


def _print_ledger(console: Console, summary: Summary) -> None:
    """What ClickHouse holds of all runs. Its figures are not the fates', so the words say what is counted."""
    charged = "   ".join(f"{amount} {code}" for code, amount in summary.ledger_charged.items())
    console.print(
        f"{'ledger':<12}{summary.ledger_events:,} events in {summary.ledger_records:,} rated records   {charged}"
    )
    if summary.parked_waiting:
        once = "one that comes again is parked again, and waits once"
        console.print(f"{'parked':<12}{summary.parked_waiting:,} events wait for a repair; {once}")


def wide_console() -> Console:
    """The terminal as it is; where there is none (a log, a pipe) wide enough for identities to stay whole."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=140)


def _fates_table(summary: Summary) -> Table:
    table = Table("fate", "events", "why", title=f"{summary.events_in:,} events in", title_justify="left")
    for fate, events in summary.fates.items():
        reasons = (
            f"{key.partition('/')[2]} {count:,}" for key, count in summary.reasons.items() if key.startswith(fate + "/")
        )
        table.add_row(fate, f"{events:,}", ", ".join(reasons))
    check = "adds up" if summary.adds_up else "DOES NOT ADD UP: please report this"
    table.add_section()
    table.add_row("sum", f"{sum(summary.fates.values()):,}", check)
    return table


def _suspends_table(summary: Summary) -> Table:
    title = f"{summary.sims_suspended:,} SIMs of {summary.wallets_suspended:,} wallets suspended, the first of them"
    table = Table("SIM", "wallet", "reason", "caused by", title=title, title_justify="left")
    for row in summary.first_suspends:
        table.add_row(row["subscriber"], f"{row['tenant']}/{row['wallet']}", row["reason"], row["cause"])
    return table


def _countries_table(summary: Summary) -> Table:
    table = Table("country", "charged", "events", title="Dearest countries", title_justify="left")
    for row in summary.dearest_countries:
        amount = f"{format_nanos(int(row['charged_nanos']))} {row['currency']}"
        table.add_row(row["country"], amount, f"{int(row['events']):,}")
    return table
