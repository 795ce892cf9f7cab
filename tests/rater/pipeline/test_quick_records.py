"""A Data Streamer record that goes the quick way through preparation comes to what the long way comes to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis.asyncio as redis_async
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.pipeline import prepare
from rater.pipeline.batch import Batch, Door, RawEvent
from rater.pipeline.pipeline import Pipeline
from rater.pipeline.prepare import Preparer
from rater.pipeline.quick import InterpretedLane
from rater.pipeline.settle import Outputs
from rater.subscriber import Assignment, Subscriber
from rater.wallet.store import WalletStore
from schemas.decode import Decoder
from tests.rater.pipeline.conftest import NOW_MS, Bench
from tests.rater.pipeline.test_quick import ICCID, OTHER_ICCID, texts, times

#: An ICCID that 1NCE's records are told by.
ONCE_ICCID = "89882801234567890123"
DATA: dict[str, Any] = {
    "id": 1, "traffic_type": {"id": 5, "description": "Data"}, "volume": {"total": 0.13, "rx": 0.1, "tx": 0.03},
    "start_timestamp": "2026-10-31T10:00:00Z", "end_timestamp": "2026-10-31T10:00:00.000Z",
    "sim": {"id": 3, "iccid": ICCID, "msisdn": "491511234567"}, "imsi": "262010000000001",
    "operator": {"id": 2, "name": "x", "mnc": "01", "country": {"mcc": "262"}}, "session_id": "s",
}  # fmt: skip
SMS = DATA | {"traffic_type": {"id": 6}, "volume": {"total": 1, "rx": 1, "tx": 0}}
ROW: dict[str, Any] = {
    "id": "1", "event_start_timestamp": "2026-10-31 10:00:00", "event_stop_timestamp": "2026-10-31 10:00:00",
    "iccid": ICCID, "imsi": "262010000000001", "traffic_type_id": "5", "traffic_type_description": "Data",
    "volume": "0.130000", "volume_tx": "0.1", "volume_rx": "0.03", "msisdn_msisdn": "491511234567",
    "operator_mncs": "01", "country_mcc": "262",
}  # fmt: skip
PLAIN = {
    "tenant": "t", "source": "emnify", "id": "9", "service": "data", "iccid": ICCID, "country": "DE",
    "volume_bytes": 130_000, "start_time": "2026-10-31T10:00:00Z", "end_time": "2026-10-31T10:00:00Z",
}  # fmt: skip

numbers = st.sampled_from([0, 1, 2, 0.5, "0.130000", "1", "-1", "0.0000001", "1e3", "NaN", "1e999999999", 2**53, None])
iccids = st.sampled_from([ICCID, OTHER_ICCID, ONCE_ICCID, "8949", "", None])
phones = st.sampled_from(["491511234567", "+491511234567", "0", "", None])
networks = st.sampled_from(["262", "467", "26", "", None])
operators = st.sampled_from(["01", "1", "01,02", "", None])
#: What tells formats apart, where it is none of their business.
marks = st.sampled_from(["row_error", "traffic_type_id", "start_time", "specversion", "traffic_type"])
records: dict[str, st.SearchStrategy[Any]] = {
    "id": st.sampled_from([1, 2, -1, "1", "x" * 257, None]) | texts,
    "traffic_type": st.sampled_from([{"id": 5}, {"id": 6}, {"id": 7}, {}, 5]),
    "volume": st.fixed_dictionaries({"total": numbers, "rx": numbers, "tx": numbers}),
    "start_timestamp": times,
    "end_timestamp": times,
    "sim": st.fixed_dictionaries({"iccid": iccids, "msisdn": phones}) | st.none(),
    "imsi": st.sampled_from(["262010000000001", "1", "", None]),
    "operator": st.fixed_dictionaries({"mnc": operators, "country": st.fixed_dictionaries({"mcc": networks})}),
    "session_id": texts | st.none(),
    "ipcan_session_id": texts,
    "row_error": st.sampled_from(["broken", "", None, 1]),
}
rows: dict[str, st.SearchStrategy[Any]] = {
    "id": texts,
    "traffic_type_id": st.sampled_from(["5", "6", "7", ""]),
    "volume": numbers,
    "volume_tx": numbers,
    "volume_rx": numbers,
    "event_start_timestamp": times,
    "event_stop_timestamp": times,
    "iccid": iccids,
    "msisdn_msisdn": phones,
    "imsi": st.sampled_from(["262010000000001", "1", "", None]),
    "country_mcc": networks,
    "operator_mncs": operators,
    "row_error": st.sampled_from(["broken", "", None]),
}


@st.composite
def raws(draw: st.DrawFn) -> bytes:
    """A good record or row with up to three fields changed, perhaps damaged; now and then an event in plain JSON."""
    usual = draw(st.sampled_from([DATA, DATA, SMS, ROW, PLAIN]))
    changes = rows if usual is ROW else records
    record = dict(usual)
    if usual is not PLAIN:
        for name in draw(st.lists(st.sampled_from(sorted(changes)), max_size=3)):
            record[name] = draw(changes[name])
    if draw(st.integers(0, 5)) == 0:
        mark = draw(marks)
        record["name"] = draw(st.sampled_from([mark, {mark: "5"}, f'"{mark}"']))
    raw = msgspec.json.encode({name: value for name, value in record.items() if value is not None})
    spelling = draw(st.sampled_from(["plain"] * 6 + ["spaced", "cut", "array", "bytes", "nul", "tail"]))
    if spelling == "spaced":
        return b" \n" + raw
    if spelling == "cut":
        return raw[: draw(st.integers(0, len(raw) - 1))]
    if spelling == "array":
        return b"[" + raw + b"," + raw + b"]"
    if spelling == "bytes":
        return raw.replace(b'"id"', b'"x":"\xff","id"')
    if spelling == "nul":
        return raw.replace(b"2620", b"26\\u00002")
    return raw + draw(st.sampled_from([b" ", b"}"])) if spelling == "tail" else raw


def batch(raws: list[bytes], format: str, start: int = 0) -> Batch:
    door = Door("file:test")
    events = [RawEvent(raw, door, start + number) for number, raw in enumerate(raws)]
    return Batch(events, NOW_MS, format=format, tenant="t")


async def ready(redis: Any) -> Pipeline:
    """A worker that has seen every SIM and the usual shapes before."""
    await redis.flushall()
    bench = Bench(redis, await WalletStore.open(redis, shards=1))
    await bench.wallet("w", "100.00")
    assignment = Assignment(0, "w", "w", "payg", "EUR")
    sims = [Subscriber("t", f"sim-{iccid}", 1, (assignment,), iccid) for iccid in (ICCID, OTHER_ICCID, ONCE_ICCID)]
    await bench.directory.add(sims, now_ms=NOW_MS)
    pipeline = await bench.pipeline()
    seen = [one | {"id": f"seen-{number}"} for number, one in enumerate([DATA, SMS, ROW])]
    seen += [DATA | {"id": f"seen-{iccid}", "sim": {"iccid": iccid}} for iccid in (OTHER_ICCID, ONCE_ICCID)]
    await pipeline.process(batch([msgspec.json.encode(one) for one in seen], "auto"))
    return pipeline


async def outcomes(socket: Path, batches: list[list[bytes]], format: str) -> list[Outputs]:
    redis = redis_async.Redis(unix_socket_path=str(socket))
    pipeline = await ready(redis)
    done = [await pipeline.process(batch(raws, format, 100 * (1 + number))) for number, raws in enumerate(batches)]
    await redis.aclose()
    return done


@settings(max_examples=200)
@given(
    st.lists(st.lists(raws(), min_size=1, max_size=5), min_size=1, max_size=2),
    st.sampled_from(["emnify", "1nce", "auto"]),
)
def test_the_quick_way_of_a_record_comes_to_what_the_long_way_comes_to(
    redis_socket: Path, batches: list[list[bytes]], format: str
) -> None:
    """Fate, reason, the field that is wrong, the amount, and every byte that is published."""
    quick = asyncio.run(outcomes(redis_socket, batches, format))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare, "QuickLane", InterpretedLane)
        interpreted = asyncio.run(outcomes(redis_socket, batches, format))
        patch.setattr(Decoder, "record", lambda *_: None)
        slow = asyncio.run(outcomes(redis_socket, batches, format))
    for ways in zip(quick, interpreted, slow, strict=True):
        for one in ways[:2]:
            assert one.verdicts == ways[2].verdicts
            assert one.messages == ways[2].messages
            assert one.tally == ways[2].tally


@pytest.mark.parametrize(
    ("record", "is_quick"),
    [
        (DATA, True),
        (SMS, True),
        (ROW, True),
        (DATA | {"volume": {"total": "0.000001"}}, True),
        (DATA | {"sim": {"iccid": "89490000000000000009"}}, False),
        (DATA | {"operator": {"mnc": "02", "country": {"mcc": "262"}}}, False),
        (DATA | {"imsi": "1"}, False),
        (DATA | {"volume": {"total": "0.0000001"}}, False),
        (DATA | {"end_timestamp": "2026-10-31T09:59:59Z"}, False),
        (ROW | {"row_error": "broken"}, False),
        (PLAIN, False),
    ],
)
@pytest.mark.parametrize("format", ["emnify", "auto"])
async def test_only_a_good_record_of_a_known_sim_and_shape_goes_the_quick_way(
    redis: Any, monkeypatch: pytest.MonkeyPatch, record: dict[str, Any], is_quick: bool, format: str
) -> None:
    pipeline = await ready(redis)
    slow: list[bytes] = []
    monkeypatch.setattr(Preparer, "_slowly", lambda _, raw, *others: slow.append(raw.value))
    first, second = (msgspec.json.encode(record | {"id": number}) for number in ("1", "2"))
    pipeline.begin(batch([first, second], format))
    # The first one says which format the feed keeps to.
    assert (second not in slow) == is_quick
