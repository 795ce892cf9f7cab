"""What changed a wallet between two places in its order: usage by service and zone, and all else, to the nano."""

from __future__ import annotations

from rater.invoices.lines import Moved, Used
from rater.invoices.model import BEGINNING, Place
from rater.money import NANOS
from streams.clickhouse.accrued import moved_between, used_between
from streams.clickhouse.server import ClickHouse
from tests.streams.clickhouse.rows import JOURNAL, RATED, entry, message, rated
from tests.streams.clickhouse.test_once import write

OF = ("acme", "w1")


async def test_usage_is_told_by_service_and_zone_each_event_once(clickhouse: ClickHouse) -> None:
    parts = [message(RATED, rated("a", part=part, parts=2, n=3, charged_nanos=NANOS + 1)) for part in (0, 1)]
    await write(
        clickhouse, *parts, *parts,
        message(RATED, rated("b", n=4, zone="", country="FR", service="message", billable_quantity=2, charged_nanos=5)),
        message(RATED, rated("early", n=2)), message(RATED, rated("late", n=9)),
        message(RATED, rated("other", n=4, wallet="w2")),
        message(RATED, rated("next", n=3, epoch=2)),
    )  # fmt: skip
    found = await used_between(clickhouse, *OF, Place(1, 3), Place(1, 9))
    assert found == [Used("data", "eu", 1, 2000, 2 * NANOS + 2), Used("message", "FR", 1, 2, 5)]
    assert [one.events for one in await used_between(clickhouse, *OF, Place(1, 9), Place(2, 4))] == [2]


async def test_all_else_is_what_it_changed_the_balance_by(clickhouse: ClickHouse) -> None:
    """Below zero too, where whole units and nanos are both negative; and a floor that moves changes nothing."""

    def moved(n: int, kind: str, before: int, after: int, **fields: str) -> object:
        return message(JOURNAL, entry(n=n, kind=kind, balance_before_nanos=before, balance_after_nanos=after,
                                      **({"id": f"c{n}"} | fields)))  # fmt: skip

    low = -6_750_000_000
    await write(
        clickhouse,
        message(JOURNAL, entry(n=1)),
        moved(2, "plan", 10 * NANOS, low, note="renew"),  # type: ignore[arg-type]
        moved(3, "floor", low, low),  # type: ignore[arg-type]
        moved(4, "credit", low, 0, source="invoice", note="invoice paid"),  # type: ignore[arg-type]
    )
    found = await moved_between(clickhouse, *OF, BEGINNING, Place(1, 9))
    assert [one for one in found if one.taken_nanos] == [
        Moved("create", "", "create", -10 * NANOS),
        Moved("credit", "invoice", "invoice paid", low),
        Moved("plan", "", "renew", 10 * NANOS - low),
    ]
    assert await moved_between(clickhouse, *OF, Place(1, 3), Place(1, 4)) == [Moved("floor", "", "floor", 0)]
