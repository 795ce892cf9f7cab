"""The laws that hold over any history of the engine, as they are seen in Redis and in what it said."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

from rater.money import parse_nanos
from rater.pipeline.live import USED, view_of
from rater.plans.allowances import Balance
from rater.plans.life import balances
from rater.wallet.legs import has_arrived
from rater.wallet.news import Onward
from rater.wallet.timers import Timers
from schemas.lifecycle import LifecycleEvent, WalletEntry
from tests.rater.pipeline.engine import SIMS, WALLETS, Engine

#: As far down as a floor goes.
FLOOR_NANOS = parse_nanos("-2")


async def check_used(played: Engine) -> None:
    """No grant gives more than it has, and what records say was given is what was taken."""
    before, steps_before = played.used, played.steps
    played.used, played.steps = {}, {}
    for wallet in WALLETS:
        for sim in SIMS:
            member, subscription = await played.member(wallet, sim)
            if member is None or subscription is None:
                continue
            played.steps[wallet, sim] = subscription.n
            used = {key.removeprefix(USED): value for key, value in member.counters.items() if key.startswith(USED)}
            for grant in subscription.grants:
                taken = played.used[wallet, sim, grant.id] = used.pop(grant.id, 0)
                assert 0 <= taken <= grant.granted_parts + grant.used_before_parts, (sim, grant, used)
            assert not used, "what is not granted any more is not counted any more"
    given = sum(one.get("allowance_used", 0) for one in played.records.values())
    taken = sum(value - before.get(name, 0) for name, value in played.used.items())
    if steps_before == played.steps:
        assert taken == given - played.given_parts
    elif before.keys() <= played.used.keys():  # a step may drop what was granted and used since the last look
        assert taken <= given - played.given_parts
    played.given_parts = given


async def check_money(played: Engine) -> None:
    """What came in is there or was charged, and each step was made once."""
    journal = [event for event in await played.news() if isinstance(event, WalletEntry)]
    fees = [entry for entry in journal if entry.kind == "plan"]
    assert max(Counter(entry.id for entry in fees).values(), default=1) == 1, "a step is made once"
    charged = sum(record["charged_nanos"] for record in played.records.values())
    on_their_way = [
        parse_nanos(event.command.amount)
        for event in await played.news()
        if isinstance(event, Onward) and not await has_arrived(played.store, event)
    ]
    left = [await played.balance_nanos(wallet) for wallet in WALLETS]
    assert sum(left) + sum(on_their_way) == played.given_nanos - charged - sum(entry.amount_nanos for entry in fees)
    assert min(left) >= FLOOR_NANOS


async def check_holds(played: Engine) -> None:
    """Holds are what plan, wallet and operator say, and each crossing was told once."""
    told = defaultdict(list)
    for event in await played.news():
        if isinstance(event, LifecycleEvent):
            told[event.wallet, event.subscriber].append((event.status_version, event.type))
    for wallet in WALLETS:
        state = await played.store.wallet("t", wallet)
        assert state is not None
        check_told(told[wallet, ""], state)
        for sim in SIMS:
            member, subscription = await played.member(wallet, sim)
            found = await played.directory.get("t", sim)
            assert found is not None
            if member is None or not member.active:
                continue
            assert found.assignments[-1].wallet == wallet
            check_told(told[wallet, sim], member, is_new=len(found.assignments) == 1)
            if subscription is not None and subscription.assigned_ms >= found.assignments[-1].from_ms:
                wanted = {"unpaid": {"payment"}, "active": set()}.get(subscription.status, {"expired"})
                assert {"payment", "expired"} & set(member.holds) == wanted
            elif subscription is None:
                assert not {"payment", "expired"} & set(member.holds)


def check_told(told: list[tuple[int, str]], state: Any, *, is_new: bool = True) -> None:
    assert [version for version, _ in told] == list(range(1, len(told) + 1)), "one number each"
    for one, other in pairwise(told):
        assert not is_new or one[1] != other[1], "suspended and resumed take turns"
    assert state.status_version == len(told)
    if told:
        assert (told[-1][1] == "suspended") == bool(state.holds) or not is_new, (told, state)


async def check_covers(played: Engine) -> None:
    """Once nothing is due, who is held for want of money is who has no allowance left, of its own or its wallet's."""
    for wallet in WALLETS:
        state, ref = await played.store.wallet("t", wallet), played.store.wallet_ref("t", wallet)
        assert state is not None
        (pool,) = await played.store.pools([ref])
        shared = [one for one in await usable(played, wallet, pool) if one.allowance.shared] if pool else []
        assert ("balance" in state.holds) == (state.available_nanos <= 0 and not shared), (state, pool)
        for sim in SIMS:
            member, _ = await played.member(wallet, sim)
            if member is None or not member.active:
                continue
            stops = set(state.holds) - ({"balance"} if await usable(played, wallet, sim) else set())
            assert ("parent" in member.holds) == bool(stops), (member, state)


async def usable(played: Engine, wallet: str, sim: str) -> list[Balance]:
    """What a subscriber has left now that keeps it going without money."""
    member, subscription = await played.member(wallet, sim)
    if member is None or subscription is None or subscription.plan == "valid":
        return []
    found = balances(subscription, view_of(played.catalogue(), member.counters, 0))
    return [one for one in found if one.left_parts > 0 and one.from_ms <= played.now_ms < one.until_ms]


async def check_waking(played: Engine) -> None:
    """With money for all nobody waits any more, and nothing is due."""
    played.lost.left = 0
    await played.carry()
    await played.settle()
    await check_covers(played)
    for wallet in WALLETS:
        await played.refill(wallet, "1000", is_swept=True)
    played.now_ms += 1000  # refills of one instant are due one after the other
    await played.settle()
    due_ms = await Timers(played.redis, played.store).next_ms()
    assert due_ms is None or due_ms > played.now_ms
    for sim in SIMS:
        found = await played.directory.get("t", sim)
        assert found is not None
        member, subscription = await played.member(found.assignments[-1].wallet, sim)
        assert member is not None
        state = await played.store.wallet("t", found.assignments[-1].wallet)
        assert state is not None
        assert "payment" not in member.holds
        assert ("parent" in member.holds) == bool(state.holds)
        assert subscription is None or subscription.status != "unpaid"
    await check_money(played)
    await check_used(played)
