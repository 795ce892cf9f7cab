"""A rule triggers once for each subject and period, whatever order its records come in and however often."""

from __future__ import annotations

import uuid
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rater.settings import KafkaSettings, Settings
from streams.kafka import create_topics
from streams.opening import open_producer, open_source
from streams.spool import SpoolSource, begin_at_end
from streams.topics import NOTICES, RATED
from streams.webhooks.rule_follower import RuleFollower
from streams.webhooks.rules import Rated, Rule
from tests.streams.spooled import BreakingSink, SinkError, records
from tests.streams.webhooks.building import NOW_MS, Hooks

MB = 10**6


def rated(n: int, megabytes: int = 1, **fields: Any) -> dict[str, Any]:
    made = {
        "tenant": "t", "subscriber": "sim-1", "account": "acme", "wallet": "acme", "service": "data",
        "period": "2026-11-01", "epoch": 1, "n": n, "quantity": megabytes * MB, "rated_ms": NOW_MS,
    }  # fmt: skip
    return made | fields


class Ruled:
    """Rules and the records they look at."""

    def __init__(self, hooks: Hooks) -> None:
        self.hooks = hooks
        self.source = SpoolSource(hooks.folder, "rules", (RATED,))

    async def rule(self, metric: str = "sim_card.usage", threshold: int = 10, **fields: Any) -> Rule:
        made = {
            "id": f"ru_{metric}", "tenant": "t", "account": "", "metric": metric, "service": "data",
            "threshold": threshold * MB, "created_ms": NOW_MS,
        }  # fmt: skip
        return await self.hooks.rules.add(Rule(**(made | fields)), most=200)

    async def publish(self, *messages: dict[str, Any]) -> None:
        await self.hooks.sink.publish({RATED: [(b"", orjson.dumps(message)) for message in messages]})

    def follower(self, sink: Any = None) -> RuleFollower:
        return RuleFollower(lambda: None, self.hooks.rules, self.hooks.queue, sink or self.hooks.sink)  # type: ignore[arg-type,return-value]

    async def follow(self, *messages: dict[str, Any]) -> None:
        """The records come, and are followed."""
        await self.publish(*messages)
        follower = self.follower()
        while await follower.follow_once(self.source, 0):
            pass
        await follower.publish()

    @property
    def notices(self) -> list[dict[str, Any]]:
        return records(self.hooks.folder, NOTICES)


@pytest.fixture
def ruled(hooks: Hooks) -> Ruled:
    return Ruled(hooks)


async def test_usage_of_a_sim_passes_a_threshold_once_in_a_period(ruled: Ruled) -> None:
    await ruled.rule()
    await ruled.follow(rated(1, 9))
    assert ruled.notices == []
    await ruled.follow(rated(2, 1), rated(3, 50))
    (notice,) = ruled.notices
    assert (notice["type"], notice["subscriber"], notice["account"]) == (
        "rule.sim_card.usage.triggered", "sim-1", "acme",
    )  # fmt: skip
    assert notice["data"] == {
        "rule": "ru_sim_card.usage", "period": "2026-11-01", "unit": "bytes", "used": 10 * MB, "threshold": 10 * MB,
    }  # fmt: skip
    await ruled.follow(rated(4, 9, period="2026-12-01"))
    assert len(ruled.notices) == 1, "a new period begins at zero"
    await ruled.follow(rated(5, 9, period="2026-12-01"), rated(6, 90, period="2026-12-01"))
    assert len(ruled.notices) == 2


async def test_each_sim_counts_for_itself(ruled: Ruled) -> None:
    await ruled.rule()
    await ruled.rule(id="ru_one", sim="sim-2", threshold=1)
    await ruled.follow(*(rated(n, 9, subscriber=f"sim-{n}") for n in range(1, 5)))
    assert [notice["subscriber"] for notice in ruled.notices] == ["sim-2"]


async def test_what_is_left_of_a_limit(ruled: Ruled) -> None:
    await ruled.rule("sim_card.remaining_usage", 2, limit=10 * MB)
    await ruled.follow(rated(1, 7))
    assert ruled.notices == []
    await ruled.follow(rated(2, 1))
    (notice,) = ruled.notices
    assert notice["type"] == "rule.sim_card.remaining_usage.triggered"
    assert (notice["data"]["used"], notice["data"]["remaining"], notice["data"]["limit"]) == (8 * MB, 2 * MB, 10 * MB)


async def test_what_is_left_of_an_allowance(ruled: Ruled) -> None:
    await ruled.rule("allowance.remaining_usage", 2, allowance="basic")
    await ruled.follow(
        rated(1), rated(2, allowance="basic", allowance_used=MB, allowance_left=3 * MB),
        rated(3, allowance="extra", allowance_used=MB, allowance_left=MB),
    )  # fmt: skip
    assert ruled.notices == []
    await ruled.follow(rated(4, allowance="basic", allowance_used=MB))  # left out where nothing is left
    (notice,) = ruled.notices
    assert notice["type"] == "rule.allowance.remaining_usage.triggered"
    assert (notice["data"]["allowance"], notice["data"]["remaining"]) == ("basic", 0)


async def test_a_pool_is_all_the_accounts_sims_together(ruled: Ruled) -> None:
    await ruled.rule("pool.usage", 4, allowance="pool")
    await ruled.rule("pool.remaining_usage", 7, allowance="pool")
    used = {"allowance": "pool", "allowance_used": 2 * MB}
    await ruled.follow(
        rated(1, 2, allowance_left=9 * MB, **used),
        rated(1, 2, wallet="u", account="other", allowance_left=9 * MB, **used),
    )
    assert ruled.notices == []
    await ruled.follow(rated(2, 2, subscriber="sim-2", allowance_left=7 * MB, **used))
    assert {(notice["type"], notice["account"]) for notice in ruled.notices} == {
        ("rule.pool.usage.triggered", "acme"), ("rule.pool.remaining_usage.triggered", "acme"),
    }  # fmt: skip
    assert all("subscriber" not in notice for notice in ruled.notices)


async def test_an_accounts_rule_counts_its_own_sims_only(ruled: Ruled) -> None:
    await ruled.rule(account="acme", threshold=1)
    await ruled.rule(id="ru_u", tenant="u", threshold=1)
    await ruled.follow(rated(1, account="other", wallet="w"), rated(1, tenant="v"), rated(1, subscriber="sim-7"))
    assert [notice["subscriber"] for notice in ruled.notices] == ["sim-7"]


async def test_what_was_rated_before_the_rule_and_what_is_no_such_service_is_not_counted(ruled: Ruled) -> None:
    await ruled.rule(threshold=1)
    await ruled.follow(rated(1, 9, rated_ms=NOW_MS - 1), rated(2, 9, service="voice"), rated(3, 9, fate="refused"))
    assert ruled.notices == []


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    parts=st.lists(st.integers(1, 3), min_size=1, max_size=25),
    pages=st.integers(1, 6),
    far=st.booleans(),
)
async def test_records_in_any_order_any_number_of_times_are_counted_once(
    ruled: Ruled, seed: int, parts: list[int], pages: int, far: bool
) -> None:
    """Two workers publish in an order that is not the wallet's, and a record may be published again."""
    await ruled.hooks.redis.flushall()
    hooks = await Hooks.open(ruled.hooks.redis, ruled.hooks.folder)
    random, queue = Random(seed), hooks.queue
    await ruled.rule(threshold=10**6)
    spread = 3000 if far else 1
    sent = [
        rated(spread * n + 1, random.randint(1, 9), part=part) for n, count in enumerate(parts) for part in range(count)
    ]
    expected = sum(record["quantity"] for record in sent)
    sent += random.choices(sent, k=random.randint(0, len(sent)))
    random.shuffle(sent)
    follower = ruled.follower()
    decoded = [msgspec.convert(record, type=Rated) for record in sent]
    for start in range(0, len(decoded), pages):
        await follower._count(decoded[start : start + pages])
    (key,) = [key async for key in queue.redis.scan_iter("*:r:u:*")]
    assert int(await queue.redis.hget(key, "sum")) == expected


async def test_a_record_that_comes_again_after_its_block_is_forgotten_is_not_counted(ruled: Ruled) -> None:
    await ruled.rule(threshold=10**6)
    await ruled.follow(rated(5), rated(70_000), rated(140_000), rated(5))
    (key,) = [key async for key in ruled.hooks.redis.scan_iter("*:r:u:*")]
    assert int(await ruled.hooks.redis.hget(key, "sum")) == 3 * MB
    blocks = [key async for key in ruled.hooks.redis.scan_iter("*:r:s:*")]
    assert len(blocks) == 2, "memory is bounded"


async def test_a_crash_before_the_notice_is_published_loses_and_doubles_nothing(ruled: Ruled, tmp_path: Path) -> None:
    """It stands in Redis since the count, and its id is the same when it is published again."""
    await ruled.rule(threshold=1)
    await ruled.publish(rated(1))
    dying = ruled.follower(BreakingSink(tmp_path, 0, "told"))
    await dying.follow_once(ruled.source, 0)
    with pytest.raises(SinkError):
        await dying.publish()
    again = SpoolSource(ruled.hooks.folder, "another", (RATED,))  # a cursor that was never committed
    follower = ruled.follower()
    await follower.follow_once(again, 0)
    await follower.publish()
    first, second = ruled.notices
    assert first == second
    await follower.publish()
    assert len(ruled.notices) == 2


async def test_a_trigger_is_told_to_endpoints(ruled: Ruled) -> None:
    endpoint = await ruled.hooks.endpoint("http://127.0.0.1:9/in", events=("rule.*",))
    await ruled.rule(threshold=1)
    await ruled.follow(rated(1))
    await ruled.hooks.follower().follow_once(0)
    assert await ruled.hooks.types(endpoint) == ["rule.sim_card.usage.triggered"]


async def test_the_first_rule_begins_behind_what_stands_in_the_topic(ruled: Ruled) -> None:
    await ruled.publish(rated(1))
    await begin_at_end(ruled.hooks.folder, "rules", (RATED,))
    source = SpoolSource(ruled.hooks.folder, "rules", (RATED,))
    await ruled.publish(rated(2))
    assert [len(page.values) for page in await source.read(10, 0)] == [1]
    await begin_at_end(ruled.hooks.folder, "rules", (RATED,))
    source = SpoolSource(ruled.hooks.folder, "rules", (RATED,))
    assert [len(page.values) for page in await source.read(10, 0)] == [1], "only a group that has not read yet"


@pytest.mark.slow
async def test_so_it_does_in_kafka(kafka: Any) -> None:
    prefix = f"{uuid.uuid4().hex[:8]}."
    chosen = Settings(kafka=KafkaSettings(bootstrap=kafka.bootstrap, prefix=prefix, group=prefix, partitions=2))
    await create_topics(chosen.kafka, [prefix + RATED], 2)
    async with open_producer(chosen) as sink:
        await sink.publish({RATED: [(b"%d" % n, b"old") for n in range(10)]})
        async with open_source(chosen, "rules", kafka=True, topics=(RATED,), from_end=True) as source:
            await sink.publish({RATED: [(b"%d" % n, b"new") for n in range(10)]})
            found: list[bytes] = []
            while len(found) < 10:
                found += [value for page in await source.read(100, 1.0) for value in page.values]
        assert found == [b"new"] * 10
        # It died before it committed anything: the next member begins where the group began.
        async with open_source(chosen, "rules", kafka=True, topics=(RATED,), from_end=True) as source:
            again: list[bytes] = []
            while len(again) < 10:
                again += [value for page in await source.read(100, 1.0) for value in page.values]
        assert again == found
