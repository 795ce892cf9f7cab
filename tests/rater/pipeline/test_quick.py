"""The quick way through preparation comes to what the long way comes to, whatever the event."""

from __future__ import annotations

import asyncio
import gc
import re
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
import redis.asyncio as redis_async
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.pipeline import prepare
from rater.pipeline.batch import Batch, Door, Rated, RawEvent
from rater.pipeline.pipeline import Pipeline
from rater.pipeline.prepare import Preparer
from rater.pipeline.quick import InterpretedLane
from rater.pipeline.settle import Outputs
from rater.subscriber import Assignment, Subscriber
from rater.wallet.store import WalletStore
from tests.rater.pipeline.conftest import NOW_MS, Bench

ICCID, OTHER_ICCID = "89490000000000000001", "89490000000000000002"
USUAL: dict[str, Any] = {
    "tenant": "t", "source": "feed", "id": "1", "service": "data", "iccid": ICCID, "country": "DE",
    "volume_bytes": 130_000, "start_time": "2026-10-31T10:00:00Z", "end_time": "2026-10-31T10:00:00Z",
}  # fmt: skip
CALL = USUAL | {"service": "voice", "volume_bytes": None, "duration_ms": 61_000, "called_number": "+4930123456"}
MESSAGE = USUAL | {"service": "message", "volume_bytes": None, "message_count": 2, "kind": "sms"}
CALL["end_time"] = "2026-10-31T10:01:01Z"

#: Odd texts; the last three are what other formats are told by.
texts = st.sampled_from(
    ["", "x", "\0", "é😀", '"\\', "x" * 256, "x" * 257, "specversion", "traffic_type", "start_timestamp"]
) | st.text(max_size=4)
quantities = st.sampled_from([None, 0, 1, -1, 2**53, 2**53 + 1, 2**64, 1.5, "1", True])
times = st.sampled_from(
    [
        "2026-10-31T09:59:59.999Z", "2026-10-31T10:00:00.0005Z", "2026-10-31T10:01:01+00:00",
        "2026-10-31T12:00:00+02:00",
        "2026-10-31T10:00:00", "2026-10-31", "2026-11-02T00:00:00.001Z", "2026-11-01T23:59:59.999Z",
        "2026-08-02T23:59:59.999Z",
        "2026-08-03T00:00:00Z", "1999-12-31T23:59:59.999Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z",
        "2026-10-31T10:00:00-23:59", "0001-01-01T00:00:00+12:00", 1_793_440_000, None,
    ]
)  # fmt: skip
#: Another value of a field, or one that no event has.
values: dict[str, st.SearchStrategy[Any]] = {
    "tenant": texts | st.just("other"),
    "source": texts,
    "id": texts,
    "session_id": texts | st.none(),
    "kind": texts | st.sampled_from([None, "sms"]),
    "service": st.sampled_from(["data", "voice", "message", "fax", 1]),
    "direction": st.sampled_from(["outgoing", "incoming", "", None]),
    "subscriber": texts | st.sampled_from(["sim-1", "sim-2", None]),
    "iccid": texts | st.sampled_from([OTHER_ICCID, "8949", None, ICCID + "\0"]),
    "imsi": st.sampled_from(["262010000000001", "1", "", None]),
    "msisdn": st.sampled_from(["+491511234567", "+0", "", None]),
    "mcc": st.sampled_from(["262", "467", "26", "", None]),
    "mnc": st.sampled_from(["01", "1", "001", None]),
    "country": st.sampled_from(["FR", "KP", "US", "de", "ZZ", None]),
    "called_number": st.sampled_from(["+4930123456", "+4930999999", "+12425551", "112", "+0123", "", "1", None]),
    "destination_country": st.sampled_from(["DE", "ZZ", None]),
    "volume_bytes": quantities,
    "duration_ms": quantities,
    "message_count": quantities,
    "start_time": times,
    "end_time": times,
    "final": st.sampled_from([True, False, 1]),
    "unknown": st.just(1),
}  # fmt: skip


@st.composite
def events(draw: st.DrawFn) -> bytes:
    """A good event with up to three fields changed, as JSON spelt in one of many ways, perhaps damaged."""
    event = dict(draw(st.sampled_from([USUAL, CALL, MESSAGE])))
    event["id"] = draw(st.sampled_from(["1", "2", "3"]))
    for name in draw(st.lists(st.sampled_from(sorted(values)), max_size=3)):
        event[name] = draw(values[name])
    given = {name: value for name, value in event.items() if value is not None or draw(st.booleans())}
    names = draw(st.permutations(list(given))) if draw(st.booleans()) else list(given)
    raw = msgspec.json.encode({name: given[name] for name in names})
    spelling = draw(
        st.sampled_from(["plain"] * 6 + ["escaped", "spaced", "cut", "twice", "array", "bytes", "nul", "tail"])
    )
    if spelling == "escaped":  # every letter and digit of strings may be written as \u0041
        raw = re.sub(rb'(?<=:")[A-Za-z0-9]', lambda found: b"\\u%04x" % ord(found[0]), raw)
    elif spelling == "spaced":
        raw = b" \n" + orjson.dumps(orjson.loads(raw), option=orjson.OPT_INDENT_2) if _is_readable(raw) else raw
    elif spelling == "cut":
        raw = raw[: draw(st.integers(0, len(raw) - 1))]
    elif spelling == "twice":
        raw = raw[:-1] + b',"iccid":"' + OTHER_ICCID.encode() + b'"}'
    elif spelling == "array":
        raw = b"[" + raw + b"," + raw + b"]"
    elif spelling == "bytes":
        raw = raw.replace(b"feed", b"fe\xffed")
    elif spelling == "nul":
        raw = raw.replace(b"feed", b"fe\0d")
    elif spelling == "tail":
        raw += draw(st.sampled_from([b" ", b"}", b"\0", b"{}"]))
    return raw


def _is_readable(raw: bytes) -> bool:
    try:
        orjson.loads(raw)
    except orjson.JSONDecodeError:
        return False
    return True


async def ready(redis: Any) -> tuple[Bench, Pipeline]:
    """A worker that has seen every SIM and the usual shapes before; all it did then stands in Redis."""
    await redis.flushall()
    bench = Bench(redis, await WalletStore.open(redis, shards=1))
    await bench.wallet("w", "100.00")
    assignment = Assignment(0, "w", "w", "payg", "EUR")
    sims = [
        Subscriber("t", "sim-1", 1, (assignment,), ICCID, "262010000000001", "+491511234567"),
        Subscriber("t", "sim-2", 1, (assignment,), OTHER_ICCID),
    ]
    await bench.directory.add(sims, now_ms=NOW_MS)
    pipeline = await bench.pipeline()
    seen = [USUAL, CALL, MESSAGE, CALL | {"called_number": "112"}, USUAL | {"iccid": OTHER_ICCID}]
    await pipeline.process(
        batch([orjson.dumps(_without_none(one | {"id": f"seen-{n}"})) for n, one in enumerate(seen)])
    )
    return bench, pipeline


def _without_none(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if value is not None}


def batch(raws: list[bytes], format: str = "usage", start: int = 0) -> Batch:
    door = Door("file:test")
    return Batch([RawEvent(raw, door, start + number) for number, raw in enumerate(raws)], NOW_MS, format=format)


async def outcomes(socket: Path, batches: list[list[bytes]], format: str) -> list[Outputs]:
    redis = redis_async.Redis(unix_socket_path=str(socket))
    _, pipeline = await ready(redis)
    done = [await pipeline.process(batch(raws, format, 100 * (1 + number))) for number, raws in enumerate(batches)]
    await redis.aclose()
    return done


@settings(max_examples=200)
@given(st.lists(st.lists(events(), min_size=1, max_size=5), min_size=1, max_size=2), st.sampled_from(["usage", "auto"]))
def test_the_quick_way_comes_to_what_the_long_way_comes_to(
    redis_socket: Path, batches: list[list[bytes]], format: str
) -> None:
    """Fate, reason, the field that is wrong, the amount, and every byte that is published."""
    quick = asyncio.run(outcomes(redis_socket, batches, format))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InterpretedLane, "_rate", lambda *_: None)
        patch.setattr(prepare, "QuickLane", InterpretedLane)
        slow = asyncio.run(outcomes(redis_socket, batches, format))
    for one, other in zip(quick, slow, strict=True):
        assert one.verdicts == other.verdicts
        assert one.messages == other.messages
        assert one.tally == other.tally


@pytest.mark.parametrize(
    ("fields", "is_quick"),
    [
        ({}, True),
        ({"volume_bytes": 0}, True),
        ({"end_time": "2026-10-31T12:00:00+02:00"}, True),
        ({"id": "é😀"}, True),
        ({"id": "\0"}, False),
        ({"subscriber": "sim-2"}, False),
        ({"imsi": "262010000000001", "msisdn": "+491511234567"}, True),
        ({"imsi": ""}, False),
        ({"msisdn": "+0"}, False),
        ({"country": "IT"}, False),
        ({"iccid": "89490000000000000009"}, False),
        ({"start_time": "2026-10-31T10:00:00.001Z"}, False),
        ({"duration_ms": 1}, False),
        ({"start_time": "2026-11-02T00:00:00.001Z", "end_time": "2026-11-02T00:00:00.001Z"}, False),
    ],
)
async def test_only_a_good_event_of_a_known_sim_and_shape_goes_the_quick_way(
    redis: Any, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], is_quick: bool
) -> None:
    _, pipeline = await ready(redis)
    monkeypatch.setattr(Preparer, "_slowly", lambda *_: pytest.fail("it went the long way"))
    raw = msgspec.json.encode(_without_none(USUAL | fields))
    if is_quick:
        assert len(pipeline.begin(batch([raw])).items) == 1
    else:
        with pytest.raises(pytest.fail.Exception):
            pipeline.begin(batch([raw]))


async def test_what_is_noted_of_a_payer_does_not_keep_it_alive(redis: Any) -> None:
    """Nothing collects cycles that grow old, see streams/engine.py."""
    _, pipeline = await ready(redis)
    (rated,) = pipeline.begin(batch([msgspec.json.encode(_without_none(USUAL))])).items
    assert isinstance(rated, Rated)
    held = gc.get_referents(rated.payer)
    assert held
    assert not any(rated.payer is one for other in (rated.payer, *held) for one in gc.get_referents(other))
