"""Past usage for estimates: what was rated, each event once and whole, from the ledger in pages.

Parts of an event are put together again, so that another tariff may cut it elsewhere. An event belongs to the time at
which it starts; one that started before the range is left out with all its parts.
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.usage import Usage
from streams.clickhouse.server import ClickHouse, Row
from streams.clickhouse.statement import quote


class Whose(NamedTuple):
    """Whose usage, and which: that started in [from_ms, until_ms). What is empty is any."""

    tenant: str
    from_ms: int
    until_ms: int
    accounts: tuple[str, ...] = ()
    wallet: str = ""
    subscriber: str = ""


class UsagePlace(NamedTuple):
    """How far one is: after this event."""

    subscriber: str
    start_ms: int
    source: str
    id: str


async def past_usage_count(clickhouse: ClickHouse, whose: Whose) -> int:
    """How many events there are."""
    rows = await clickhouse.query(
        f"SELECT count() AS events FROM rated_records FINAL WHERE {_where(whose)} "  # noqa: S608 - quoted
        f"AND part = 0 AND start_ms < {whose.until_ms:d}"
    )
    return int(rows[0]["events"])


async def past_usage_page(
    clickhouse: ClickHouse, whose: Whose, count: int, after: UsagePlace | None, *, by_time: bool
) -> tuple[list[Row], UsagePlace | None]:
    """The next events (for `usage_of`), by subscriber and time or by time alone; and the place after them, or None."""
    order = ("started_ms", "source", "id") if by_time else ("subscriber", "started_ms", "source", "id")
    where, beyond = _where(whose), ""
    if after is not None:
        # The first condition is on columns as they stand, so that what was read is not grouped again.
        where += f" AND start_ms >= {after.start_ms:d}" if by_time else f" AND subscriber >= {quote(after.subscriber)}"
        values = {"subscriber": quote(after.subscriber), "started_ms": f"{after.start_ms:d}",
                  "source": quote(after.source), "id": quote(after.id)}  # fmt: skip
        beyond = " AND " + _beyond([(name, values[name]) for name in order])
    rows = await clickhouse.query(
        "SELECT subscriber, source, id, min(start_ms) AS started_ms, max(end_ms) AS ended_ms, "  # noqa: S608 - quoted
        "sum(quantity) AS used, any(service) AS service, any(kind) AS kind, any(direction) AS direction, "
        "any(mcc) AS mcc, any(mnc) AS mnc, any(country) AS country, any(called_number) AS called_number, "
        "any(destination_country) AS destination_country, any(session_id) AS session_id "
        f"FROM rated_records FINAL WHERE {where} GROUP BY subscriber, source, id "
        f"HAVING min(part) = 0 AND started_ms < {whose.until_ms:d}{beyond} "
        f"ORDER BY {', '.join(order)} LIMIT {count:d}"
    )
    if len(rows) < count:
        return rows, None
    last = rows[-1]
    return rows, UsagePlace(last["subscriber"], int(last["started_ms"]), last["source"], last["id"])


def _where(whose: Whose) -> str:
    """Rated only: what was refused was not used. Parts after the range may belong to an event within it."""
    conditions = [f"tenant = {quote(whose.tenant)}", "fate = 'rated'", f"start_ms >= {whose.from_ms:d}"]
    if whose.accounts:
        conditions.append(f"account IN ({', '.join(map(quote, whose.accounts))})")
    if whose.wallet:
        conditions.append(f"wallet = {quote(whose.wallet)}")
    if whose.subscriber:
        conditions.append(f"subscriber = {quote(whose.subscriber)}")
    return " AND ".join(conditions)


def _beyond(place: list[tuple[str, str]]) -> str:
    """(a, b, c) > (x, y, z), column by column."""
    (name, value), *rest = place
    return f"({name} > {value} OR ({name} = {value} AND {_beyond(rest)}))" if rest else f"{name} > {value}"


def usage_of(tenant: str, row: Row) -> Usage:
    """An event as far as its record tells; a country that was found from network or number is the same again."""
    used = int(row["used"])
    service = row["service"]
    return Usage(
        tenant=tenant,
        source=row["source"],
        id=row["id"],
        service=service,
        start_ms=int(row["started_ms"]),
        end_ms=int(row["ended_ms"]),
        kind=row["kind"] or None,
        direction=row["direction"],
        subscriber=row["subscriber"],
        session_id=row["session_id"] or None,
        mcc=row["mcc"] or None,
        mnc=row["mnc"] or None,
        country=row["country"] or None,
        called_number=row["called_number"] or None,
        destination_country=row["destination_country"] or None,
        volume_bytes=used if service == "data" else None,
        duration_ms=used if service == "voice" else None,
        message_count=used if service == "message" else None,
    )
