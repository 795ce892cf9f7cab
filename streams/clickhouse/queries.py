"""What people and commands ask of the ledger. Every query reads the *_once views: each record counts once."""

from __future__ import annotations

from typing import NamedTuple

from streams.clickhouse.server import ClickHouse, Row, quote


class Suspended(NamedTuple):
    """How many SIMs and wallets were suspended at least once."""

    sims: int
    wallets: int


async def rated_records_count(clickhouse: ClickHouse) -> int:
    """Rows an invoicing job would read."""
    rows = await clickhouse.query("SELECT count() AS records FROM rated_records_once WHERE fate = 'rated'")
    return int(rows[0]["records"])


async def fates(clickhouse: ClickHouse) -> dict[str, int]:
    """Events by fate, each identity once; duplicates leave no record."""
    counts = {
        "rated": "rated_records_once WHERE part = 0 AND fate = 'rated'",
        "refused": "rated_records_once WHERE part = 0 AND fate = 'refused'",
        "parked": "parked_events_once",
        "dead_lettered": "dead_letters_once",
    }
    found = {}
    for fate, table in counts.items():
        rows = await clickhouse.query(f"SELECT count() AS events FROM {table}")  # noqa: S608 - our own text
        found[fate] = int(rows[0]["events"])
    return found


async def charged_by_currency(clickhouse: ClickHouse) -> dict[str, int]:
    """Nanos charged in all, by currency."""
    return await _sums(clickhouse, "charged_nanos")


async def uncovered_by_currency(clickhouse: ClickHouse) -> dict[str, int]:
    """Nanos of usage that no balance covered, by currency."""
    return await _sums(clickhouse, "uncovered_nanos")


async def _sums(clickhouse: ClickHouse, column: str) -> dict[str, int]:
    """Sums by currency, units and nanos apart and put together here: a sum of nanos may pass what Int64 holds."""
    rows = await clickhouse.query(
        f"SELECT currency, sum(intDiv({column}, 1000000000)) AS units, sum({column} % 1000000000) AS nanos "  # noqa: S608
        "FROM rated_records_once GROUP BY currency"
    )
    return {row["currency"]: int(row["units"]) * 1_000_000_000 + int(row["nanos"]) for row in rows}


async def suspended_counts(clickhouse: ClickHouse) -> Suspended:
    """SIMs and wallets that were suspended at least once."""
    rows = await clickhouse.query(
        "SELECT uniqExactIf((tenant, subscriber), subscriber != '') AS sims, "
        "uniqExactIf((tenant, wallet), subscriber = '') AS wallets "
        "FROM lifecycle_events_once WHERE type = 'suspended'"
    )
    return Suspended(int(rows[0]["sims"]), int(rows[0]["wallets"]))


async def first_suspends(clickhouse: ClickHouse, count: int) -> list[Row]:
    """The first suspend events of SIMs, in the order in which they happened."""
    return await clickhouse.query(
        "SELECT subscriber, wallet, tenant, reason, cause, balance_nanos, occurred_ms FROM lifecycle_events_once "  # noqa: S608
        f"WHERE type = 'suspended' AND subscriber != '' ORDER BY occurred_ms, epoch, n, subscriber LIMIT {count:d}"
    )


async def dearest_countries(clickhouse: ClickHouse, count: int) -> list[Row]:
    """Where most money was charged."""
    return await clickhouse.query(
        "SELECT country, currency, sum(charged_nanos) AS charged_nanos, uniqExact((tenant, source, id)) AS events "  # noqa: S608
        "FROM rated_records_once WHERE fate = 'rated' GROUP BY country, currency "
        f"ORDER BY charged_nanos DESC LIMIT {count:d}"
    )


async def charged_by_wallet(clickhouse: ClickHouse) -> dict[tuple[str, str], int]:
    """Nanos charged for usage, by (tenant, wallet): what must be missing from each balance."""
    rows = await clickhouse.query(
        "SELECT tenant, wallet, sum(charged_nanos) AS charged_nanos FROM rated_records_once GROUP BY tenant, wallet"
    )
    return {(row["tenant"], row["wallet"]): int(row["charged_nanos"]) for row in rows}


async def wallet_history(clickhouse: ClickHouse, tenant: str, wallet: str, count: int) -> list[Row]:
    """A wallet's latest changes, usage and other entries together, newest first."""
    where = f"WHERE tenant = {quote(tenant)} AND wallet = {quote(wallet)}"
    return await clickhouse.query(
        "SELECT epoch, n, kind, cause, amount_nanos, balance_after_nanos, occurred_ms FROM ("  # noqa: S608 - quoted
        "SELECT epoch, n, kind, concat(source, '/', id) AS cause, amount_nanos, balance_after_nanos, occurred_ms "
        f"FROM wallet_entries_once {where} UNION ALL "
        "SELECT epoch, n, 'usage' AS kind, concat(source, '/', id) AS cause, sum(charged_nanos) AS amount_nanos, "
        "min(balance_after_nanos) AS balance_after_nanos, max(rated_ms) AS occurred_ms "
        f"FROM rated_records_once {where} AND fate = 'rated' GROUP BY epoch, n, source, id"
        f") ORDER BY epoch DESC, n DESC LIMIT {count:d}"
    )


async def parked_unresolved(clickhouse: ClickHouse) -> list[Row]:
    """Parked events that were not decided since, oldest first."""
    return await clickhouse.query(
        "SELECT tenant, source, id, reason, detail, door, position, parked_ms, raw FROM parked_events_once "
        "WHERE (tenant, source, id) NOT IN (SELECT tenant, source, id FROM decided_ids) "
        "ORDER BY parked_ms, door, position"
    )
