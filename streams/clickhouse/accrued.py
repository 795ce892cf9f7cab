"""What changed a wallet between two places in the order of its changes, for the lines of an invoice."""

from __future__ import annotations

from rater.invoices.lines import Moved, Used
from rater.invoices.model import Place
from rater.money import NANOS
from streams.clickhouse.server import ClickHouse
from streams.clickhouse.statement import quote


async def used_between(clickhouse: ClickHouse, tenant: str, wallet: str, since: Place, until: Place) -> list[Used]:
    """Usage by service and zone (the country, where the tariff's rate has no zone); `since` is in, `until` is not."""
    rows = await clickhouse.query(
        "SELECT service, if(zone = '', country, zone) AS place, uniqExact(source, id) AS events, "  # noqa: S608 - quoted
        f"sum(billable_quantity) AS quantity, {_sum('charged_nanos')} "
        f"FROM rated_records FINAL WHERE {_where(tenant, wallet, since, until)} AND fate = 'rated' "
        "GROUP BY service, place ORDER BY service, place"
    )
    return [
        Used(row["service"], row["place"], int(row["events"]), int(row["quantity"]), _total(row["units"], row["nanos"]))
        for row in rows
    ]


async def moved_between(clickhouse: ClickHouse, tenant: str, wallet: str, since: Place, until: Place) -> list[Moved]:
    """All other changes of the balance, by kind, source and what the journal says of them."""
    rows = await clickhouse.query(
        "SELECT kind, if(source = 'invoice', source, '') AS origin, note, "  # noqa: S608 - quoted
        f"{_sum('balance_before_nanos', 'b_')}, {_sum('balance_after_nanos', 'a_')} "
        f"FROM wallet_entries FINAL WHERE {_where(tenant, wallet, since, until)} "
        "GROUP BY kind, origin, note ORDER BY kind, origin, note"
    )
    return [
        Moved(
            row["kind"], row["origin"], row["note"] or row["kind"],
            _total(row["b_units"], row["b_nanos"]) - _total(row["a_units"], row["a_nanos"]),
        )
        for row in rows
    ]  # fmt: skip


def _where(tenant: str, wallet: str, since: Place, until: Place) -> str:
    return (
        f"tenant = {quote(tenant)} AND wallet = {quote(wallet)} "
        f"AND (epoch > {since.epoch:d} OR (epoch = {since.epoch:d} AND n >= {since.n:d})) "
        f"AND (epoch < {until.epoch:d} OR (epoch = {until.epoch:d} AND n < {until.n:d}))"
    )


def _sum(column: str, prefix: str = "") -> str:
    return f"sum(intDiv({column}, {NANOS})) AS {prefix}units, sum({column} % {NANOS}) AS {prefix}nanos"


def _total(units: str | int, nanos: str | int) -> int:
    return int(units) * NANOS + int(nanos)
