"""A batch in, one verdict for each event out; whatever comes twice, late, broken or from two workers at once."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from typing import Any

import orjson
import pytest

from rater.directory import Directory
from rater.errors import CatalogueError, PartsError, WalletError
from rater.money import parse_nanos
from rater.pipeline.batch import Door
from rater.pipeline.settle import Outputs
from rater.subscriber import Assignment, Subscriber
from rater.wallet.store import WalletStore
from schemas.fates import Fate, Reason
from tests.rater.pipeline.conftest import NOW_MS, PLAN, Bench, message, usage
from tests.rater.wallet.dying import Crash, dying


def fates(outputs: Outputs) -> list[tuple[Fate, Reason]]:
    return [(verdict.fate, verdict.reason) for verdict in outputs.verdicts]


def records(outputs: Outputs, topic: str = "rated") -> list[dict[str, Any]]:
    return [orjson.loads(value) for _, value in outputs.messages.get(topic, [])]


async def test_usage_is_rated_debited_and_recorded(bench: Bench) -> None:
    await bench.wallet("w", "10.00", "sim-1")
    outputs = await (await bench.pipeline()).process(bench.batch(usage("1"), message("2")))
    assert fates(outputs) == [(Fate.RATED, Reason.NONE)] * 2
    first, second = records(outputs)
    assert (first["amount_nanos"], first["charged_nanos"]) == (parse_nanos("1.00"), parse_nanos("1.00"))
    assert first["balance_after_nanos"] == second["balance_before_nanos"] == parse_nanos("9.00")
    assert (first["n"] + 1, first["epoch"]) == (second["n"], second["epoch"])
    assert await bench.balance_nanos("w") == parse_nanos("8.90")


async def test_each_event_has_exactly_one_fate_and_its_reason(bench: Bench) -> None:
    await bench.wallet("w", "10.00", "sim-1")
    pipeline = await bench.pipeline()
    await pipeline.process(bench.batch(usage("known")))
    outputs = await pipeline.process(
        bench.batch(
            usage("good"),
            usage("known"),
            usage("known", volume_bytes=5),
            usage("blocked", country="KP"),
            usage("nobody", sim="sim-9"),
            usage("nowhere", country="US"),
            usage("old", start_time="2026-01-31T10:00:00Z", end_time="2026-01-31T10:00:00Z"),
            usage("future", start_time="2026-11-03T10:00:00Z", end_time="2026-11-03T10:00:00Z"),
            usage("negative", volume_bytes=-1),
            b'{"tenant": "t", "sour',
            start=10,
        )
    )
    assert fates(outputs) == [
        (Fate.RATED, Reason.NONE),
        (Fate.DUPLICATE, Reason.NONE),
        (Fate.DEAD_LETTERED, Reason.ID_CONFLICT),
        (Fate.REFUSED, Reason.REGION_BLOCKED),
        (Fate.PARKED, Reason.UNKNOWN_SUBSCRIBER),
        (Fate.PARKED, Reason.NO_RATE),
        (Fate.DEAD_LETTERED, Reason.TOO_OLD),
        (Fate.DEAD_LETTERED, Reason.FUTURE),
        (Fate.DEAD_LETTERED, Reason.INVALID),
        (Fate.DEAD_LETTERED, Reason.MALFORMED),
    ]
    assert outputs.tally.adds_up
    assert outputs.tally.events == 10
    assert [record["field"] for record in records(outputs, "dead-letters")] == [
        "id", "end_time", "start_time", "volume_bytes", "",
    ]  # fmt: skip
    assert await bench.balance_nanos("w") == parse_nanos("8.00"), "only the two good events were paid"


async def test_a_redelivery_rebuilds_the_same_bytes_and_a_duplicate_makes_none(bench: Bench) -> None:
    await bench.wallet("w", "0.95", "sim-1")
    batch = bench.batch(usage("1", volume_bytes=130_000), usage("2", volume_bytes=130_000), usage("3"), usage("4"))
    first = await (await bench.pipeline()).process(batch)
    again = await (await bench.pipeline()).process(batch)
    assert again.messages == first.messages
    assert again.tally.redelivered == 4
    assert fates(again) == fates(first)
    elsewhere = bench.batch(usage("1", volume_bytes=130_000), usage("4"), door=Door("kafka:usage/1"))
    copy = await (await bench.pipeline()).process(elsewhere)
    assert fates(copy) == [(Fate.DUPLICATE, Reason.NONE)] * 2
    assert copy.messages == {}


async def test_an_array_is_so_many_events_and_a_bad_one_is_dead_lettered_alone(bench: Bench) -> None:
    await bench.wallet("w", "10.00", "sim-1")
    array = b"[" + b",".join([usage("1"), usage("1"), b'{"id": "2"}', usage("3")]) + b"]"
    outputs = await (await bench.pipeline()).process(bench.batch(array))
    assert [fate for fate, _ in fates(outputs)] == [Fate.RATED, Fate.DUPLICATE, Fate.DEAD_LETTERED, Fate.RATED]
    (letter,) = records(outputs, "dead-letters")
    assert (base64.b64decode(letter["raw"]), letter["element"]) == (b'{"id": "2"}', 2)
    assert await bench.balance_nanos("w") == parse_nanos("8.00")


async def test_a_redelivery_after_a_new_catalogue_is_rebuilt_under_the_old_one(bench: Bench) -> None:
    await bench.wallet("w", "10.00", "sim-1")
    batch = bench.batch(usage("1"))
    first = await (await bench.pipeline(price="1.00")).process(batch)
    again = await (await bench.pipeline(price="2.00")).process(batch)
    assert again.messages == first.messages


async def test_a_redelivery_after_a_move_is_rebuilt_as_it_was_decided(bench: Bench) -> None:
    """Also if the move is dated back before the event: its record names who was charged then."""
    await bench.wallet("old", "10.00", "sim-1")
    await bench.wallet("new", "10.00")
    batch = bench.batch(usage("1"))
    first = await (await bench.pipeline()).process(batch)
    await bench.directory.move("t", "sim-1", Assignment(0, "new", "new", "payg", "EUR"), now_ms=NOW_MS)
    again = await (await bench.pipeline()).process(batch)
    assert again.messages == first.messages
    assert await bench.balance_nanos("new") == parse_nanos("10.00")


@pytest.mark.parametrize("wallet", ["w", "new"])
async def test_a_redelivery_is_rebuilt_by_a_worker_that_has_not_heard_of_a_change(bench: Bench, wallet: str) -> None:
    """The event was decided by one that had; its record names the account that it was decided for."""
    await bench.wallet("w", "10.00", "sim-1")
    await bench.wallet("new", "10.00")
    unaware = await bench.pipeline()
    await unaware.process(bench.batch(usage("0")))
    await bench.directory.move("t", "sim-1", Assignment(1, wallet, "new account", "payg", "EUR"), now_ms=NOW_MS)
    batch = bench.batch(usage("1"), start=1)
    first = await (await bench.pipeline()).process(batch)
    assert records(first)[0]["account"] == "new account"
    assert (await unaware.process(batch)).messages == first.messages


async def test_a_redelivery_is_rebuilt_though_redis_went_away_meanwhile(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stage is repeated after a lost connection; what the first try found decided is not forgotten."""
    await bench.wallet("w", "10.00", "sim-1")
    batch = bench.batch(usage("1"))
    first = await (await bench.pipeline(price="1.00")).process(batch)
    pipeline = await bench.pipeline(price="2.00")
    work = await pipeline.prepare(batch)
    with monkeypatch.context() as away:
        away.setattr("rater.pipeline.catalogues.KEY", "rater:meta")
        with pytest.raises(CatalogueError):
            await pipeline.charge(work)
    assert pipeline.settle(await pipeline.charge(work)).messages == first.messages


async def test_a_decided_event_keeps_its_verdict_though_it_has_no_rate_any_more(bench: Bench) -> None:
    await bench.wallet("w", "10.00", "sim-1")
    batch = bench.batch(usage("1"))
    first = await (await bench.pipeline()).process(batch)
    poorer = await bench.pipeline(zone="[FR]")
    again = await poorer.process(batch)
    assert again.messages == first.messages
    assert again.tally.redelivered == 1
    outputs = await poorer.process(bench.batch(usage("1"), usage("2"), door=Door("file:other")))
    assert fates(outputs) == [(Fate.DUPLICATE, Reason.NONE), (Fate.PARKED, Reason.NO_RATE)]
    assert await bench.balance_nanos("w") == parse_nanos("9.00")


async def test_a_decided_event_that_has_become_too_old_keeps_its_verdict(bench: Bench) -> None:
    await bench.wallet("w", "10.00", "sim-1")
    batch = bench.batch(usage("1"))
    pipeline = await bench.pipeline()
    first = await pipeline.process(batch)
    batch.now_ms += 100 * 86_400_000
    assert (await pipeline.process(batch)).messages == first.messages


async def test_the_last_event_takes_what_is_left_and_the_next_is_refused(bench: Bench) -> None:
    await bench.wallet("w", "1.50", "sim-1")
    outputs = await (await bench.pipeline()).process(bench.batch(usage("1"), usage("2"), usage("3")))
    assert fates(outputs) == [(Fate.RATED, Reason.NONE)] * 2 + [(Fate.REFUSED, Reason.SUSPENDED)]
    last = records(outputs)[1]
    assert (last["charged_nanos"], last["uncovered_nanos"]) == (parse_nanos("0.50"), parse_nanos("0.50"))
    (refused,) = records(outputs, "refused")
    assert (refused["amount_nanos"], refused["charged_nanos"], refused["n"]) == (parse_nanos("1.00"), 0, 0)


async def test_usage_that_comes_after_the_grace_is_billed_in_the_cycle_in_which_it_came(bench: Bench) -> None:
    await bench.wallet("w", "10.00", "sim-1")
    pipeline = await bench.pipeline()
    october = {"start_time": "2026-10-20T10:00:00Z", "end_time": "2026-10-20T10:00:00Z"}
    in_time = bench.batch(usage("1", **october))
    in_time.now_ms = NOW_MS + 3 * 86_400_000 - 1
    too_late = bench.batch(usage("2", **october), start=1)
    too_late.now_ms = NOW_MS + 3 * 86_400_000
    (own,), (next_one,) = records(await pipeline.process(in_time)), records(await pipeline.process(too_late))
    assert (own["period"], own.get("late", False)) == ("2026-10-01", False)
    assert (next_one["period"], next_one["late"]) == ("2026-11-01", True)


async def test_a_verdict_stays_though_the_wallet_was_refilled(bench: Bench) -> None:
    await bench.wallet("w", "1.00", "sim-1")
    pipeline = await bench.pipeline()
    await pipeline.process(bench.batch(usage("1"), usage("2")))
    await bench.top_up("w", "5.00", "refill")
    again = await pipeline.process(bench.batch(usage("2"), start=1))
    assert fates(again) == [(Fate.REFUSED, Reason.SUSPENDED)]
    assert await bench.balance_nanos("w") == parse_nanos("5.00")


async def test_small_sessions_share_the_steps_they_started(bench: Bench) -> None:
    """Ten records of 30 kB are 300 kB: three steps of 100 kB, though a repeat stands between them."""
    await bench.wallet("w", "10.00", "sim-1")
    events = [usage(str(number), volume_bytes=30_000) for number in range(10)]
    events.insert(5, events[2])
    outputs = await (await bench.pipeline()).process(bench.batch(*events))
    assert outputs.tally.of(Fate.DUPLICATE) == 1
    assert await bench.balance_nanos("w") == parse_nanos("9.70")


@pytest.mark.parametrize("workers", [2, 4])
async def test_workers_with_their_own_view_of_one_sim_charge_exactly(bench: Bench, workers: int) -> None:
    await bench.wallet("w", "100.00", "sim-1", "sim-2")
    pipelines = [await bench.pipeline() for _ in range(workers)]

    async def work(worker: int) -> list[Outputs]:
        done = []
        for number in range(20):
            sims = ("sim-1", "sim-2", "sim-1")
            events = [usage(f"{worker}-{number}-{i}", sim, 30_000) for i, sim in enumerate(sims)]
            batch = bench.batch(*events, door=Door(f"kafka:usage/{worker}"), start=number * 3)
            done.append(await pipelines[worker].process(batch))
        return done

    results = await asyncio.gather(*(work(worker) for worker in range(workers)))
    rated = [record for outputs in results for batch in outputs for record in records(batch)]
    assert len(rated) == workers * 60
    first = -(-workers * 40 * 30_000 // 100_000)
    second = -(-workers * 20 * 30_000 // 100_000)
    paid = parse_nanos("100.00") - await bench.balance_nanos("w")
    assert paid == (first + second) * parse_nanos("0.10") == sum(record["charged_nanos"] for record in rated)
    assert len({record["n"] for record in rated}) == len(rated), "a number is used once"


async def calls(bench: Bench) -> int:
    stats = await bench.redis.info("commandstats")
    return int(stats["cmdstat_fcall"]["calls"])


async def test_a_new_worker_catches_up_with_all_sims_of_a_wallet_at_once(bench: Bench) -> None:
    """Not with one a call: a company wallet pays for thousands."""
    sims = [f"sim-{number}" for number in range(50)]
    await bench.wallet("w", "100.00", *sims)
    worker, new = await bench.pipeline(), await bench.pipeline()
    await worker.process(bench.batch(*(usage(f"1-{sim}", sim, 70_000) for sim in sims)))
    before = await calls(bench)
    await new.process(bench.batch(*(usage(f"2-{sim}", sim, 70_000) for sim in sims), start=50))
    assert await calls(bench) - before == 1, "it looks first"
    events = [usage(f"3-{sim}", sim, 70_000) for sim in sims]
    outputs = await worker.process(bench.batch(*events, start=100))
    assert await calls(bench) - before == 3, "one that was told, one that knew"
    assert outputs.tally.of(Fate.RATED) == 50
    assert await bench.balance_nanos("w") == parse_nanos("100.00") - 50 * parse_nanos("0.30"), "210 kB are three steps"


async def test_usage_without_a_wallet_is_parked_in_one_call(bench: Bench) -> None:
    stray = Subscriber("t", "stray", 1, (Assignment(0, "nowhere", "a", "payg", "EUR"),))
    with pytest.raises(WalletError):
        await bench.directory.add([stray], now_ms=NOW_MS)
    pipeline, before = await bench.pipeline(), await calls(bench)
    outputs = await pipeline.process(bench.batch(*(message(str(number), "stray") for number in range(50))))
    assert fates(outputs) == [(Fate.PARKED, Reason.NO_WALLET)] * 50
    assert await calls(bench) - before == 1


async def test_a_parked_event_burns_no_id_and_is_charged_once_after_the_repair(bench: Bench) -> None:
    await bench.wallet("w", "10.00", "sim-1")
    pipeline = await bench.pipeline()
    first = await pipeline.process(bench.batch(usage("1", sim="sim-2")))
    assert fates(first) == [(Fate.PARKED, Reason.UNKNOWN_SUBSCRIBER)]
    await bench.wallet("w2", "10.00", "sim-2")
    for _ in range(2):
        await pipeline.process(bench.batch(usage("1", sim="sim-2")))
    assert await bench.balance_nanos("w2") == parse_nanos("9.00")


async def test_a_sim_that_moved_is_charged_by_event_time_and_never_twice(bench: Bench) -> None:
    for number in range(6):
        await bench.wallet(f"w{number}", "10.00")
    await bench.wallet("old", "10.00", "sim-1")
    elsewhere = next(
        f"w{number}"
        for number in range(6)
        if bench.store.shard_of("t", f"w{number}") != bench.store.shard_of("t", "old")
    )
    pipeline = await bench.pipeline()
    await pipeline.process(bench.batch(usage("before")))
    moved = Assignment(1_793_440_000_000, elsewhere, elsewhere, "payg", "EUR")  # 2026-10-31T09:46:40Z
    await bench.directory.move("t", "sim-1", moved, now_ms=NOW_MS)
    early = {"start_time": "2026-10-30T10:00:00Z", "end_time": "2026-10-30T10:00:00Z"}
    outputs = await pipeline.process(
        bench.batch(usage("before"), usage("late", **early), usage("after"), door=Door("file:second"))
    )
    assert fates(outputs) == [(Fate.DUPLICATE, Reason.NONE), (Fate.RATED, Reason.NONE), (Fate.RATED, Reason.NONE)]
    assert await bench.balance_nanos("old") == parse_nanos("8.00")
    assert await bench.balance_nanos(elsewhere) == parse_nanos("9.00")


@pytest.mark.parametrize("is_known", [True, False], ids=["a SIM that is known", "a SIM that is not"])
async def test_an_id_is_charged_once_though_a_batch_has_it_from_before_and_after_a_move(
    bench: Bench, is_known: bool
) -> None:
    await bench.wallet("w", "10.00", "sim-1")
    await bench.wallet("elsewhere", "10.00")
    assert bench.store.shard_of("t", "w") != bench.store.shard_of("t", "elsewhere")
    moved_ms = NOW_MS - 13 * 3_600_000
    await bench.directory.move("t", "sim-1", Assignment(moved_ms, "elsewhere", "b", "payg", "EUR"), now_ms=NOW_MS)
    pipeline = await bench.pipeline()
    if is_known:
        await pipeline.process(bench.batch(usage("0")))
    after: Any = {"start_time": "2026-10-31T12:00:00Z", "end_time": "2026-10-31T12:00:00Z"}
    outputs = await pipeline.process(bench.batch(usage("1"), usage("1", **after), usage("2", **after), start=1))
    assert fates(outputs) == [
        (Fate.RATED, Reason.NONE),
        (Fate.DEAD_LETTERED, Reason.ID_CONFLICT),
        (Fate.RATED, Reason.NONE),
    ]


@pytest.mark.parametrize("steps", range(1, 6))
async def test_a_move_cut_short_is_finished_by_the_first_worker_that_sees_it(bench: Bench, steps: int) -> None:
    """Steps that change something: repeated joining, intent, leave, new assignment, join."""
    await bench.wallet("old", "10.00", "sim-1")
    await bench.wallet("new", "10.00")
    moved = Assignment(0, "new", "new", "payg", "EUR")
    with contextlib.suppress(Crash):
        await Directory(bench.redis, dying(bench.store, steps)).move("t", "sim-1", moved, now_ms=NOW_MS)
    outputs = await (await bench.pipeline()).process(bench.batch(usage("1")))
    assert fates(outputs) == [(Fate.RATED, Reason.NONE)]
    payer = "old" if steps < 3 else "new"
    assert await bench.balance_nanos(payer) == parse_nanos("9.00"), "the old wallet pays until it is left"


@pytest.mark.parametrize("fresh", [True, False], ids=["a new worker", "a worker that does not know they were dropped"])
async def test_ids_that_redis_forgot_are_found_in_clickhouse(bench: Bench, fresh: bool) -> None:
    await bench.wallet("w", "10.00", "sim-1")
    believing = await WalletStore.open(bench.redis, shards=4)
    first = await (await bench.pipeline()).process(bench.batch(usage("1")))
    fingerprint = records(first)[0]["fingerprint"]
    for shard in range(bench.store.shards):
        for now_ms in (NOW_MS, NOW_MS + 1, NOW_MS + 2):
            await bench.store.rotate(shard, now_ms=now_ms, window_ms=1, safe_ms=NOW_MS + 10)

    async def old_ids(tenant: str, ids: Any) -> dict[tuple[str, str], str]:
        return {key: fingerprint for key in ids if key == ("feed", "1")}

    bench.store = await WalletStore.open(bench.redis, shards=4) if fresh else believing
    pipeline = await bench.pipeline(old_ids=old_ids)
    outputs = await pipeline.process(bench.batch(usage("1"), usage("1", volume_bytes=7), usage("2")))
    assert fates(outputs) == [
        (Fate.DUPLICATE, Reason.NONE),
        (Fate.DEAD_LETTERED, Reason.ID_CONFLICT),
        (Fate.RATED, Reason.NONE),
    ]
    assert await bench.balance_nanos("w") == parse_nanos("8.00")


async def drop_ids(store: WalletStore, now_ms: int) -> None:
    """Forget all that was decided before."""
    for shard in range(store.shards):
        for later in range(3):
            await store.rotate(shard, now_ms=now_ms + later, window_ms=1, safe_ms=now_ms + 10)


@pytest.mark.parametrize("asked_for", ["a late event", "a repeat"])
async def test_ids_that_redis_forgets_while_a_batch_is_recalled_are_found_in_clickhouse(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, asked_for: str
) -> None:
    """What the shard tells a worker that asks for one event holds for those it did not ask for."""
    await bench.wallet("w", "10.00", "sim-1")
    await drop_ids(bench.store, NOW_MS - 60 * 86_400_000)
    await bench.store.refresh()
    in_clickhouse: dict[tuple[str, str], str] = {}

    async def old_ids(tenant: str, ids: Any) -> dict[tuple[str, str], str]:
        return {key: in_clickhouse[key] for key in ids if key in in_clickhouse}

    pipeline = await bench.pipeline(old_ids=old_ids)
    first = await pipeline.process(bench.batch(usage("1")))
    in_clickhouse["feed", "1"] = records(first)[0]["fingerprint"]
    worker = pipeline if asked_for == "a repeat" else await bench.pipeline(old_ids=old_ids)
    late = {"start_time": "2026-08-31T10:00:00Z", "end_time": "2026-08-31T10:00:00Z"}
    other, lookup = await WalletStore.open(bench.redis, shards=4), bench.store.lookup

    async def dropped_before(*arguments: Any) -> Any:
        await drop_ids(other, NOW_MS)
        return await lookup(*arguments)

    monkeypatch.setattr(bench.store, "lookup", dropped_before)
    outputs = await worker.process(bench.batch(usage("2", **(late if asked_for == "a late event" else {})), usage("1")))
    assert fates(outputs) == [(Fate.RATED, Reason.NONE), (Fate.DUPLICATE, Reason.NONE)]
    assert await bench.balance_nanos("w") == parse_nanos("8.00")


async def test_a_late_event_is_parked_while_clickhouse_is_away_and_nothing_behind_it_waits(bench: Bench) -> None:
    await bench.wallet("w", "1.00", "sim-1")
    await drop_ids(bench.store, NOW_MS - 60 * 86_400_000)
    await bench.store.refresh()
    is_away = True

    async def old_ids(tenant: str, ids: Any) -> dict[tuple[str, str], str]:
        if is_away:
            raise PartsError("nobody at home")
        return {}

    pipeline = await bench.pipeline(old_ids=old_ids)
    late = usage("late", start_time="2026-08-31T10:00:00Z", end_time="2026-08-31T10:00:00Z")
    outputs = await pipeline.process(bench.batch(late, usage("next")))
    assert fates(outputs) == [(Fate.PARKED, Reason.LEDGER_AWAY), (Fate.RATED, Reason.NONE)]
    assert "nobody at home" in outputs.verdicts[0].detail
    assert await bench.balance_nanos("w") == 0, "it is suspended by what came behind"
    await bench.top_up("w", "1.00", "refill")
    is_away = False
    assert fates(await pipeline.process(bench.batch(late))) == [(Fate.RATED, Reason.NONE)], "it burnt no id"


async def test_a_late_event_that_comes_again_is_a_redelivery_even_if_clickhouse_has_it(bench: Bench) -> None:
    """A crash may leave a part of its records delivered; as a duplicate it would never get the others."""
    await bench.wallet("w", "10.00", "sim-1")
    for shard in range(bench.store.shards):
        for now_ms in (NOW_MS, NOW_MS + 1, NOW_MS + 2):
            await bench.store.rotate(shard, now_ms=now_ms, window_ms=1, safe_ms=NOW_MS + 10)
    in_clickhouse: dict[tuple[str, str], str] = {}

    async def old_ids(tenant: str, ids: Any) -> dict[tuple[str, str], str]:
        return in_clickhouse

    pipeline = await bench.pipeline(old_ids=old_ids)
    first = await pipeline.process(bench.batch(usage("1")))
    in_clickhouse["feed", "1"] = records(first)[0]["fingerprint"]
    again = await pipeline.process(bench.batch(usage("1")))
    assert again.messages == first.messages


async def test_emergency_calls_are_free_for_a_held_sim_and_under_a_plan_without_voice(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.rater.pipeline.conftest.PLAN", PLAN.replace("[data, message, voice]", "[data, message]"))
    await bench.wallet("w", "0.00", "sim-1")
    call = {"service": "voice", "volume_bytes": None, "duration_ms": 60_000}
    outputs = await (await bench.pipeline()).process(
        bench.batch(usage("1", called_number="112", **call), usage("2", called_number="+4930123456", **call))
    )
    assert fates(outputs)[0] == (Fate.RATED, Reason.NONE)
    assert fates(outputs)[1][0] is Fate.REFUSED
