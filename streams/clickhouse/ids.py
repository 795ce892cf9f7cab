"""The slow lane: were these events decided before, longer ago than Redis remembers?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from streams.clickhouse.server import ClickHouse, Row
from streams.clickhouse.statement import quote
from streams.patience import patiently

#: Of ids in one query: below the 256 KiB of text and the 50,000 elements that a server takes by default. For ids in no
#: order all of the table is read, whether a query names a hundred of them or thousands.
TEXT_BYTES_MAX = 200_000
IDS_MAX = 20_000


async def lookup_ids(
    clickhouse: ClickHouse, tenant: str, ids: Sequence[tuple[str, str]]
) -> Mapping[tuple[str, str], str]:
    """Fingerprints (hex) of those (source, id) that were decided before; a few thousand in a query on the narrow table.

    Waits while ClickHouse is away: an event this old may not charge before its id was looked up.
    """
    by_source: defaultdict[str, list[str]] = defaultdict(list)
    for source, event_id in ids:
        by_source[source].append(event_id)
    found: dict[tuple[str, str], str] = {}
    # A feed by itself: a server compares one column several times faster than pairs of two.
    for source, chosen in by_source.items():
        for wanted in _lists(chosen):
            sql = (
                "SELECT id, min(fingerprint) AS first FROM decided_ids "  # noqa: S608 - quoted
                f"WHERE tenant = {quote(tenant)} AND source = {quote(source)} AND id IN ({wanted}) GROUP BY id"
            )
            rows: list[Row] = await patiently("clickhouse", partial(clickhouse.query, sql))
            found.update({(source, row["id"]): row["first"] for row in rows})
    return found


def _lists(ids: Iterable[str]) -> Iterator[str]:
    """The ids as lists for SQL, each as long as a query may hold."""
    chosen: list[str] = []
    room = TEXT_BYTES_MAX
    for event_id in ids:
        text = quote(event_id)
        length = len(text.encode()) + 1
        if length > room or len(chosen) == IDS_MAX:
            yield ",".join(chosen)
            chosen, room = [], TEXT_BYTES_MAX
        chosen.append(text)
        room -= length
    if chosen:
        yield ",".join(chosen)
