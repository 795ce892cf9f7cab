"""What people and commands ask of the ledger. Every query reads with FINAL: each record counts once.

FINAL stands at the table and not in a view, so that 18.16 too reads only the range a condition names. A sum of nanos
may pass an int64, so units and the nanos below a unit are summed apart (both stay far from it) and joined in Python.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rater.money import NANOS
from streams.clickhouse.server import ClickHouse, Row
from streams.clickhouse.statement import quote


def _sum(column: str) -> str:
    return f"sum(intDiv({column}, {NANOS})) AS units, sum({column} % {NANOS}) AS nanos"


def _total(row: Mapping[str, Any]) -> int:
    return int(row["units"]) * NANOS + int(row["nanos"])


class Suspended(NamedTuple):
    """How many SIMs and wallets were suspended at least once."""

    sims: int
    wallets: int


class Rated(NamedTuple):
    """What was rated: events, and the records they are in, as an event in parts has a record for each."""

    events: int
    records: int


async def rated_counts(clickhouse: ClickHouse) -> Rated:
    """Rated events, and the rows an invoicing job would read for them."""
    rows = await clickhouse.query(
        "SELECT countIf(part = 0) AS events, count() AS records FROM rated_records FINAL WHERE fate = 'rated'"
    )
    return Rated(int(rows[0]["events"]), int(rows[0]["records"]))


async def events(clickhouse: ClickHouse) -> dict[tuple[str, str], int]:
    """Events by (fate, reason), each identity once. Duplicates leave no record; parked are those not decided since."""
    found: dict[tuple[str, str], int] = {}
    for sql in (
        "SELECT fate, reason, count() AS events FROM rated_records FINAL WHERE part = 0 GROUP BY fate, reason",
        f"SELECT 'parked' AS fate, reason, count() AS events FROM {_UNRESOLVED} GROUP BY reason",  # noqa: S608 - our own
        "SELECT 'dead_lettered' AS fate, reason, count() AS events FROM dead_letters FINAL GROUP BY reason",
    ):
        found |= {(row["fate"], row["reason"]): int(row["events"]) for row in await clickhouse.query(sql)}
    return found


async def charged_by_currency(clickhouse: ClickHouse) -> dict[str, int]:
    """Nanos charged in all, by currency."""
    return await _by_currency(clickhouse, "charged_nanos")


async def uncovered_by_currency(clickhouse: ClickHouse) -> dict[str, int]:
    """Nanos of usage that no balance covered, by currency."""
    return await _by_currency(clickhouse, "uncovered_nanos")


async def _by_currency(clickhouse: ClickHouse, column: str) -> dict[str, int]:
    rows = await clickhouse.query(f"SELECT currency, {_sum(column)} FROM rated_records FINAL GROUP BY currency")  # noqa: S608
    return {row["currency"]: _total(row) for row in rows}


async def charged_by_wallet(clickhouse: ClickHouse) -> dict[tuple[str, str], int]:
    """Nanos charged for usage, by (tenant, wallet)."""
    rows = await clickhouse.query(
        f"SELECT tenant, wallet, {_sum('charged_nanos')} FROM rated_records FINAL GROUP BY tenant, wallet"  # noqa: S608 - our own
    )
    return {(row["tenant"], row["wallet"]): _total(row) for row in rows}


async def suspended_counts(clickhouse: ClickHouse) -> Suspended:
    """SIMs and wallets that were suspended at least once."""
    rows = await clickhouse.query(
        "SELECT uniqExactIf((tenant, subscriber), subscriber != '') AS sims, "
        "uniqExactIf((tenant, wallet), subscriber = '') AS wallets "
        "FROM lifecycle_events FINAL WHERE type = 'suspended'"
    )
    return Suspended(int(rows[0]["sims"]), int(rows[0]["wallets"]))


async def first_suspends(clickhouse: ClickHouse, count: int) -> list[Row]:
    """The first suspend events of SIMs, in the order in which they happened."""
    return await clickhouse.query(
        "SELECT subscriber, wallet, tenant, reason, cause, balance_nanos, occurred_ms FROM lifecycle_events FINAL "  # noqa: S608
        f"WHERE type = 'suspended' AND subscriber != '' ORDER BY occurred_ms, epoch, n, subscriber LIMIT {count:d}"
    )


async def dearest_countries(clickhouse: ClickHouse, count: int) -> list[Row]:
    """Where most money was charged: country, currency, charged_nanos, events."""
    rows = await clickhouse.query(
        f"SELECT country, currency, {_sum('charged_nanos')}, countIf(part = 0) AS events "  # noqa: S608 - our own
        "FROM rated_records FINAL WHERE fate = 'rated' GROUP BY country, currency"
    )
    found: list[Row] = [
        {"country": row["country"], "currency": row["currency"], "charged_nanos": _total(row), "events": row["events"]}
        for row in rows
    ]
    found.sort(key=lambda row: (-row["charged_nanos"], row["country"], row["currency"]))
    return found[:count]


async def record(clickhouse: ClickHouse, tenant: str, source: str, event_id: str) -> list[Row]:
    """The parts of one event's record, in order; empty if it was not decided."""
    return await clickhouse.query(
        f"SELECT * FROM rated_records FINAL WHERE tenant = {quote(tenant)} AND source = {quote(source)} "  # noqa: S608
        f"AND id = {quote(event_id)} ORDER BY part"
    )


class WalletPlace(NamedTuple):
    """Where in a wallet's history one is: after this change."""

    epoch: int
    n: int
    cause: str


async def wallet_history(clickhouse: ClickHouse, tenant: str, wallet: str, count: int) -> list[Row]:
    """A wallet's latest changes, usage and other entries together, newest first."""
    return await wallet_page(clickhouse, tenant, wallet, count, None)


async def wallet_page(
    clickhouse: ClickHouse, tenant: str, wallet: str, count: int, before: WalletPlace | None
) -> list[Row]:
    """The same, from what came before a place on."""
    where = f"WHERE tenant = {quote(tenant)} AND wallet = {quote(wallet)}"
    older = ""
    if before is not None:
        epoch, n, cause = f"{before.epoch:d}", f"{before.n:d}", quote(before.cause)
        older = f"WHERE epoch < {epoch} OR (epoch = {epoch} AND (n < {n} OR (n = {n} AND cause < {cause}))) "
    return await clickhouse.query(
        "SELECT epoch, n, kind, cause, note, amount_nanos, balance_after_nanos, occurred_ms FROM ("  # noqa: S608 - quoted
        "SELECT epoch, n, kind, concat(source, '/', id) AS cause, note, amount_nanos, balance_after_nanos, occurred_ms "
        f"FROM wallet_entries FINAL {where} UNION ALL "
        "SELECT epoch, n, 'usage' AS kind, concat(source, '/', id) AS cause, '' AS note, "
        "sum(charged_nanos) AS amount_nanos, min(balance_after_nanos) AS balance_after_nanos, "
        "max(rated_ms) AS occurred_ms "
        f"FROM rated_records FINAL {where} AND fate = 'rated' GROUP BY epoch, n, source, id"
        f") {older}ORDER BY epoch DESC, n DESC, cause DESC LIMIT {count:d}"
    )


def change_nanos(row: Row) -> int:
    """What a line of a wallet's history changed: negative where money went."""
    takes = row["kind"] in ("usage", "debit", "force", "plan")
    return -int(row["amount_nanos"]) if takes else int(row["amount_nanos"])


class FirstVerdict(NamedTuple):
    """What was decided about an event, by its record."""

    fate: str
    reason: str
    charged_nanos: int
    uncovered_nanos: int
    currency: str


async def first_verdicts(
    clickhouse: ClickHouse, tenant: str, ids: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], FirstVerdict]:
    """The verdicts of those (source, id) that have a record."""
    wanted = ", ".join(f"({quote(source)}, {quote(event_id)})" for source, event_id in ids)
    rows = await clickhouse.query(
        f"SELECT source, id, any(fate) AS fate, any(reason) AS reason, any(currency) AS currency, "  # noqa: S608 - quoted
        f"{_sum('charged_nanos')}, "
        f"sum(intDiv(uncovered_nanos, {NANOS})) AS u_units, sum(uncovered_nanos % {NANOS}) AS u_nanos "
        f"FROM rated_records FINAL WHERE tenant = {quote(tenant)} "
        f"AND (source, id) IN ({wanted}) GROUP BY source, id"
    )
    found = {}
    for row in rows:
        uncovered = int(row["u_units"]) * NANOS + int(row["u_nanos"])
        first = FirstVerdict(row["fate"], row["reason"], _total(row), uncovered, row["currency"])
        found[row["source"], row["id"]] = first
    return found


async def unbalanced_wallets(clickhouse: ClickHouse) -> dict[tuple[str, str], tuple[int, int]]:
    """Reconciliation: wallets whose last balance is not the sum of their changes, as (last balance, sum of changes).

    Empty, once the writer has caught up: a difference means that a record is missing or there twice.
    """
    changes = await clickhouse.query(
        f"SELECT tenant, wallet, sum(intDiv(balance_after_nanos, {NANOS}) - intDiv(balance_before_nanos, {NANOS})) "  # noqa: S608
        f"AS units, sum(balance_after_nanos % {NANOS} - balance_before_nanos % {NANOS}) AS nanos "
        f"FROM ({_CHANGES}) GROUP BY tenant, wallet"
    )
    balances = await clickhouse.query(
        f"SELECT tenant, wallet, balance_after_nanos FROM ({_CHANGES}) "  # noqa: S608 - our own
        "ORDER BY tenant, wallet, epoch DESC, n DESC, part DESC LIMIT 1 BY tenant, wallet"
    )
    last = {(row["tenant"], row["wallet"]): int(row["balance_after_nanos"]) for row in balances}
    sums = {(row["tenant"], row["wallet"]): _total(row) for row in changes}
    return {wallet: (last[wallet], total) for wallet, total in sums.items() if last[wallet] != total}


_CHANGES = (
    "SELECT tenant, wallet, epoch, n, part, balance_before_nanos, balance_after_nanos "
    "FROM rated_records FINAL WHERE fate = 'rated' UNION ALL "
    "SELECT tenant, wallet, epoch, n, toUInt32(0) AS part, balance_before_nanos, balance_after_nanos "
    "FROM wallet_entries FINAL"
)

#: Only ids that were ever parked are looked for among those decided, so the set stays as small as the repairs.
_UNRESOLVED = (
    "(SELECT * FROM parked_events FINAL WHERE (tenant, source, id) NOT IN ("
    "SELECT tenant, source, id FROM decided_ids WHERE (tenant, source, id) IN ("
    "SELECT tenant, source, id FROM parked_events)))"
)


async def parked_count(clickhouse: ClickHouse) -> int:
    """How many events wait for a repair. One that came twice was parked twice, as it burnt no id, and is one here."""
    rows = await clickhouse.query(f"SELECT count() AS events FROM {_UNRESOLVED}")  # noqa: S608 - our own
    return int(rows[0]["events"])


async def parked_unresolved(clickhouse: ClickHouse) -> list[Row]:
    """Parked events that were not decided since, oldest first."""
    return await clickhouse.query(
        "SELECT tenant, source, id, reason, detail, door, position, parked_ms, raw "  # noqa: S608 - our own
        f"FROM {_UNRESOLVED} ORDER BY parked_ms, door, position"
    )
