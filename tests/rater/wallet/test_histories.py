"""Random histories against a plain model: verdicts, balances, holds and news are the same, money is conserved."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import redis.asyncio as redis_async
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.money import AMOUNT_MAX_NANOS
from rater.wallet.entry import Decision, Entry, Kind
from rater.wallet.store import WalletStore
from schemas.fates import Fate
from schemas.lifecycle import WalletEntry
from tests.rater.wallet.building import Usage, Wallets, create, entry, join, usage
from tests.rater.wallet.model import Model

SIMS = [f"sim-{number}" for number in range(3)]

#: Amounts that meet each other, the carry between nanos and units, 2^53 and the ends of int64.
money = st.one_of(
    st.integers(0, 5),
    st.integers(0, 3).map(lambda units: units * 10**9),
    st.sampled_from([10**9 - 1, 10**9 + 1, 2**53 - 1, 2**53 + 1, 2**62, AMOUNT_MAX_NANOS]),
)
signed = st.builds(lambda sign, amount: sign * amount, st.sampled_from([1, -1]), money)
ids = st.integers(0, 40).map(str)
sim = st.sampled_from(SIMS)
hold = st.sampled_from(["operator", "fraud", "payment", "operator,fraud"])


def kind(*kinds: Kind, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Entry]:
    return st.builds(entry, st.sampled_from(kinds), event_id=ids, **fields)


entries = st.one_of(
    st.builds(usage, event_id=ids.map("usage-".__add__), amount_nanos=money, subscriber=sim),
    st.builds(usage, event_id=ids.map("usage-".__add__), amount_nanos=money, subscriber=sim),
    kind(Kind.CREDIT, Kind.DEBIT, Kind.FORCE, amount_nanos=money),
    kind(Kind.FLOOR, amount_nanos=signed),
    kind(Kind.HOLD, Kind.RELEASE, hold=hold, subscriber=st.sampled_from(["", *SIMS])),
)


async def play(socket: Path, start: int, floor: int, batches: list[list[Entry | Usage]]) -> None:
    redis = redis_async.Redis(unix_socket_path=str(socket))
    await redis.flushall()
    wallets = Wallets(redis, await WalletStore.open(redis, shards=2))
    model = Model(0, floor, members=dict.fromkeys(SIMS, 0))
    await wallets.decide(*[create(floor_nanos=floor), *map(join, SIMS)])
    await wallets.decide(entry(Kind.CREDIT, amount_nanos=start))
    await wallets.news()
    model._check_floor()
    model.decide(entry(Kind.CREDIT, amount_nanos=start))
    model.crossings.clear()
    added = start
    numbers = []
    for batch in batches:
        answers = await wallets.decide(*batch)
        assert [verdict(answer) for answer in answers] == [model.decide(one) for one in batch]
        numbers += [answer.n for answer in answers if not answer.known and answer.n]
        state = await wallets.state()
        assert (state.balance_nanos, state.floor_nanos) == (model.balance, model.floor)
        added += sum(
            (one.amount_nanos if isinstance(one, Entry) and one.kind is Kind.CREDIT else -answer.charged_nanos)
            for one, answer in zip(batch, answers, strict=True)
            if answer.fate is Fate.RATED and not answer.known
        )
        assert state.balance_nanos == added, "what came in less what was charged is what is left"
    news = await wallets.news()
    assert [(one.type, one.subscriber) for one in news if not isinstance(one, WalletEntry)] == model.crossings
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True, "no gap, no repeat"
    await redis.aclose()


def verdict(answer: Decision) -> tuple[bool, int, int]:
    return answer.fate is Fate.RATED, answer.charged_nanos, answer.balance_before_nanos


@settings(max_examples=80, deadline=None)
@given(money, signed, st.lists(st.lists(entries, min_size=1, max_size=8), max_size=8))
def test_any_history_goes_as_the_model_says(
    redis_socket: Path, start: int, floor: int, batches: list[list[Entry | Usage]]
) -> None:
    asyncio.run(play(redis_socket, start, floor, batches))
