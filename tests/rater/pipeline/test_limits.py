"""SIMs with many counters or sessions, names with slashes, and events that only look like known ones."""

from __future__ import annotations

import pytest

from rater.directory import Directory
from rater.money import parse_nanos
from rater.pipeline.catalogues import Catalogues
from rater.pipeline.pipeline import Pipeline
from tests.rater.pipeline import conftest
from tests.rater.pipeline.conftest import Bench, catalogue, usage
from tests.rater.pipeline.test_pipeline import calls

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
