from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rater.money import NANOS
from schemas.faults import ParkedEvent
from streams.clickhouse import queries
from streams.clickhouse.migrate import MODERN_SINCE
from streams.clickhouse.server import ClickHouse
from streams.topics import JOURNAL, LIFECYCLE, PARKED, RATED, REFUSED
from tests.streams.clickhouse.conftest import empty
from tests.streams.clickhouse.rows import START_MS, entry, message, rated, suspended
from tests.streams.clickhouse.test_once import INT64_MAX, INT64_MIN, write


def parked(event_id: str, **changes: Any) -> ParkedEvent:
    values: dict[str, Any] = {
        "tenant": "acme", "source": "emnify", "id": event_id, "reason": "no_rate", "detail": "no rate", "door": "d",
        "position": 1, "parked_ms": START_MS, "raw": b"{}",
    }  # fmt: skip
    return ParkedEvent(**(values | changes))


def refused(event_id: str, reason: str) -> Any:
    return rated(event_id, fate="refused", reason=reason, n=0, charged_nanos=0)


async def test_an_event_counts_once_under_its_fate_and_reason(clickhouse: ClickHouse) -> None:
    await write(
        clickhouse,
        message(RATED, rated("a", part=0, parts=2)),
        message(RATED, rated("a", part=1, parts=2)),
        message(REFUSED, refused("b", "suspended")),
        message(REFUSED, refused("c", "suspended")),
        message(REFUSED, refused("d", "region_blocked")),
        message(PARKED, parked("e")),
        message(PARKED, parked("e", parked_ms=START_MS + 1)),
        message(PARKED, parked("a")),
    )
    assert await queries.events(clickhouse) == {
        ("rated", ""): 1,
        ("refused", "suspended"): 2,
        ("refused", "region_blocked"): 1,
        ("parked", "no_rate"): 1,
    }
    assert await queries.rated_counts(clickhouse) == (1, 2), "an event in two parts"
    assert await queries.parked_count(clickhouse) == 1, "one was parked twice, the other was decided"


async def test_a_parked_event_is_resolved_once_it_is_decided(clickhouse: ClickHouse) -> None:
    await write(clickhouse, *(message(PARKED, parked(event_id)) for event_id in ("a", "b", "c")))
    await write(clickhouse, message(PARKED, parked("c", reason="no_plan", parked_ms=START_MS + 5)))
    await write(clickhouse, message(RATED, rated("a")), message(REFUSED, refused("x", "suspended")))
    waiting = await queries.parked_unresolved(clickhouse)
    assert [(row["id"], row["reason"], row["raw"]) for row in waiting] == [
        ("b", "no_rate", "e30="),
        ("c", "no_plan", "e30="),
    ]
    await write(clickhouse, message(REFUSED, refused("b", "suspended")), message(RATED, rated("c", source="other")))
    assert [row["id"] for row in await queries.parked_unresolved(clickhouse)] == ["c"]


async def test_money_is_added_up_by_currency_with_its_sign(clickhouse: ClickHouse) -> None:
    amounts = {"EUR": [1, -NANOS - 1, 5 * NANOS], "USD": [INT64_MIN, INT64_MAX], "JPY": [-3]}
    await write(
        clickhouse,
        *(
            message(
                RATED, rated(f"{currency}{number}", currency=currency, charged_nanos=nanos, uncovered_nanos=-nanos - 1)
            )
            for currency, all_nanos in amounts.items()
            for number, nanos in enumerate(all_nanos)
        ),
    )
    assert await queries.charged_by_currency(clickhouse) == {name: sum(nanos) for name, nanos in amounts.items()}
    uncovered = {name: -sum(nanos) - len(nanos) for name, nanos in amounts.items()}
    assert await queries.uncovered_by_currency(clickhouse) == uncovered


async def test_the_dearest_countries_come_first(clickhouse: ClickHouse) -> None:
    charged = {"DE": [NANOS // 2] * 5, "FR": [2 * NANOS + 1], "CU": [1]}
    await write(
        clickhouse,
        *(
            message(RATED, rated(f"{country}{number}", country=country, charged_nanos=nanos))
            for country, all_nanos in charged.items()
            for number, nanos in enumerate(all_nanos)
        ),
    )
    assert await queries.dearest_countries(clickhouse, 2) == [
        {"country": "DE", "currency": "EUR", "charged_nanos": 5 * (NANOS // 2), "events": 5},
        {"country": "FR", "currency": "EUR", "charged_nanos": 2 * NANOS + 1, "events": 1},
    ]


async def test_suspends_are_counted_by_who_and_listed_in_order(clickhouse: ClickHouse) -> None:
    await write(
        clickhouse,
        message(LIFECYCLE, suspended(subscriber="", status_version=1)),
        message(LIFECYCLE, suspended(subscriber="b", n=4, occurred_ms=START_MS + 2)),
        message(LIFECYCLE, suspended(subscriber="a", n=3, occurred_ms=START_MS + 1)),
        message(LIFECYCLE, suspended(subscriber="a", type="resumed", status_version=2, n=5)),
        message(LIFECYCLE, suspended(subscriber="a", status_version=3, n=9, occurred_ms=START_MS + 9)),
    )
    assert await queries.suspended_counts(clickhouse) == (2, 1)
    first = await queries.first_suspends(clickhouse, 2)
    assert [(row["subscriber"], row["occurred_ms"]) for row in first] == [("a", START_MS + 1), ("b", START_MS + 2)]


async def test_a_wallets_history_has_usage_and_entries_newest_first(clickhouse: ClickHouse) -> None:
    await write(
        clickhouse,
        message(JOURNAL, entry(n=1)),
        message(RATED, rated("a", n=2, part=0, parts=2, charged_nanos=3, balance_after_nanos=10**10 - 3)),
        message(RATED, rated("a", n=2, part=1, parts=2, charged_nanos=4, balance_after_nanos=10**10 - 7)),
        message(JOURNAL, entry(n=3, kind="credit", id="c2", amount_nanos=7, balance_after_nanos=10**10)),
        message(REFUSED, refused("r", "suspended")),
        message(JOURNAL, entry(wallet="other", n=9)),
        message(JOURNAL, entry(n=1, epoch=2, kind="hold", id="c3")),
    )
    found = await queries.wallet_history(clickhouse, "acme", "w1", 10)
    assert [(row["epoch"], row["n"], row["kind"], row["cause"], row["amount_nanos"]) for row in found] == [
        (2, 1, "hold", "command/c3", 10**10),
        (1, 3, "credit", "command/c2", 7),
        (1, 2, "usage", "emnify/a", 7),
        (1, 1, "create", "command/c1", 10**10),
    ]
    assert found[2]["balance_after_nanos"] == 10**10 - 7
    assert len(await queries.wallet_history(clickhouse, "acme", "w1", 2)) == 2
    place, rest = None, []
    while page := await queries.wallet_page(clickhouse, "acme", "w1", 1, place):
        rest += page
        place = queries.WalletPlace(page[0]["epoch"], page[0]["n"], page[0]["cause"])
    assert rest == found, "page by page it is the same"


async def test_the_first_verdict_of_an_event_is_that_of_all_its_parts(clickhouse: ClickHouse) -> None:
    part = {"parts": 2, "charged_nanos": 3, "uncovered_nanos": 5}
    await write(
        clickhouse,
        message(RATED, rated("a", part=0, **part)),
        message(RATED, rated("a", part=1, **part)),
        message(RATED, rated("a", part=1, **part)),
        message(REFUSED, refused("b'c", "suspended")),
        message(RATED, rated("a", tenant="other", charged_nanos=99)),
    )
    ids = [("emnify", "a"), ("emnify", "b'c"), ("emnify", "never"), ("elsewhere", "a")]
    assert await queries.first_verdicts(clickhouse, "acme", ids) == {
        ("emnify", "a"): ("rated", "", 6, 10, "EUR"),
        ("emnify", "b'c"): ("refused", "suspended", 0, 0, "EUR"),
    }


CHANGES = st.lists(st.tuples(st.booleans(), st.integers(1, 2**40)), min_size=1, max_size=12)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES, missing=st.integers(0, 11))
async def test_a_record_that_is_missing_is_seen_by_reconciliation(
    clickhouse: ClickHouse, changes: list[tuple[bool, int]], missing: int
) -> None:
    await empty(clickhouse)
    balance = 2**45
    records = [message(JOURNAL, entry(n=1, balance_after_nanos=balance))]
    for n, (is_usage, nanos) in enumerate(changes, 2):
        moved = {
            "balance_before_nanos": balance,
            "balance_after_nanos": balance + (-nanos if is_usage else nanos),
            "n": n,
        }
        record = rated(f"e{n}", **moved) if is_usage else entry(id=f"c{n}", kind="credit", **moved)
        records.append(message(RATED if is_usage else JOURNAL, record))
        balance = moved["balance_after_nanos"]
    missing = missing % len(records)
    await write(clickhouse, *records[:missing], *records[missing + 1 :])
    found = await queries.unbalanced_wallets(clickhouse)
    if missing < len(records) - 1:  # the last one leaves a shorter history that is whole
        assert list(found) == [("acme", "w1")]
    await write(clickhouse, records[missing])
    assert await queries.unbalanced_wallets(clickhouse) == {}


async def test_a_record_is_found_by_its_identity_with_all_parts(clickhouse: ClickHouse) -> None:
    await write(clickhouse, *(message(RATED, rated("a", part=part, parts=2)) for part in (1, 0)))
    await write(clickhouse, message(RATED, rated("a", tenant="other")))
    assert [row["part"] for row in await queries.record(clickhouse, "acme", "emnify", "a")] == [0, 1]
    assert await queries.record(clickhouse, "acme", "emnify", "b") == []


async def test_the_readable_view_shows_exact_decimals_and_times(clickhouse: ClickHouse) -> None:
    if await clickhouse.version() < MODERN_SINCE:
        tables = [row["name"] for row in await clickhouse.query("SHOW TABLES")]
        assert "rated_records_readable" not in tables
        return
    for number, nanos in enumerate((INT64_MAX, INT64_MIN, 1, -1)):
        await write(clickhouse, message(RATED, rated(f"e{number}", charged_nanos=nanos)))
    rows = await clickhouse.query(
        "SELECT charged, toString(started) AS started FROM rated_records_readable ORDER BY id"
    )
    assert [row["charged"] for row in rows] == [Decimal(nanos).scaleb(-9) for nanos in (INT64_MAX, INT64_MIN, 1, -1)]
    assert rows[0]["started"] == "2026-10-26 07:33:20.000"
    total = await clickhouse.query("SELECT sum(charged) AS total FROM (SELECT charged FROM rated_records_readable)")
    assert total == [{"total": Decimal(-1).scaleb(-9)}]


@pytest.mark.parametrize("text", ["9223372036854775807", "-9223372036854775808"])
async def test_integers_are_never_read_as_floats(clickhouse: ClickHouse, text: str) -> None:
    rows = await clickhouse.query(f"SELECT toInt64('{text}') AS whole")
    assert rows == [{"whole": int(text)}]
    assert type(rows[0]["whole"]) is int
