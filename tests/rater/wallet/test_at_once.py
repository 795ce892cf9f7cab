"""A wallet's events of one call that are charged as one sum come to what they would come to one by one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis_async
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.money import AMOUNT_MAX_NANOS, AMOUNT_MIN_NANOS
from rater.wallet import store as store_module
from rater.wallet import usage_call
from rater.wallet.entry import Answer, Entry, Kind, Stale
from rater.wallet.store import CALL_ENTRIES_MAX, WalletStore
from rater.wallet.verdict import unpack_head, unpack_verdict
from schemas.fates import Fate, Reason
from tests.rater.wallet.building import Usage, Wallets, amount, charged, create, entry, join, usage

WALLETS = ["w-0", "w-1"]
SIMS = ["sim-0", "sim-1"]
CARRY, TIER, SESSION = "2026-11-01:carry", "2026-11-01:tier", "session:s:used"

#: Small sums, the carry between nanos and units, 2^53 and the end of int64.
money = st.one_of(
    st.integers(0, 3),
    st.integers(0, 3).map(lambda units: units * 10**9),
    st.sampled_from([10**9 - 1, 2**53 - 1, 2**53 + 1, 2**62, AMOUNT_MAX_NANOS - 1, AMOUNT_MAX_NANOS]),
)
starts = money | st.just(AMOUNT_MAX_NANOS)
floors = st.sampled_from([0, 0, -1, -(10**9), AMOUNT_MIN_NANOS]) | money
fields: dict[str, st.SearchStrategy[Any]] = {
    "event_id": st.integers(0, 60).map(str),
    "amount_nanos": money,
    "wallet": st.sampled_from(WALLETS),
    "subscriber": st.sampled_from(SIMS),
    "uses": st.sampled_from([(), (), ((CARRY, 1),), ((CARRY, 2), (TIER, 5))]),
}
usual = st.builds(usage, **fields)
uncounted = st.builds(usage, **(fields | {"uses": st.just(()), "wallet": st.just("w-0")}))
#: What stands in the way of charging at once: refusals, holds that are passed, wrong views, sessions, other currencies.
odd = st.one_of(
    [
        st.builds(usage, **(fields | {name: values}))
        for name, values in {
            "refuse": st.sampled_from([Reason.REGION_BLOCKED, Reason.AMOUNT_LIMIT, Reason.ALLOWANCE_USED_UP]),
            "free": st.just(True),
            "uncounted": st.just(True),
            "believed": st.sampled_from([{CARRY: 0}, {CARRY: 7}, {TIER: 3}]),
            "subscriber_version": st.sampled_from([0, 2]),
            "subscriber": st.just("stranger"),
            "currency": st.just("USD"),
            "wallet": st.just("nowhere"),
            "fingerprint": st.just(b"another!"),
            "uses": st.just(((SESSION, 3),)),
        }.items()
    ]
)
#: Mostly plain batches, so that many are charged at once; some with what stands in the way.
batches = st.lists(usual, min_size=1, max_size=8) | st.lists(usual | odd, min_size=1, max_size=8)
commands = st.builds(
    entry, st.sampled_from([Kind.HOLD, Kind.RELEASE]), hold=st.sampled_from(["operator", "fraud"]),
    wallet=st.sampled_from(WALLETS), subscriber=st.sampled_from(["", *SIMS]),
) | st.builds(entry, st.just(Kind.CREDIT), amount_nanos=money, wallet=st.sampled_from(WALLETS))  # fmt: skip
histories = st.lists(st.tuples(batches, st.lists(commands, max_size=1)), min_size=1, max_size=4)
#: Start and floor of each wallet.
openings = st.lists(st.tuples(starts, floors), min_size=2, max_size=2)

History = list[tuple[list[Usage], list[Entry]]]
pack_group = usage_call._pack_group


def one_by_one(*arguments: Any) -> tuple[bool, int]:
    """Packs a wallet's events so that they are not charged at once."""
    return False, pack_group(*arguments)[1]


async def everything(redis: Any) -> dict[bytes, Any]:
    """What stands in Redis; verdicts as they are read, since they are told differently."""
    found: dict[bytes, Any] = {}
    for key in await redis.keys("*"):
        kind = (await redis.type(key)).decode()
        if kind == "string":
            found[key] = await redis.get(key)
        elif kind == "hash":
            found[key] = await redis.hgetall(key)
        elif kind == "stream":
            found[key] = [content for _, content in await redis.xrange(key)]
        elif kind == "zset":
            found[key] = await redis.zrange(key, 0, -1)
        else:
            found[key] = await redis.lrange(key, 0, -1)
        if b":v:" in key:
            found[key] = {name: unpack_verdict(value, known=True) for name, value in found[key].items()}
    return found


async def play(
    socket: Path, openings: list[tuple[int, int]], history: History
) -> tuple[list[list[Answer]], dict[bytes, Any]]:
    """The answers of every batch, and what is left in Redis."""
    redis = redis_async.Redis(unix_socket_path=str(socket))
    await redis.flushall()
    wallets = Wallets(redis, await WalletStore.open(redis, shards=1))
    for name, (start, floor) in zip(WALLETS, openings, strict=True):
        opening = create("0", f"create-{name}", wallet=name, amount_nanos=start, floor_nanos=floor)
        await wallets.decide(opening, *(join(sim, wallet=name, event_id=f"join-{name}-{sim}") for sim in SIMS))
    answers = []
    for batch, commands in history:
        answers.append(await wallets.apply(*batch))
        await wallets.apply(*commands)
    left = await everything(redis)
    await redis.aclose()
    return answers, left


def both_ways(socket: Path, openings: list[tuple[int, int]], history: History) -> list[list[Answer]]:
    """The answers, which are the same in both ways, and so is what is left."""
    at_once = asyncio.run(play(socket, openings, history))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(usage_call, "_pack_group", one_by_one)
        in_turn = asyncio.run(play(socket, openings, history))
    assert at_once[0] == in_turn[0]
    assert at_once[1] == in_turn[1]
    return at_once[0]


@settings(max_examples=150)
@given(openings, histories, st.sampled_from([1, 2, 3, CALL_ENTRIES_MAX]))
def test_any_history_goes_the_same_way_at_once_and_one_by_one(
    redis_socket: Path, openings: list[tuple[int, int]], history: History, events_max: int
) -> None:
    """Decisions, stale answers, balances, members, ids, sessions and news, however a batch is cut into calls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_module, "CALL_ENTRIES_MAX", events_max)
        both_ways(redis_socket, openings, history)


@settings(max_examples=40)
@given(openings, st.lists(st.tuples(st.lists(uncounted, max_size=8), st.lists(commands, max_size=1)), max_size=4))
def test_a_batch_comes_to_the_same_as_its_events_each_in_a_call_of_its_own(
    redis_socket: Path, openings: list[tuple[int, int]], history: History
) -> None:
    """Where nothing is assumed: counters upon an event that is refused or a repeat are not those it was rated upon."""
    seen: set[bytes] = set()
    first: History = []
    for batch, commands in history:
        first.append(
            ([one for one in {one.identity: one for one in batch}.values() if one.identity not in seen], commands)
        )
        seen |= {one.identity for one in batch}
    together, left = asyncio.run(play(redis_socket, openings, first))
    each = [step for batch, commands in first for step in _steps(batch, commands)]
    alone, left_alone = asyncio.run(play(redis_socket, openings, each))
    assert [answer for answers in together for answer in answers] == [one for answers in alone for one in answers]
    assert left == left_alone


def _steps(batch: list[Usage], commands: list[Entry]) -> History:
    return [*(([one], []) for one in batch), ([], commands)]


class Heads:
    """How many wallets were charged at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        unpack = unpack_head

        def counting(reply: bytes) -> Any:
            self.count += 1
            return unpack(reply)

        monkeypatch.setattr(store_module, "unpack_head", counting)


async def test_each_wallet_of_a_call_is_charged_at_once_for_itself(
    wallets: Wallets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A held one, one that runs out and one with a repeat do not keep the others from it."""
    heads = Heads(monkeypatch)
    for name in ("w-0", "w-1", "held", "poor", "twice"):
        await wallets.decide(create("10", wallet=name), *(join(sim, wallet=name) for sim in SIMS))
    await wallets.decide(entry(Kind.HOLD, wallet="held", hold="operator"))
    batch = [usage("2", wallet=name, subscriber=sim) for name in ("w-0", "held", "w-1") for sim in SIMS]
    batch += [usage("5", wallet="poor", subscriber="sim-0"), usage("5", wallet="poor", subscriber="sim-1")]
    batch += [usage("2", "twice", wallet="twice", subscriber="sim-0") for _ in range(2)]
    answers = await wallets.decide(*batch)
    assert heads.count == 2
    assert charged(answers) == [amount(one) for one in ("2", "2", "0", "0", "2", "2", "5", "5", "2", "2")]
    balances = [await wallets.balance(name) for name in ("w-0", "w-1", "held", "poor", "twice")]
    assert balances == [amount(one) for one in ("6", "6", "10", "0", "8")]
    assert (await wallets.state("poor")).holds == ("balance",), "reaching the floor is the crossing"


@pytest.mark.parametrize(("start", "is_at_once"), [("2.000000001", True), ("2", False), ("1.999999999", False)])
async def test_charging_at_once_leaves_money(
    wallets: Wallets, monkeypatch: pytest.MonkeyPatch, start: str, is_at_once: bool
) -> None:
    heads = Heads(monkeypatch)
    await wallets.opened(start)
    await wallets.decide(usage("1"), usage("1"))
    assert heads.count == is_at_once
    assert (await wallets.state()).holds == (() if is_at_once else ("balance",))


async def test_a_batch_larger_than_a_call_is_charged_in_order(
    wallets: Wallets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another wallet's events begin its first call, so the large group is cut in the middle of calls."""
    heads = Heads(monkeypatch)
    events = CALL_ENTRIES_MAX + 100
    await wallets.decide(create("1", wallet="other"), join(wallet="other"))
    await wallets.opened(f"{events}.5", "sim-1", "sim-2")
    batch = [usage("0.1", wallet="other"), *(
        usage("1", subscriber=f"sim-{1 + number % 2}", uses=((CARRY, 1),)) for number in range(events)
    )]  # fmt: skip
    other, *answers = await wallets.decide(*batch)
    assert heads.count == 3
    assert charged([other]) == [amount("0.1")]
    assert {answer.fate for answer in answers} == {Fate.RATED}
    assert [answer.n for answer in answers] == list(range(answers[0].n, answers[0].n + events))
    before = [answer.balance_before_nanos for answer in answers]
    assert before == [amount(f"{events - number}.5") for number in range(events)]
    assert [answer.counters for answer in answers] == [(number // 2,) for number in range(events)]
    again = await wallets.apply(*batch)
    assert not any(isinstance(answer, Stale) for answer in again)
    assert [answer.n for answer in again if not isinstance(answer, Stale)] == [other.n, *(one.n for one in answers)]
    assert await wallets.balance() == amount("0.5")


async def test_what_was_charged_before_an_event_of_the_call_is_told_exactly_beyond_int64(wallets: Wallets) -> None:
    """available = balance - floor may be twice what an int64 holds, so the sum of a call may pass it."""
    await wallets.decide(create(amount_nanos=AMOUNT_MAX_NANOS, floor_nanos=AMOUNT_MIN_NANOS), join())
    amounts = [AMOUNT_MAX_NANOS, 10**9, 7, 10**9, 1]
    batch = [usage(amount_nanos=one) for one in amounts]
    expected = [AMOUNT_MAX_NANOS - sum(amounts[:place]) for place in range(len(amounts))]
    for _ in range(2):
        answers = await wallets.decide(*batch)
        assert charged(answers) == amounts
        assert [answer.balance_before_nanos for answer in answers] == expected
