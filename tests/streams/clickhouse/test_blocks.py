"""What goes into a table is what the value said, whatever its spelling; what is left out has its struct's default."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.clickhouse.blocks import CHUNK_ROWS
from streams.clickhouse.server import ClickHouse
from streams.clickhouse.tables import TABLES, Table
from tests.streams.clickhouse.conftest import Server, connect
from tests.streams.clickhouse.rows import rated

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    ["x" * 127, "x" * 128, "ü" * 64, "y" * 20_000]
)


class Slim(msgspec.Struct, omit_defaults=True):
    """A record most of whose fields are left out where they say the usual; the usual is not always nothing."""

    id: int
    name: str
    parts: int = 1
    part: int = 0
    fate: str = "rated"
    reason: str = ""
    quoted: str = "it's \\ a\ttab"
    least: int = -(2**63)
    most: int = 2**63 - 1
    is_usual: bool = True
    late: bool = False
    steps: tuple[str, ...] = ("a'b", "ü")
    holds: tuple[str, ...] = ()
    headers: dict[str, str] = {}


ODD: dict[str, st.SearchStrategy[Any]] = {
    "parts": st.integers(0, 2**32 - 1), "part": st.integers(0, 2**32 - 1), "fate": TEXT, "reason": TEXT,
    "quoted": TEXT, "least": INT64, "most": INT64, "is_usual": st.booleans(), "late": st.booleans(),
    "steps": st.lists(TEXT, max_size=3).map(tuple), "holds": st.lists(TEXT, max_size=3).map(tuple),
    "headers": st.dictionaries(TEXT, TEXT, max_size=2),
}  # fmt: skip
SLIM = st.fixed_dictionaries({"name": TEXT}, optional=ODD).map(lambda values: Slim(id=0, **values))


@pytest.fixture
def slim() -> Iterator[Table]:
    TABLES["slim"] = Table("slim", Slim)
    yield TABLES["slim"]
    del TABLES["slim"]


@pytest.fixture
async def slim_rows(server: Server, slim: Table) -> Any:
    """A table of Slim, without any default of its own."""
    engine = connect(server)
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(slim.columns, slim.types, strict=True))
    await engine.execute("CREATE DATABASE IF NOT EXISTS rater")
    await engine.execute(f"CREATE TABLE IF NOT EXISTS slim ({columns}) ENGINE = MergeTree ORDER BY id")
    yield engine
    await engine.execute("DROP TABLE slim")
    await engine.close()


async def kept(engine: ClickHouse) -> list[Slim]:
    """Every row of the table as the struct it came from."""
    found = await engine.query("SELECT * FROM slim ORDER BY id")
    for row in found:
        row["headers"] = json.loads(row["headers"])
        row["is_usual"], row["late"] = bool(row["is_usual"]), bool(row["late"])
        row["steps"], row["holds"] = tuple(row["steps"]), tuple(row["holds"])
    return [Slim(**row) for row in found]


def spelled(value: Any, chance: Any) -> bytes:
    """The same JSON as somebody else might write it: spaces, escapes, another order, fields that mean nothing here."""
    fields = list(msgspec.to_builtins(value).items())
    chance.shuffle(fields)
    if chance.random() < 0.3:
        fields.insert(chance.randrange(len(fields) + 1), ("NAME", {"name": [1, None, {"id": 1e5}], "x": "}\n{"}))
    gap = chance.choice(["", " ", "\n", "\t\r\n "])
    pairs = [
        f"{key_spelled(key, chance)}{gap}:{gap}{json.dumps(said, ensure_ascii=chance.random() < 0.5)}"
        for key, said in fields
    ]
    return f"{gap}{{{gap}{f'{gap},{gap}'.join(pairs)}{gap}}}{gap}".encode()


def key_spelled(key: str, chance: Any) -> str:
    if chance.random() < 0.8:
        return f'"{key}"'
    return '"' + "".join(f"\\u{ord(letter):04x}" if chance.random() < 0.5 else letter for letter in key) + '"'


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(SLIM, min_size=1, max_size=6), chance=st.randoms())
async def test_values_come_back_as_they_were_said_and_defaults_as_they_were_meant(
    slim_rows: ClickHouse, rows: list[Slim], chance: Any
) -> None:
    await slim_rows.execute("TRUNCATE TABLE slim")
    for number, row in enumerate(rows):
        row.id = number
    block = slim_rows.block("slim")
    assert block.add([spelled(row, chance) for row in rows]) == []
    await slim_rows.insert(block)
    assert await kept(slim_rows) == rows


async def test_a_name_that_comes_twice_means_the_last_in_a_block_of_good_rows_too(slim_rows: ClickHouse) -> None:
    block = slim_rows.block("slim")
    block.add([b'{"id":1,"name":"a"}', b'{"id":2,"name":"b","parts":7,"name":"c"}'])
    await slim_rows.insert(block)
    assert await kept(slim_rows) == [Slim(1, "a"), Slim(2, "c", parts=7)]


async def test_a_column_of_another_type_than_ours_is_filled_all_the_same(slim_rows: ClickHouse) -> None:
    """Somebody changed the table; values that fit the new type go in."""
    await slim_rows.execute("ALTER TABLE slim MODIFY COLUMN parts Int64")
    block = slim_rows.block("slim")
    block.add([msgspec.json.encode(Slim(1, "a", parts=2**32 - 1, headers={"k": "v"}))])
    await slim_rows.insert(block)
    assert await kept(slim_rows) == [Slim(1, "a", parts=2**32 - 1, headers={"k": "v"})]


@given(wrong=st.sets(st.integers(0, 3 * CHUNK_ROWS - 1), max_size=5))
@settings(max_examples=10, deadline=None)
@pytest.mark.parametrize("server", ["chdb"], indirect=True)
def test_what_does_not_fit_is_named_by_its_place_and_the_rest_is_taken(server: Server, wrong: set[int]) -> None:
    good = msgspec.json.encode(rated())
    values = [b"[" * 5000 if number in wrong else good for number in range(3 * CHUNK_ROWS)]
    block = connect(server).block("rated_records")
    assert [number for number, _ in block.add(values)] == sorted(wrong)
    assert len(block) == len(values) - len(wrong)


async def test_the_tables_have_the_types_that_rows_are_checked_against(clickhouse: ClickHouse) -> None:
    for table in TABLES.values():
        sql = f"SELECT name, type FROM system.columns WHERE table = '{table.name}' AND database = currentDatabase()"
        types = {row["name"]: row["type"] for row in await clickhouse.query(sql)}
        assert {name: types[name] for name in table.columns} == dict(zip(table.columns, table.types, strict=True))
