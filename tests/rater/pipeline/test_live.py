"""The quick way by which one allowance pays for all of a usage comes to what the long way comes to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rater.pipeline import planned
from rater.pipeline.live import Candidate, whole
from rater.plans.allowances import Balance, Part, consume
from rater.plans.credits import Use, cost_parts
from rater.plans.model import Allowance, Match
from tests.rater.pipeline.conftest import message, usage
from tests.rater.pipeline.test_plans import Planned, bench, pooled

__all__ = ["bench"]

DATA = Use("data")
times = st.integers(0, 12)


@st.composite
def balances(draw: st.DrawFn) -> list[Balance]:
    found = []
    for number in range(draw(st.integers(1, 4))):
        service = draw(st.sampled_from(["data", "data", "voice"]))
        match = Match(frozenset({service}))
        priority, shared = draw(st.sampled_from([1, 100])), draw(st.booleans())
        allowance = Allowance(f"a-{number}", "bytes", 9, match, priority, shared=shared)
        found.append(Balance(f"b-{number}", allowance, draw(st.integers(0, 9)), draw(times), draw(times)))
    return found


@given(balances(), st.integers(1, 9), times, times, st.data())
def test_whole_is_what_consume_gives_where_one_allowance_is_enough(
    found: list[Balance], quantity: int, start_ms: int, length_ms: int, data: st.DataObject
) -> None:
    used = {balance.id: data.draw(st.integers(0, balance.left_parts)) for balance in found}
    candidates = sorted(
        Candidate(balance.order, balance.id, balance, cost, balance.allowance.shared)
        for balance in found
        if (cost := cost_parts(balance.allowance, DATA)) is not None
    )
    own = {one.key: used[one.key] for one in candidates if not one.shared}
    pool = {one.key: used[one.key] for one in candidates if one.shared}
    taken = whole(candidates, own, pool, quantity, start_ms, start_ms + length_ms)
    left = [Balance(b.id, b.allowance, b.left_parts - used[b.id], b.from_ms, b.until_ms) for b in found]
    consumed = consume(left, Part(DATA, quantity, start_ms, start_ms + length_ms))
    if taken is None:
        return
    candidate, used_after, left_parts = taken
    (line,) = consumed.lines
    assert not consumed.uncovered
    assert (line.id, used[line.id] + line.parts, line.left_parts) == (candidate.key, used_after, left_parts)


@pytest.mark.parametrize("is_pooled", [False, True])
async def test_records_are_the_same_to_the_byte(
    bench: Planned, monkeypatch: pytest.MonkeyPatch, is_pooled: bool
) -> None:
    events = [usage(str(number), volume_bytes=900_000) for number in range(6)]
    events += [message("7", called_number="+4930123456"), usage("8", session_id="s")]
    made: list[dict[str, Any]] = []
    for is_quick in (True, False):
        await bench.redis.flushall()
        await bench.store.open(bench.redis, shards=bench.store.shards)
        if is_pooled:
            await pooled(bench, "10", "sim-1")
        else:
            await bench.planned("10", "data-5")
        if not is_quick:
            monkeypatch.setattr(planned, "_take_whole", lambda *_: False)
        outputs = await (await bench.pipeline()).process(bench.batch(*events))
        made.append(dict(outputs.messages))
    assert made[0] == made[1]
