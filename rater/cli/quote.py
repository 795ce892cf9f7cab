"""`rater quote`: what usage would cost, without a wallet."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from rater.money import format_nanos
from rater.rating.charge import Charge
from rater.rating.rate import rate
from rater.tariff.fields import read_zone
from rater.tariff.load import load_tariff
from rater.tariff.model import Tariff
from schemas.decode import FORMATS, Decoder, UsageError, decoder
from schemas.usage import BASE_UNIT, Usage

_encode = msgspec.json.Encoder().encode


class Quoter:
    """Rates usage line by line; counters carry over between the lines, per subscriber."""

    def __init__(self, tariff: Tariff, zone: str) -> None:
        self.tariff = tariff
        self._zone = zone
        self._counters: dict[tuple[str, str], dict[str, int]] = {}

    def rate(self, usage: Usage) -> Charge:
        """The charge of one usage after those before it. What is not charged (blocked, no rate) moves no counter."""
        name = usage.subscriber or usage.iccid or usage.imsi or usage.msisdn or ""
        counters = self._counters.setdefault((usage.tenant, name), {})
        charge = rate(self.tariff, usage, counters, self._zone)
        if charge.outcome in ("priced", "free"):
            for use in charge.uses:
                counters[use.key] = counters.get(use.key, 0) + use.add
        return charge


def quote_line(usage: Usage, charge: Charge) -> dict[str, Any]:
    """One line of output: the charge as a person or a script reads it."""
    line = {
        "id": usage.id,
        "outcome": charge.outcome,
        "amount": format_nanos(charge.amount_nanos),
        "currency": charge.currency,
        "quantity": usage.quantity,
        "billable_quantity": sum(part.billable_quantity for part in charge.parts),
        "unit": BASE_UNIT[usage.service],
    }
    if charge.reason_detail:
        line["detail"] = charge.reason_detail
    line["parts"] = [
        {
            "rate": part.rate,
            "zone": part.zone,
            "tariff_version": part.tariff_version,
            "period": part.period,
            "amount": format_nanos(part.amount_nanos),
        }
        for part in charge.parts
    ]
    line["explanation"] = [text for part in charge.parts for text in part.explanation]
    return line


def quotes(
    quoter: Quoter, decode: Decoder, lines: Iterator[bytes]
) -> Iterator[tuple[dict[str, Any], Usage | None, Charge | None]]:
    """The answer for each event of each line that is not blank: a quote, or the error that names the field."""
    for number, raw in enumerate(lines, 1):
        for usage in decode(raw) if raw.strip() else ():
            if isinstance(usage, UsageError):
                yield {"line": number, "error": usage.detail, "field": usage.field}, None, None
            else:
                charge = quoter.rate(usage)
                yield quote_line(usage, charge), usage, charge


@click.command()
@click.option(
    "--tariff",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The tariff's YAML file.",
)
@click.option("--zone", help="IANA zone of the billing cycle; the tariff's own unless set.")
@click.option("--format", type=click.Choice(FORMATS), default="auto", help="Of the usage; recognised unless set.")
@click.option("--explain", is_flag=True, help="A table for a person instead of JSON lines.")
@click.argument("usage", type=click.File("rb"), default="-")
def quote(path: Path, zone: str | None, format: str, usage: IO[bytes], *, explain: bool) -> None:
    """Rate usage events (JSON lines of a file or of standard input) without touching a wallet.

    One line out for each event in: amount, currency, billable quantity and how they come about. Steps carried over and
    cycle tiers go on from line to line of one subscriber. A line that is no usage event is answered with its error; the
    exit status is then 1.
    """
    tariff = load_tariff(path)
    try:
        quoter = Quoter(tariff, read_zone(zone) if zone else tariff.zone)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--zone") from None
    console, failed = Console(highlight=False), False
    for line, event, charge in quotes(quoter, decoder(format, "quote", "quote"), iter(usage)):
        failed = failed or event is None
        if explain:
            _print(console, line, event, charge)
        else:
            click.echo(_encode(line))
    if failed:
        sys.exit(1)


def _print(console: Console, line: dict[str, Any], usage: Usage | None, charge: Charge | None) -> None:
    if usage is None or charge is None:
        field = f"{line['field']}: " if line["field"] else ""
        console.print(f"line {line['line']}: {field}{line['error']}", style="red", markup=False)
        return
    title = f"{usage.service} {usage.id}: {charge.outcome}, {line['amount']} {charge.currency}"
    table = Table(title=title, title_justify="left", show_edge=False)
    for column in ("part", "rate", "how", "amount"):
        table.add_column(column, justify="right" if column == "amount" else "left", overflow="fold")
    for number, part in enumerate(charge.parts, 1):
        steps = "\n".join(part.explanation)
        table.add_row(str(number), f"{part.rate}\n{part.zone}", steps, format_nanos(part.amount_nanos))
    if charge.reason_detail:
        table.add_row("", "", charge.reason_detail, "")
    console.print(table)
