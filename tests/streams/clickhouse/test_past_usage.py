"""Past usage is read from the ledger event by event: each once, whole, in order, and of whom was asked about."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.usage import Usage
from streams.clickhouse.past_usage import UsagePlace, Whose, past_usage_count, past_usage_page, usage_of
from streams.clickhouse.server import ClickHouse
from streams.topics import RATED, REFUSED
from tests.streams.clickhouse.rows import START_MS, message, rated
from tests.streams.clickhouse.test_once import write

HOUR_MS = 3_600_000
RANGE = Whose("acme", START_MS, START_MS + 10 * HOUR_MS)


def at(hours: float, event_id: str, **changes: Any) -> Any:
    """A record that starts so many hours into the range, and lasts an hour."""
    start_ms = START_MS + int(hours * HOUR_MS)
    return message(RATED, rated(event_id, start_ms=start_ms, end_ms=start_ms + HOUR_MS, **changes))


async def read(clickhouse: ClickHouse, whose: Whose = RANGE, page: int = 2, *, by_time: bool = False) -> list[Usage]:
    """All of it, in small pages."""
    found: list[Usage] = []
    place: UsagePlace | None = None
    while True:
        rows, place = await past_usage_page(clickhouse, whose, page, place, by_time=by_time)
        found += [usage_of(whose.tenant, row) for row in rows]
        if place is None:
            assert len(found) == await past_usage_count(clickhouse, whose)
            return found


async def test_parts_are_put_together_and_repeats_count_once(clickhouse: ClickHouse) -> None:
    first = at(1, "a", part=0, parts=2, quantity=300)
    await write(clickhouse, first, at(2, "a", part=1, parts=2, quantity=700, n=2), first)
    await write(clickhouse, first, at(5, "b", quantity=5))
    a, b = await read(clickhouse)
    assert (a.id, a.volume_bytes, a.start_ms, a.end_ms) == ("a", 1000, START_MS + HOUR_MS, START_MS + 3 * HOUR_MS)
    assert (b.id, b.volume_bytes) == ("b", 5)


async def test_an_event_belongs_to_where_it_starts_with_all_its_parts(clickhouse: ClickHouse) -> None:
    """The one that began before is left out whole; of the one that goes on after it the later part counts too."""
    await write(
        clickhouse,
        at(-0.5, "before", part=0, parts=2), at(0.5, "before", part=1, parts=2),
        at(9.5, "after", part=0, parts=2, quantity=1), at(10.5, "after", part=1, parts=2, quantity=2),
        at(10, "later"),
    )  # fmt: skip
    (found,) = await read(clickhouse)
    assert (found.id, found.volume_bytes) == ("after", 3)


@pytest.mark.parametrize("by_time", [False, True])
async def test_pages_go_on_where_the_one_before_ended(clickhouse: ClickHouse, by_time: bool) -> None:
    events = [(sim, hours, source, name) for sim in ("a", "b'\\", "c") for hours in (3, 1, 2)
              for source in ("s", "r") for name in ("2", "1")]  # fmt: skip
    records = [at(hours, f"{sim}{hours}{name}", subscriber=sim, source=source) for sim, hours, source, name in events]
    await write(clickhouse, *records)
    for page in (1, 5, 100):
        found = await read(clickhouse, page=page, by_time=by_time)
        keys = [(usage.start_ms, usage.source, usage.id) for usage in found]
        if not by_time:
            keys = [(usage.subscriber, *key) for usage, key in zip(found, keys, strict=True)]
        assert keys == sorted(keys)
        assert len(set(keys)) == len(events)


async def test_only_what_was_rated_and_of_whom_was_asked(clickhouse: ClickHouse) -> None:
    refused = rated("refused", fate="refused", reason="suspended", n=0, charged_nanos=0, start_ms=START_MS)
    await write(
        clickhouse, at(1, "mine"), at(1, "other-account", account="a2"), at(1, "other-wallet", wallet="w2"),
        at(1, "other-sim", subscriber="x"), at(1, "other-tenant", tenant="evil"), message(REFUSED, refused),
    )  # fmt: skip

    async def ids(**whose: Any) -> set[str]:
        return {usage.id for usage in await read(clickhouse, RANGE._replace(**whose))}

    assert await ids(accounts=("a1",)) == {"mine", "other-wallet", "other-sim"}
    assert await ids(accounts=("a1", "a2")) == {"mine", "other-wallet", "other-sim", "other-account"}
    assert await ids(wallet="w1") == {"mine", "other-account", "other-sim"}
    assert await ids(subscriber="8949", accounts=("a1",)) == {"mine", "other-wallet"}
    assert await ids(wallet="w1' OR '1'='1") == set()


async def test_a_record_is_the_usage_again_as_far_as_it_tells(clickhouse: ClickHouse) -> None:
    call = {"service": "voice", "kind": "", "direction": "incoming", "quantity": 61_000, "unit": "ms", "mcc": "262",
            "mnc": "07", "called_number": "+4930123456", "destination_country": "DE", "session_id": "s"}  # fmt: skip
    await write(clickhouse, at(1, "call", **call))
    assert await read(clickhouse) == [
        Usage(
            "acme", "emnify", "call", "voice", START_MS + HOUR_MS, START_MS + 2 * HOUR_MS, direction="incoming",
            subscriber="8949", session_id="s", mcc="262", mnc="07", country="DE", called_number="+4930123456",
            destination_country="DE", duration_ms=61_000,
        )
    ]  # fmt: skip
