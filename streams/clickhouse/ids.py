"""The slow lane: were these events decided before, longer ago than Redis remembers?"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from rater.errors import PartsError
from streams.clickhouse.server import AwayError, ClickHouse, Row
from streams.clickhouse.statement import quote

log = logging.getLogger(__name__)

#: Of ids in one query: below the 256 KiB of text and the 50,000 elements that a server takes by default. For ids in no
#: order all of the table is read, whether a query names a hundred of them or thousands.
TEXT_BYTES_MAX = 200_000
IDS_MAX = 20_000
#: A ClickHouse that did not answer is not asked again for so long.
PAUSE_S: Final = 10.0


class OldIds:
    """Asks ClickHouse, for so long at most; then it is away for a while, and nobody waits for it.

    Behind an event that is this old stand others, which must be rated and suspended whether ClickHouse answers or not.
    """

    def __init__(self, clickhouse: ClickHouse, patience_s: float) -> None:
        self._clickhouse = clickhouse
        self._patience_s = patience_s
        #: Until when it is taken to be away, by the loop's clock.
        self._away_until = 0.0

    async def __call__(self, tenant: str, ids: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
        """See `lookup_ids`."""
        clock = asyncio.get_running_loop().time
        if clock() < self._away_until:
            raise AwayError("ClickHouse did not answer a moment ago")
        try:
            async with asyncio.timeout(self._patience_s):
                return await lookup_ids(self._clickhouse, tenant, ids)
        except TimeoutError:
            error: PartsError = AwayError(f"ClickHouse did not answer within {self._patience_s:g} s")
        except PartsError as told:
            error = told
        self._away_until = clock() + PAUSE_S
        log.warning("usage older than the ids Redis remembers is parked: %s", error)
        raise error


async def lookup_ids(
    clickhouse: ClickHouse, tenant: str, ids: Sequence[tuple[str, str]]
) -> Mapping[tuple[str, str], str]:
    """Fingerprints (hex) of those (source, id) that were decided before; a few thousand in a query on the narrow table.

    Raises:
        AwayError, ClickHouseRefused: it does not say.
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
            rows: list[Row] = await clickhouse.query(sql)
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
