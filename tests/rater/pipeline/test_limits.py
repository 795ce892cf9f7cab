"""SIMs with many counters or sessions, names with slashes, and events that only look like known ones."""

from __future__ import annotations

from typing import Any

import pytest

from rater.directory import Directory
from rater.money import parse_nanos
from rater.pipeline.catalogues import Catalogues
from rater.pipeline.pipeline import Pipeline
from rater.subscriber import Assignment, Subscriber
from schemas.fates import Fate, Reason
from tests.rater.pipeline import conftest
from tests.rater.pipeline.conftest import NOW_MS, Bench, catalogue, usage
from tests.rater.pipeline.test_pipeline import calls, fates

ICCID = "8988000000000000001"


async def by_session(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A worker under a tariff that steps by session."""
    monkeypatch.setattr(conftest, "TARIFF", conftest.TARIFF.replace("scope: carry-over", "scope: session"))
    catalogues = Catalogues(bench.redis, catalogue())
    await catalogues.keep()
    return Pipeline(bench.store, Directory(bench.redis, bench.store), catalogues)


async def test_a_sim_whose_id_has_slashes_goes_on_with_its_sessions(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.wallet("w", "100.00", "fleet/7")
    for number in range(3):
        event = usage(str(number), "fleet/7", 30_000, session_id="a/b")
        outputs = await (await by_session(bench, monkeypatch)).process(bench.batch(event, start=number))
        assert outputs.tally.charged_nanos["EUR"] == (0 if number else parse_nanos("0.10"))


async def test_many_sessions_of_one_sim_are_learnt_together(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.wallet("w", "100.00", "sim-1")
    for number in range(2):
        events = [usage(f"{number}-{n}", volume_bytes=30_000, session_id=str(n)) for n in range(200)]
        before = await calls(bench)
        outputs = await (await by_session(bench, monkeypatch)).process(bench.batch(*events, start=200 * number))
        assert outputs.tally.charged_nanos["EUR"] == (0 if number else parse_nanos("20.00"))
        assert await calls(bench) - before <= 4


@pytest.mark.parametrize(
    "wrong",
    [{"called_number": "+49x"}, {"called_number": "+x"}, {"imsi": ""}, {"msisdn": ""}, {"country": "XX"},
     {"mnc": "1"}, {"called_number": "+49301"}],
    ids=str,
)  # fmt: skip
async def test_an_event_like_a_known_one_fulfils_the_rules_or_is_refused_by_them(
    bench: Bench, wrong: dict[str, Any]
) -> None:
    """The quick way and the long way answer the same."""
    await bench.wallet("w", "10.00")
    assignment = Assignment(0, "w", "w", "payg", "EUR")
    await bench.directory.add([Subscriber("t", "sim-1", 1, (assignment,), iccid=ICCID)], now_ms=NOW_MS)
    call: dict[str, Any] = {
        "subscriber": None,
        "iccid": ICCID,
        "service": "voice",
        "duration_ms": 1000,
        "volume_bytes": None,
    }
    good = [usage(str(n), **call, called_number=to) for n, to in enumerate(["+4930123456", "+88300000"])]
    bad = usage("bad", **(call | {"called_number": "+4930123456"} | wrong))
    cold = await (await bench.pipeline()).process(bench.batch(bad))
    warm = await bench.pipeline()
    outputs = await warm.process(bench.batch(*good, start=1))
    assert fates(outputs)[0] == (Fate.RATED, Reason.NONE)
    outputs = await warm.process(bench.batch(bad))
    assert outputs.messages == cold.messages
