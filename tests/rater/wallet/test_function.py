"""The function in Redis: loaded once, versions side by side, wrong calls refused whole."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from redis.exceptions import ResponseError

from rater.errors import WalletError
from rater.wallet import function
from rater.wallet.entry import Kind
from rater.wallet.store import WalletStore
from tests.rater.wallet.building import Wallets, amount, create, entry, join, usage


async def test_two_versions_of_the_engine_work_side_by_side(
    wallets: Wallets, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await wallets.opened("10")
    with monkeypatch.context() as newer:
        newer.setattr(function, "LIBRARY", "rater_999")
        newer.setattr(function.source, "__defaults__", ("rater_999",))
        newer_store = Wallets(redis, await WalletStore.open(redis, shards=4))
        await newer_store.decide(usage("1", "by the newer"))
    old, new = await wallets.decide(usage("1", "by the older"), usage("1", "by the newer"))
    assert (old.known, new.known) == (False, True)
    assert await wallets.balance() == amount("8")
    assert {library[1] for library in await redis.function_list()} >= {b"rater_999", function.LIBRARY.encode()}
    await redis.function_delete("rater_999")


async def test_a_function_that_differs_is_replaced(redis: Any) -> None:
    await redis.function_load(
        f"#!lua name={function.LIBRARY}\nredis.register_function('{function.LIBRARY}_apply', function() end)",
        replace=True,
    )
    wallets = Wallets(redis, await WalletStore.open(redis, shards=4))
    await wallets.opened("10")
    await wallets.decide(usage("1"))


async def test_the_number_of_shards_is_fixed_with_the_first_opening(redis: Any) -> None:
    await WalletStore.open(redis, shards=4)
    with pytest.raises(WalletError, match="shards is 8, but these wallets were made with 4"):
        await WalletStore.open(redis, shards=8)


async def test_a_negative_amount_fails_the_whole_call_and_writes_nothing(wallets: Wallets) -> None:
    await wallets.opened("10")
    with pytest.raises(struct.error):
        await wallets.apply(usage("1", "a"), usage("-1", "b"))
    with pytest.raises(ResponseError, match="negative amount"):
        await wallets.apply(entry(Kind.CREDIT, "1", "c"), entry(Kind.CREDIT, "-1", "d"))
    (first,) = await wallets.decide(usage("1", "a"))
    assert not first.known
    assert await wallets.balance() == amount("9")


async def test_more_entries_than_one_call_takes_are_decided_in_order(wallets: Wallets) -> None:
    await wallets.opened("9000.5")
    answers = await wallets.decide(*(usage("1") for _ in range(9002)))
    assert [answer.n for answer in answers[:9001]] == list(range(answers[0].n, answers[0].n + 9001))
    assert [answer.charged_nanos for answer in answers[8999:]] == [amount("1"), amount("0.5"), 0]


@pytest.mark.parametrize(("tenant", "wallet"), [("t/x", "w"), ("t", "x/w"), ("", "w"), ("t", "")])
async def test_names_that_could_meet_in_one_key_are_refused(wallets: Wallets, tenant: str, wallet: str) -> None:
    with pytest.raises(WalletError, match="wallet: "):
        await wallets.apply(create("1", tenant=tenant, wallet=wallet))


async def test_wallets_of_two_tenants_are_apart(wallets: Wallets) -> None:
    await wallets.decide(create("1", "a"), join(), create("5", "b", tenant="u"), join(tenant="u"))
    await wallets.decide(usage("1", "same id"), usage("1", "same id too", tenant="u"))
    assert await wallets.balance() == 0
    other = await wallets.store.wallet("u", "w")
    assert other is not None
    assert other.balance_nanos == amount("4")


def test_no_line_of_the_function_divides_money() -> None:
    """Sums, differences and comparisons of whole numbers are exact below 2^53; nothing else may touch an amount."""
    code = [line.split("--")[0] for line in function.source().splitlines()]
    assert not [line for line in code if "/" in line.replace("'/'", "") or "math.floor" in line or "tostring" in line]
