"""At-least-once delivery, exactly-once reading."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.clickhouse import queries
from streams.clickhouse.ids import TEXT_BYTES_MAX, OldIds, lookup_ids
from streams.clickhouse.server import AwayError, ChdbClickHouse, ClickHouse
from streams.clickhouse.tables import TABLES
from streams.clickhouse.writer import Writer
from streams.topics import DEAD_LETTERS, JOURNAL, LIFECYCLE, PARKED, RATED, REFUSED, TopicRecord
from tests.streams.clickhouse.conftest import empty
from tests.streams.clickhouse.rows import START_MS, entry, message, rated, suspended
from tests.streams.clickhouse.source import ListSource

INT64_MAX, INT64_MIN = 2**63 - 1, -(2**63)


async def write(clickhouse: ClickHouse, *records: TopicRecord) -> None:
    """Write records through the writer in one round."""
    await Writer(ListSource([list(records)]), clickhouse).write_once(0)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    copies=st.lists(st.integers(1, 5), min_size=1, max_size=12),
    parts=st.integers(1, 3),
    seed=st.integers(0, 2**32),
    blocks=st.integers(1, 4),
)
async def test_a_record_delivered_up_to_five_times_in_any_order_and_block_is_read_once(
    clickhouse: ClickHouse, copies: list[int], parts: int, seed: int, blocks: int
) -> None:
    await empty(clickhouse)
    records = [
        rated(f"e{number}", part=part, parts=parts, n=number, charged_nanos=number + part, amount_nanos=number + part)
        for number in range(len(copies))
        for part in range(parts)
    ]
    delivered = [
        message(RATED, record)
        for number, times in enumerate(copies)
        for record in records[number * parts : (number + 1) * parts]
        for _ in range(times)
    ]
    random.Random(seed).shuffle(delivered)
    writer = Writer(ListSource([delivered[start::blocks] for start in range(blocks)]), clickhouse)
    while await writer.write_once(0):
        pass

    for source in ("rated_records FINAL", "rated_records_once"):
        rows = await clickhouse.query(f"SELECT id, part, charged_nanos FROM {source} ORDER BY id, part")
        assert [tuple(row.values()) for row in rows] == sorted((r.id, r.part, r.charged_nanos) for r in records)
    assert await queries.charged_by_currency(clickhouse) == {"EUR": sum(record.charged_nanos for record in records)}


async def test_months_apart_and_merged_by_the_engine_a_record_is_still_read_once(clickhouse: ClickHouse) -> None:
    month_ms = 31 * 86_400_000
    records = [rated(f"e{number}", start_ms=START_MS - number * month_ms) for number in range(3)]
    for _ in range(3):
        await write(clickhouse, *(message(RATED, record) for record in records))
    assert await queries.rated_counts(clickhouse) == (3, 3)
    await clickhouse.execute("OPTIMIZE TABLE rated_records FINAL")
    assert await queries.rated_counts(clickhouse) == (3, 3)


async def test_every_kind_of_record_delivered_twice_is_read_once(clickhouse: ClickHouse) -> None:
    parked = (
        b'{"tenant":"acme","source":"s","id":"p","reason":"no_rate","detail":"","door":"d","position":1,'
        b'"parked_ms":5,"raw":"eyJ9"}'
    )
    letter = (
        b'{"reason":"invalid","field":"id","detail":"x","door":"d","position":1,"dead_ms":5,"raw":"gA==",'
        b'"headers":{"ce_id":"\\"1\\""}}'
    )
    records = [
        message(RATED, rated()), message(REFUSED, rated("e2", fate="refused", reason="suspended", n=0)),
        message(JOURNAL, entry()), message(LIFECYCLE, suspended()),
        TopicRecord(PARKED, 0, 0, parked), TopicRecord(DEAD_LETTERS, 0, 0, letter),
    ]  # fmt: skip
    await write(clickhouse, *records)
    await write(clickhouse, *records, *records)
    for table, expected in (("rated_records", 2), *((name, 1) for name in TABLES if name != "rated_records")):
        rows = await clickhouse.query(f"SELECT * FROM {table}_once")
        assert len(rows) == expected, table
    kept = (await clickhouse.query("SELECT raw, headers FROM dead_letters_once"))[0]
    assert kept["raw"] == "gA=="
    assert msgspec.json.decode(kept["headers"]) == {"ce_id": '"1"'}


async def test_a_record_comes_back_field_for_field(clickhouse: ClickHouse) -> None:
    record = rated(
        "ü'\\\n\t\0💶",
        late=True,
        allowance="eu",
        allowance_used=INT64_MAX,
        session_id='"',
        explanation=("a'b", "", "ü"),
    )
    await write(clickhouse, message(RATED, record))
    row = (await queries.record(clickhouse, "acme", "emnify", record.id))[0]
    row = {name: value for name, value in row.items() if name != "written_ms"}
    row["late"] = bool(row["late"])
    assert msgspec.convert(row, type(record), strict=True) == record


async def test_int64_edges_come_back_exactly(clickhouse: ClickHouse) -> None:
    for number, nanos in enumerate((INT64_MAX, INT64_MIN, 2**53 + 1, -(2**53) - 1)):
        await write(clickhouse, message(RATED, rated(f"e{number}", charged_nanos=nanos, balance_after_nanos=nanos)))
        row = (await queries.record(clickhouse, "acme", "emnify", f"e{number}"))[0]
        assert (row["charged_nanos"], row["balance_after_nanos"]) == (nanos, nanos)


async def test_a_sum_past_int64_is_exact(clickhouse: ClickHouse) -> None:
    records = [rated(f"e{number}", charged_nanos=INT64_MAX - number, wallet="w") for number in range(20)]
    await write(clickhouse, *(message(RATED, record) for record in records))
    total = sum(INT64_MAX - number for number in range(20))
    assert await queries.charged_by_currency(clickhouse) == {"EUR": total}
    assert await queries.charged_by_wallet(clickhouse) == {("acme", "w"): total}
    assert (await queries.dearest_countries(clickhouse, 1))[0]["charged_nanos"] == total


async def test_the_highest_revision_is_read_whatever_came_last(clickhouse: ClickHouse) -> None:
    second = rated(charged_nanos=5, revision=1)
    await write(clickhouse, message(RATED, second))
    await write(clickhouse, message(RATED, rated()))
    assert await queries.charged_by_currency(clickhouse) == {"EUR": 5}
    # A condition on what changed must not bring the replaced one back.
    found = await clickhouse.query("SELECT count() AS rows FROM rated_records FINAL WHERE charged_nanos > 5")
    assert found == [{"rows": 0}]


async def test_wrong_events_of_one_message_are_told_apart(clickhouse: ClickHouse) -> None:
    letters = [
        b'{"reason":"invalid","field":"[%d].id","detail":"x","door":"d","position":1,"dead_ms":5,"raw":"gA=="}' % number
        for number in range(3)
    ]
    await write(clickhouse, *(TopicRecord(DEAD_LETTERS, 0, 0, letter) for letter in letters * 2))
    assert await queries.events(clickhouse) == {("dead_lettered", "invalid"): 3}


async def test_journal_lines_that_share_a_number_are_told_apart(clickhouse: ClickHouse) -> None:
    lines = [entry(id=f"c{number}", kind="join", n=4) for number in range(3)]
    await write(clickhouse, *(message(JOURNAL, line) for line in lines * 2))
    assert len(await queries.wallet_history(clickhouse, "acme", "w1", 10)) == 3


async def test_old_ids_are_found_with_their_fingerprint_and_no_others(clickhouse: ClickHouse) -> None:
    refused = rated("r", fate="refused", reason="suspended", n=0, fingerprint="ab" * 8)
    await write(
        clickhouse,
        message(RATED, rated("a")),
        message(RATED, rated("a", part=1)),
        message(REFUSED, refused),
        message(RATED, rated("a'b\\", fingerprint="cd" * 8)),
        message(RATED, rated("a", tenant="other", fingerprint="ee" * 8)),
    )
    asked = [("emnify", "a"), ("emnify", "r"), ("emnify", "a'b\\"), ("1nce", "a"), ("emnify", "never")]
    assert await lookup_ids(clickhouse, "acme", asked) == {
        ("emnify", "a"): "00ff" * 4,
        ("emnify", "r"): "ab" * 8,
        ("emnify", "a'b\\"): "cd" * 8,
    }
    assert await lookup_ids(clickhouse, "acme", []) == {}


async def test_more_ids_than_one_query_holds_are_looked_up(clickhouse: ClickHouse) -> None:
    # Two bytes a letter, and each quote is written as two.
    ids = [f"{number:090d}'éé" for number in range(TEXT_BYTES_MAX // 50)]
    await write(clickhouse, *(message(RATED, rated(event_id)) for event_id in ids[::2]))
    found = await lookup_ids(clickhouse, "acme", [("emnify", event_id) for event_id in ids])
    assert sorted(event_id for _, event_id in found) == ids[::2]


async def test_a_clickhouse_that_does_not_answer_is_waited_for_once_and_not_asked_for_a_while(tmp_path: Path) -> None:
    asked = 0

    async def say_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.read()

    async with await asyncio.start_unix_server(say_nothing, str(tmp_path / "s")):
        old_ids = OldIds(ChdbClickHouse(tmp_path / "s"), patience_s=0.1)
        with pytest.raises(AwayError, match=r"within 0\.1 s"):
            await old_ids("acme", [("emnify", "1")])
        with pytest.raises(AwayError, match="a moment ago"):
            await old_ids("acme", [("emnify", "1")])
    assert asked == 1
