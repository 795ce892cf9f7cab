"""What a run came to, for people: a table of the first subscribers, and the sums of all."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction

from rich.console import Console
from rich.table import Table

from rater.money import format_nanos, parse_nanos
from streams.migration.migration import Row

#: Rows of the table; the report file has all.
SHOWN = 20


@dataclass
class Sums:
    """Counts and amounts of a run, small however many there are."""

    states: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    fees: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    estimates: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    #: By allowance and unit.
    forfeited: defaultdict[tuple[str, str], Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    first: list[Row] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Count a row."""
        self.states[row.state] += 1
        self.refusals.update(row.refusals)
        if row.state in ("would_change", "changed", "planned"):
            self.fees[row.currency] += parse_nanos(row.fee)
            for left in row.forfeited:
                self.forfeited[left.allowance, left.unit] += Fraction(left.left)
        if row.estimate:
            self.estimates[row.currency] += parse_nanos(row.estimate)
        if len(self.first) < SHOWN:
            self.first.append(row)


def show(console: Console, sums: Sums) -> None:
    """Print it."""
    table = Table("tenant", "subscriber", "what", "when", "fee", "forfeited", "a month", "in the way")
    for row in sums.first:
        when = f"{datetime.fromtimestamp(row.when_ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}" if row.when_ms else ""
        forfeited = ", ".join(f"{left.left} {left.unit} of {left.allowance}" for left in row.forfeited)
        table.add_row(
            row.tenant, row.subscriber, row.state.replace("_", " "), when, row.fee, forfeited, row.estimate,
            "; ".join(row.refusals),
        )  # fmt: skip
    console.print(table)
    for line in summary(sums):
        console.print(line)


def summary(sums: Sums) -> list[str]:
    """The sums, a line each."""
    every = sum(sums.states.values())
    states = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sorted(sums.states.items()))
    lines = [f"{every} on the plan: {states}" if every else "nobody is on the plan"]
    lines += [f"fees at the change: {format_nanos(nanos)} {currency}" for currency, nanos in sorted(sums.fees.items())]
    lines += [f"forfeited: {left} {unit} of {name}" for (name, unit), left in sorted(sums.forfeited.items())]
    lines += [
        f"estimated a month: {format_nanos(nanos)} {currency}" for currency, nanos in sorted(sums.estimates.items())
    ]
    return lines + [f"in the way of {count}: {why}" for why, count in sums.refusals.most_common()]
