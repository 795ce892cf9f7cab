"""Who a SIM is and who pays for it, through moves, crashes and two commands at once."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from rater.directory import Directory
from rater.errors import WalletError
from rater.subscriber import Assignment, Subscriber
from rater.wallet.entry import Decision, Kind, Stale
from rater.wallet.store import WalletStore
from schemas.usage import Usage
from tests.rater.wallet.building import NOW_MS, Wallets, amount, create, entry, usage
from tests.rater.wallet.dying import Crash, dying

HERE = Assignment(0, "here", "acme", "payg", "EUR")
THERE = Assignment(1000, "there-2", "acme", "payg", "EUR")
SIM = Subscriber("t", "sim-1", 1, (HERE,), iccid="8900", imsi="262", msisdn="+49")


def event(**names: str) -> Usage:
    return Usage("t", "feed", "1", "data", 0, 0, **names)  # type: ignore[arg-type]


@pytest.fixture
async def wallets(redis: Any) -> Wallets:
    """A SIM in wallet "here", and a wallet in another shard."""
    wallets = Wallets(redis, await WalletStore.open(redis, shards=4))
    assert wallets.store.shard_of("t", HERE.wallet) != wallets.store.shard_of("t", THERE.wallet)
    await wallets.decide(create("10", wallet=HERE.wallet), create("10", wallet=THERE.wallet))
    await directory(wallets).add([SIM], now_ms=NOW_MS)
    return wallets


def directory(wallets: Wallets) -> Directory:
    """A directory with an empty cache, as another worker has it."""
    return Directory(wallets.redis, wallets.store)


async def test_a_sim_is_found_by_each_of_its_names(wallets: Wallets) -> None:
    events = [event(subscriber="sim-1"), event(iccid="8900"), event(imsi="262"), event(msisdn="+49")]
    worker = directory(wallets)
    for _ in range(2):
        assert await worker.resolve(events) == [SIM] * 4
    assert await worker.resolve([event(iccid="nobody"), event(iccid="8900")]) == [None, SIM]


async def test_a_sim_is_looked_up_once_and_an_unknown_one_each_time(wallets: Wallets) -> None:
    worker = directory(wallets)
    assert await worker.resolve([event(iccid="new"), event(iccid="8900")]) == [None, SIM]
    new = Subscriber("t", "sim-2", 1, (HERE,), iccid="new")
    await directory(wallets).add([new], now_ms=NOW_MS)
    await wallets.redis.delete("a:t:iccid:8900")
    assert await worker.resolve([event(iccid="new"), event(iccid="8900")]) == [new, SIM]
    worker.forget("t", "sim-1")
    assert await worker.resolve([event(iccid="8900")]) == [None]


async def test_a_tenant_made_up_to_look_like_anothers_key_finds_nothing(wallets: Wallets) -> None:
    sly = Subscriber("t", "x:subscriber:y", 1, (HERE,))
    await directory(wallets).add([sly], now_ms=NOW_MS)
    as_tenant = Usage("t:subscriber:x", "feed", "1", "data", 0, 0, subscriber="y")
    assert await directory(wallets).resolve([as_tenant]) == [None]


async def test_the_cache_is_bounded(wallets: Wallets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rater.directory.CACHE_MAX", 3)
    many = [Subscriber("t", f"s{number}", 1, (HERE,)) for number in range(10)]
    await directory(wallets).add(many, now_ms=NOW_MS)
    worker = directory(wallets)
    for one in many:
        assert await worker.resolve([event(subscriber=one.id)]) == [one]
    assert len(worker._cache) == len(worker._names) == 3


async def test_an_identifier_names_one_sim(wallets: Wallets) -> None:
    with pytest.raises(WalletError, match="iccid: 8900 belongs to subscriber sim-1"):
        await directory(wallets).add([Subscriber("t", "sim-2", 1, (HERE,), iccid="8900")], now_ms=NOW_MS)
    assert await directory(wallets).get("t", "sim-2") is None


async def test_a_sim_of_no_wallet_is_refused(wallets: Wallets) -> None:
    nowhere = Assignment(0, "nowhere", "acme", "payg", "EUR")
    with pytest.raises(WalletError, match="wallet: t has no wallet nowhere"):
        await directory(wallets).add([Subscriber("t", "sim-2", 1, (nowhere,))], now_ms=NOW_MS)


def test_the_assignment_is_that_of_the_events_own_time() -> None:
    moved = Subscriber("t", "s", 2, (Assignment(10, "a", "", "", ""), Assignment(20, "b", "", "", "")))
    found = [moved.assignment_at(at_ms) for at_ms in (9, 10, 19, 20, 99)]
    assert [one and one.wallet for one in found] == [None, "a", "a", "b", "b"]


async def charge(wallets: Wallets, worker: Directory, at_ms: int, event_id: str) -> str:
    """What the pipeline does: resolve, look where else it may have been decided, charge; answers who paid."""
    for _ in range(20):
        (sim,) = await worker.resolve([event(iccid="8900")])
        assert sim is not None
        assignment = sim.assignment_at(at_ms)
        assert assignment is not None
        one = usage("1", event_id, wallet=assignment.wallet, subscriber_version=sim.version)
        for wallet in {a.wallet for a in sim.assignments} - {assignment.wallet}:
            (known,) = await wallets.store.lookup(wallets.store.shard_of("t", wallet), [one.identity])
            if known:
                return known.wallet
        (answer,) = await wallets.apply(one)
        if isinstance(answer, Decision):
            return answer.wallet
        assert answer.why == "assignment"
        worker.forget("t", "sim-1")
        (sim,) = await worker.resolve([event(iccid="8900")])
        assert sim is not None
        if answer.subscriber_version < sim.version or sim.moving:
            await worker.repair(sim, now_ms=NOW_MS)
    raise AssertionError("never settled")


@pytest.mark.parametrize("steps", range(7))
async def test_no_event_is_charged_twice_wherever_a_move_is_cut(wallets: Wallets, steps: int) -> None:
    """The same two events before the move, after the crash by an old and a new worker, and after the repetition."""
    old = directory(wallets)
    first = [await charge(wallets, old, at_ms, f"at-{at_ms}") for at_ms in (999, 1000)]
    assert first == ["here", "here"]
    with contextlib.suppress(Crash):
        await Directory(wallets.redis, dying(wallets.store, steps)).move("t", "sim-1", THERE, now_ms=NOW_MS)
    for worker in (old, directory(wallets)):
        assert [await charge(wallets, worker, at_ms, f"at-{at_ms}") for at_ms in (999, 1000)] == first
        await charge(wallets, worker, 2000, "during")
    moved = await directory(wallets).move("t", "sim-1", THERE, now_ms=NOW_MS)
    assert (moved.version, moved.assignments, moved.moving) == (2, (HERE, THERE), None)
    for worker in (old, directory(wallets)):
        await charge(wallets, worker, 2000, "during")
        assert [await charge(wallets, worker, at_ms, f"late-{at_ms}") for at_ms in (999, 1000)] == ["here", "there-2"]
    assert await wallets.balance("here") + await wallets.balance("there-2") == amount("15"), "five events, five units"


async def test_a_move_takes_the_sims_own_holds_along(wallets: Wallets) -> None:
    await wallets.decide(entry(Kind.HOLD, wallet="here", subscriber="sim-1", hold="fraud"))
    await wallets.news()
    await directory(wallets).move("t", "sim-1", THERE, now_ms=NOW_MS)
    assert await wallets.crossings() == [], "it was suspended before and still is"
    (refused,) = await wallets.decide(usage("1", wallet="there-2", subscriber_version=2))
    assert refused.charged_nanos == 0
    await wallets.decide(entry(Kind.RELEASE, wallet="there-2", subscriber="sim-1", hold="fraud"))
    assert await wallets.crossings() == [("resumed", "sim-1")]


async def test_a_new_plan_in_the_same_wallet_makes_no_news_and_old_views_stale(wallets: Wallets) -> None:
    await wallets.news()
    flat = Assignment(1000, "here", "acme", "flat", "EUR")
    await directory(wallets).move("t", "sim-1", flat, now_ms=NOW_MS)
    assert await wallets.crossings() == []
    (stale,) = await wallets.apply(usage("1", wallet="here"))
    assert stale == Stale("assignment", subscriber_version=2)


async def test_there_and_back_again(wallets: Wallets) -> None:
    worker = directory(wallets)
    await worker.move("t", "sim-1", THERE, now_ms=NOW_MS)
    await worker.move("t", "sim-1", Assignment(2000, "here", "acme", "payg", "EUR"), now_ms=NOW_MS)
    paid = [await charge(wallets, directory(wallets), at_ms, f"at-{at_ms}") for at_ms in (999, 1000, 2000)]
    assert paid == ["here", "there-2", "here"]


async def test_two_moves_at_once_do_not_overwrite_each_other(wallets: Wallets) -> None:
    await wallets.decide(create("10", wallet="third"))
    third = Assignment(1000, "third", "acme", "payg", "EUR")
    results = await asyncio.gather(
        *(directory(wallets).move("t", "sim-1", to, now_ms=NOW_MS) for to in (THERE, third)), return_exceptions=True
    )
    found = await directory(wallets).get("t", "sim-1")
    assert found is not None
    done = [result for result in results if isinstance(result, Subscriber)]
    assert all(isinstance(result, Subscriber | WalletError) for result in results)
    assert len(found.assignments) == 1 + len(done)
    assert found.version == 1 + len(done)


@pytest.mark.parametrize(
    ("sim", "to", "says"),
    [
        ("nobody", THERE, "subscriber: t has no nobody"),
        ("sim-1", Assignment(0, "nowhere", "", "", "EUR"), "wallet: t has no wallet nowhere"),
        ("sim-1", Assignment(-1, "there-2", "", "", "EUR"), "from: "),
        ("sim-1", Assignment(NOW_MS + 1, "there-2", "", "", "EUR"), "from: .* begins now or earlier"),
    ],
)
async def test_a_move_that_cannot_be_is_refused(wallets: Wallets, sim: str, to: Assignment, says: str) -> None:
    with pytest.raises(WalletError, match=says):
        await directory(wallets).move("t", sim, to, now_ms=NOW_MS)
    assert await directory(wallets).get("t", "sim-1") == SIM


async def test_a_known_sim_is_found_though_it_leaves_the_cache_meanwhile(
    wallets: Wallets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its usage would be parked as that of an unknown SIM."""
    new = Subscriber("t", "sim-2", 1, (HERE,), iccid="new")
    await directory(wallets).add([new], now_ms=NOW_MS)
    events = [event(iccid="8900"), event(iccid="new")]

    worker = directory(wallets)
    await worker.resolve(events[:1])
    resolving = asyncio.create_task(worker.resolve(events))
    await asyncio.sleep(0)
    worker.forget("t", "sim-1")
    assert await resolving == [SIM, new], "somebody else forgot it"

    monkeypatch.setattr("rater.directory.CACHE_MAX", 1)
    worker = directory(wallets)
    await worker.resolve(events[:1])
    assert await worker.resolve(events) == [SIM, new], "the cache dropped its oldest"
