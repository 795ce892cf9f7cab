"""The slow lane: were these events decided before, longer ago than Redis remembers?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice

from streams.clickhouse.server import ClickHouse, Row
from streams.clickhouse.statement import quote
from streams.patience import patiently

#: Ids in one query: far below the 256 KiB of text a server parses by default, with ids of 100 characters.
IDS_MAX = 1000


async def lookup_ids(
    clickhouse: ClickHouse, tenant: str, ids: Sequence[tuple[str, str]]
) -> Mapping[tuple[str, str], str]:
    """Fingerprints (hex) of those (source, id) that were decided before; one query a thousand on the narrow table.

    Waits while ClickHouse is away: an event this old may not charge before its id was looked up.
    """
    found: dict[tuple[str, str], str] = {}
    remaining = iter(ids)
    while chosen := list(islice(remaining, IDS_MAX)):
        wanted = ", ".join(f"({quote(source)}, {quote(event_id)})" for source, event_id in chosen)
        sql = (
            "SELECT source, id, min(fingerprint) AS first FROM decided_ids "  # noqa: S608 - quoted
            f"WHERE tenant = {quote(tenant)} AND (source, id) IN ({wanted}) GROUP BY source, id"
        )
        rows: list[Row] = await patiently("clickhouse", partial(clickhouse.query, sql))
        found.update({(row["source"], row["id"]): row["first"] for row in rows})
    return found
